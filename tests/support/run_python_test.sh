#!/bin/sh
# run_python_test.sh NAME FILE: runs a unittest file with the test environment's Python, if ./baton test made one.
python=$BATON_SOURCE_DIR/build/venv/bin/python
[ -x "$python" ] || python=python3
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$BATON_SOURCE_DIR/tests/support:$(dirname "$2")" \
  exec "$python" "$BATON_SOURCE_DIR/tests/support/run_unittest.py" "$@"
