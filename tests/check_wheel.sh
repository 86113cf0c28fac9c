#!/bin/sh
# check_wheel.sh BUILD TARGET - builds a wheel of the Python package below TARGET, without a network, and uses it as a
# stranger would: it is installed into a fresh environment, needs no librepstore, and its tests pass there, under pytest,
# with the daemon of BUILD.
set -eu
build=$(cd "$1" && pwd)
rm -rf "$2"
mkdir -p "$2"
target=$(cd "$2" && pwd)
tests=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3

"$python" -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$target" "$tests/../client/python"
wheel=$(find "$target" -name 'repstore-*-abi3-*.whl')
[ -n "$wheel" ] || { echo "no wheel of the stable ABI in '$target'" >&2; exit 1; }

"$python" -m venv --system-site-packages --without-pip "$target/venv"
"$python" -m pip --python "$target/venv/bin/python" install --quiet --no-index --no-deps "$wheel"

cd "$target"
package=$(venv/bin/python -I -c 'import os, repstore; print(os.path.dirname(repstore.__file__))')
case "$package" in
"$target"/*) ;;
*)
	echo "'$package' was imported, not what was installed" >&2
	exit 1
	;;
esac
! readelf -d "$package"/_repstore.abi3.so | grep -F librepstore || { echo "the library is not in the wheel" >&2; exit 1; }
[ -f "$package/py.typed" ] || { echo "the wheel says nothing of types" >&2; exit 1; }
export REPSTORE_BUILD="$build" REPSTORE_PYTHON="${package%/*}"
venv/bin/python -B -m pytest -q -p no:cacheprovider "$tests/integration/test_python.py" \
	"$tests/integration/test_python_pages.py" "$tests/integration/test_python_release.py"
