"""A minute of mixed_load.py: enough to catch a page that does not come home; memory needs the long form."""

import unittest

import mixed_load
from local_cluster import LocalCluster


class MixedLoadTest(unittest.TestCase):
    def test_pages_sum_to_total_and_come_home(self):
        cluster = LocalCluster()
        self.addCleanup(cluster.close)
        report, problems = mixed_load.run(cluster, minutes=1, concurrency=4)
        self.assertEqual([problem for problem in problems if " grew from " not in problem], [])
        self.assertGreater(report["requests"]["finished"], 0)
        self.assertGreater(report["requests"]["cancelled"], 0)
        self.assertGreater(report["page_checks"], 10)


if __name__ == "__main__":
    unittest.main()
