#!/bin/sh
# install-deps.sh [check] - installs from Debian what building needs; with `check`, what checking needs too.
set -eu

packages='meson ninja-build pkg-config gcc libc6-dev liblmdb-dev libuv1-dev libmsgpack-dev
	libxxhash-dev libinih-dev zlib1g-dev liblapacke-dev libblas-dev
	libmicrohttpd-dev libssl-dev'
check_packages='libcmocka-dev openssl clang clang-format clang-tidy libclang-rt-14-dev python3
	python3-numpy python3-msgpack lmdb-utils systemd abigail-tools python3-dev python3-cffi
	python3-mypy python3-pytest python3-pip python3-venv python3-mesonpy
	prometheus apparmor chromium chromium-driver'

case "${1:-}" in
'') ;;
check) packages="$packages $check_packages" ;;
*)
	echo "usage: install-deps.sh [check]" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "install-deps.sh: not a Debian system; install by your own means:" $packages >&2
	exit 1
fi

missing=
for package in $packages; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	case "$state" in
	installed*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "install-deps.sh: not root; run as root: apt-get install$missing" >&2
	exit 1
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# shellcheck disable=SC2086 # a list of packages
install_missing() {
	apt-get install -qq -y --no-install-recommends $missing >"$log" 2>&1 </dev/null
}

# First with the package lists as they are: they are often fresh enough, and fetching them is slow.
if ! install_missing && ! { apt-get update -qq >"$log" 2>&1 </dev/null && install_missing; }; then
	cat "$log" >&2
	echo "install-deps.sh: cannot install:$missing" >&2
	exit 1
fi
