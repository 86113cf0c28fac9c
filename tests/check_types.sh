#!/bin/sh
# check_types.sh BUILD - mypy --strict over the Python package and its tests. What it has found stays in BUILD.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
/usr/bin/python3 -c 'import mypy' 2>/dev/null || { echo "check_types: no mypy (python3-mypy)" >&2; exit 77; }
exec /usr/bin/python3 -m mypy --config-file client/python/pyproject.toml --cache-dir "$build/mypy" \
	client/python/repstore tests/integration/python_case.py tests/integration/test_python*.py
