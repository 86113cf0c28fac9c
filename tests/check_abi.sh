#!/bin/sh
# check_abi.sh BUILD [renew] - compares what librepstore and librepstore-local show with what their programs were built against.
#
# tests/abi/librepstore.abi and librepstore-local.abi are dumps of the functions and structs of the last accepted state. A reserved
# word that becomes a field is no difference (tests/abi/reserved.ini). Any other is one. If it is meant, and
# a program that was built before still runs, `renew` writes the dump anew; if it does not run, the library
# needs another soversion first. That a break is noticed, and a word that is taken is not, is tried here too.
set -eu
cd "$(dirname "$0")/.."
build=$1
headers=client/include
libraries="client/librepstore.so client/local/librepstore-local.so"

abidw_quietly() {
	abidw --headers-dir "$headers" --no-show-locs --no-comp-dir-path --no-corpus-path \
		--drop-private-types --exported-interfaces-only "$@"
}
compare() {
	abidiff --drop-private-types --suppressions tests/abi/reserved.ini "$@"
}

for library in $libraries; do
	dump=tests/abi/$(basename "$library" .so).abi
	if [ "${2:-}" = renew ]; then
		abidw_quietly --out-file "$dump" "$build/$library"
	elif ! compare --headers-dir2 "$headers" "$dump" "$build/$library"; then
		echo "check_abi: $library shows something else than $dump; the head of tests/check_abi.sh says what to do" >&2
		exit 1
	fi
done
[ "${2:-}" != renew ] || exit 0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# probe NAME SED: a library of one function, by headers that sed has changed.
probe() {
	mkdir "$scratch/$1"
	cp "$headers"/*.h "$scratch/$1"
	sed -i "/^struct rep_part {/,/^};/$2" "$scratch/$1/repstore.h"
	printf '#include "repstore.h"\nREP_API size_t rep_probe(const struct rep_part *part)\n{ return part->stride; }\n' \
		>"$scratch/$1/probe.c"
	cc -g -shared -fPIC -I"$scratch/$1" "$scratch/$1/probe.c" -o "$scratch/$1.so"
}
probe was 's/x/x/'
probe taken 's/uint64_t reserved\[\([0-9]*\)\];/uint64_t taken; uint64_t reserved[\1 - 1];/'
probe broken 's/size_t stride;/uint64_t planted; size_t stride;/'
for name in was taken broken; do
	cmp -s "$scratch/was/repstore.h" "$scratch/$name/repstore.h" && same=yes || same=no
	[ "$same" = "$([ $name = was ] && echo yes || echo no)" ] ||
		{ echo "check_abi: '$name' could not be made from the header" >&2; exit 1; }
done
compare "$scratch/was.so" "$scratch/taken.so" ||
	{ echo "check_abi: a reserved word that becomes a field is taken for a break" >&2; exit 1; }
if compare "$scratch/was.so" "$scratch/broken.so" >/dev/null; then
	echo "check_abi: a field in the middle of a struct is not noticed" >&2
	exit 1
fi
