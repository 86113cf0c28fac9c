#!/bin/sh
# check_install.sh BUILD TARGET - installs the build below TARGET and uses it as a stranger would:
# a program is compiled with pkg-config alone and run, for each library, the headers are C++ too, the libraries export the
# functions of their headers and nothing else, and a client of a socket does not link LMDB; the programs answer, Python imports
# the package if it was built, systemd accepts
# the units and finds them as closed as the pages say, and AppArmor accepts the profile.
set -eu
build=$1
rm -rf "$2"
mkdir -p "$2"
target=$(cd "$2" && pwd)
tests=$(cd "$(dirname "$0")" && pwd)

DESTDIR=$target meson install -C "$build" --no-rebuild --quiet

pc=$(find "$target" -name librepstore.pc)
library=$(find "$target" -name 'librepstore.so.1')
reader=$(find "$target" -name 'librepstore-local.so.1')
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$target"
# shellcheck disable=SC2046 # a list of options
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$tests/install_program.c" -o "$target/program" \
	$(pkg-config --cflags --libs librepstore)
LD_LIBRARY_PATH="${library%/*}" "$target/program"
# shellcheck disable=SC2046 # a list of options
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$tests/install_local.c" -o "$target/local" \
	$(pkg-config --cflags --libs librepstore-local)
LD_LIBRARY_PATH="${library%/*}" "$target/local"

headers=$(dirname "$(find "$target" -name repstore.h)")
printf '#include <repstore.h>\n#include <repstore_local.h>\nint main() { rep_part part = {}; return part.reserved[0] != 0; }\n' >"$target/header.cpp"
clang++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$headers" -fsyntax-only "$target/header.cpp"

# exports LIBRARY LEAST HEADER...: at least so many functions. What librepstore-local of the same build takes of
# librepstore has a version of its own.
exports() {
	library_of=$1
	least=$2
	shift 2
	# A declaration may have several lines.
	cat "$@" | tr '\n' ' ' | grep -oE 'REP_API [^;(]*\(' | grep -oE 'rep_[a-z0-9_]+\($' |
		tr -d '(' | sort >"$target/declared"
	nm -D --defined-only "$library_of" |
		awk '$2 ~ /[TDBRVW]/ && $3 !~ /@REPSTORE_PRIVATE$/ { sub(/@.*/, "", $3); print $3 }' | sort >"$target/exported"
	[ "$(wc -l <"$target/declared")" -ge "$least" ] ||
		{ echo "the functions of the headers were not found" >&2; exit 1; }
	diff "$target/declared" "$target/exported" >&2 ||
		{ echo "$library_of: < is declared and not exported, > is exported and not declared" >&2; exit 1; }
}
exports "$library" 40 "$headers/repstore.h" "$headers/repstore_async.h" "$headers/repstore_release.h" "$headers/repstore_retrieve.h"
exports "$reader" 5 "$headers/repstore_local.h"
! readelf -d "$library" | grep -F liblmdb || { echo "a client of a socket links LMDB" >&2; exit 1; }

for program in repstored repstore; do
	path=$(find "$target" -path "*/bin/$program")
	LD_LIBRARY_PATH="${library%/*}" "$path" --help >/dev/null
done

package=$(find "$target" -path '*/repstore/__init__.py')
[ -z "$package" ] || LD_LIBRARY_PATH="${library%/*}" PYTHONPATH="$(dirname "$(dirname "$package")")" \
	/usr/bin/python3 -B -c 'import repstore; assert repstore.__version__ == "0.2.0", repstore.__version__'

units=$(find "$target" -path '*/systemd/system/*' -type f)
if [ -n "$units" ] && command -v systemd-analyze >/dev/null; then
	for unit in $units; do
		said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1 || true)
		said=$(printf '%s\n' "$said" | grep -F "$(basename "$unit")" | grep -v 'is not executable' || true)
		[ -z "$said" ] || { echo "$said" >&2; exit 1; }
	done
	# What the pages say of the unit, in tenths: as it is, and without a network.
	service=$(find "$target" -path '*/systemd/system/repstored.service')
	systemd-analyze security --no-pager --offline=true --threshold=12 "$service" >/dev/null ||
		{ echo "systemd-analyze security: over 1.2" >&2; exit 1; }
	mkdir -p "$target/without/repstored.service.d"
	cp "$service" "$target/without/"
	cp "$(find "$target" -name unix-only.conf)" "$target/without/repstored.service.d/"
	SYSTEMD_UNIT_PATH=$target/without: systemd-analyze security --no-pager --offline=true --threshold=5 \
		"$target/without/repstored.service" >/dev/null || { echo "unix-only.conf: over 0.5" >&2; exit 1; }
fi
if command -v apparmor_parser >/dev/null; then
	apparmor_parser --skip-kernel-load --skip-cache "$(find "$target" -name repstored.apparmor)"
fi
