#!/usr/bin/env python3
"""run_unittest.py NAME FILE [TEST...]: runs a unittest file and reports as googletest does: a line a test, and an XML file.

The file is NAME.xml in the folder that GTEST_OUTPUT=xml:FOLDER/ names, so that tools/test_report.py counts these tests too.
"""

import importlib.util
import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


class Recorder(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.started, self.outcomes = {}, {}

    def startTest(self, test):
        super().startTest(test)
        self.started[test] = time.monotonic()
        self.outcomes[test] = ("run", None, "")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcomes[test] = ("skipped", "skipped", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.outcomes[test] = ("run", "failure", str(err[1]))

    def addError(self, test, err):
        super().addError(test, err)
        self.outcomes[test] = ("run", "failure", f"{err[0].__name__}: {err[1]}")

    def write(self, path):
        root = ElementTree.Element("testsuites")
        suite = ElementTree.SubElement(root, "testsuite", name="python")
        for test, (status, element, message) in self.outcomes.items():
            seconds = time.monotonic() - self.started.get(test, time.monotonic())
            case = ElementTree.SubElement(suite, "testcase", name=test.id().split(".", 1)[-1], status=status, time=f"{seconds:.3f}")
            if element:
                ElementTree.SubElement(case, element, message=message)
        ElementTree.ElementTree(root).write(path)


def main():
    name, path, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(wanted, module) if wanted else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Recorder).run(suite)
    output = os.environ.get("GTEST_OUTPUT", "")
    if output.startswith("xml:"):
        result.write(os.path.join(output[len("xml:"):], name + ".xml"))
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
