#!/bin/sh
# check_install.sh BUILD TARGET - installs the build below TARGET and uses it as a stranger would:
# a program is compiled with pkg-config alone and run, the library exports rep_ names only, the
# programs answer, systemd accepts the units.
set -eu
build=$1
rm -rf "$2"
mkdir -p "$2"
target=$(cd "$2" && pwd)
tests=$(cd "$(dirname "$0")" && pwd)

DESTDIR=$target meson install -C "$build" --no-rebuild --quiet

pc=$(find "$target" -name librepstore.pc)
library=$(find "$target" -name 'librepstore.so.0')
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$target"
# shellcheck disable=SC2046 # a list of options
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$tests/install_program.c" -o "$target/program" \
	$(pkg-config --cflags --libs librepstore)
LD_LIBRARY_PATH="${library%/*}" "$target/program"

foreign=$(nm -D --defined-only "$library" | awk '$2 ~ /[TDBR]/ && $3 !~ /^rep_/ { print $3 }')
[ -z "$foreign" ] || { echo "exported but not rep_: $foreign" >&2; exit 1; }

for program in repstored repstore; do
	path=$(find "$target" -path "*/bin/$program")
	LD_LIBRARY_PATH="${library%/*}" "$path" --help >/dev/null
done

units=$(find "$target" -path '*/systemd/system/*' -type f)
if [ -n "$units" ] && command -v systemd-analyze >/dev/null; then
	for unit in $units; do
		said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1 || true)
		said=$(printf '%s\n' "$said" | grep -F "$(basename "$unit")" | grep -v 'is not executable' || true)
		[ -z "$said" ] || { echo "$said" >&2; exit 1; }
	done
fi
