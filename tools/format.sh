#!/bin/sh
# format.sh [ROOT] - fails, naming the lines, when a C file is not formatted.
# `git ls-files '*.[ch]' | xargs clang-format -i` puts it right.
set -eu
cd "${1:-.}"
find schema daemon client tools tests -name '*.[ch]' -print0 |
	xargs -0 -r clang-format --dry-run -Werror
