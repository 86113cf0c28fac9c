#!/bin/sh
# tidy.sh BUILD FILE... - runs clang-tidy over the files, two at a time.
set -eu
build=$1
shift
[ $# -gt 0 ] || exit 0
# gcc's warning options stand in the compile commands; clang-tidy need not know them all.
printf '%s\n' "$@" | sort -u | xargs -P 2 -n 1 clang-tidy -p "$build" --quiet \
	--extra-arg=-Wno-unknown-warning-option
