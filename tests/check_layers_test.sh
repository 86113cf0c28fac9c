#!/bin/sh
# check_layers_test.sh - check_layers.sh passes a sound tree and finds each kind of violation.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check_layers.sh
tree=$(mktemp -d)
build=$(mktemp -d)
trap 'rm -rf "$tree" "$build"' EXIT
failed=0

# put FILE LINE...
put() {
	file=$tree/$1
	shift
	mkdir -p "$(dirname "$file")"
	printf '%s\n' "$@" >"$file"
}

sound_tree() {
	rm -rf "${tree:?}"/* "${build:?}"/*
	put tests/rooms \
		'tools             tools/statistics client/include schema # a comment' \
		'tools/statistics  daemon/aggregate schema' \
		'client            client/include schema' \
		'client/include    -' \
		'daemon            daemon/{net,store} schema' \
		'daemon/net        daemon/method schema' \
		'daemon/method     daemon/store/{read,base} schema' \
		'daemon/store      daemon/store/{read,base}' \
		'daemon/store/read daemon/store/base schema' \
		'daemon/store/base schema' \
		'daemon/aggregate  schema' \
		'schema            -'
	put schema/wire.c '#include "schema/wire.h"' '#include <msgpack.h>' '#include <stdint.h>' \
		'void wire_read(void) {}'
	put schema/wire.h '#include <stdint.h>'
	put daemon/store/store.c '#include "daemon/store/read/scan.h"'
	put daemon/store/base/base.c '#include <lmdb.h>' '#include "daemon/store/base/base.h"' \
		'void base_open(void) {}'
	put daemon/store/base/base.h '#include "schema/wire.h"' 'void base_open(void);'
	put daemon/store/read/scan.c '#include "daemon/store/read/scan.h"' '#include <lmdb.h>'
	put daemon/store/read/scan.h '#include "daemon/store/base/base.h"'
	put daemon/method/fetch.c '#include "daemon/store/read/scan.h"' 'void fetch_run(void) {}'
	put daemon/net/session.c '#include <uv.h>' '#include "schema/wire.h"'
	put daemon/net/session.h '#include <uv.h>'
	put daemon/main.c '#include <uv.h>' \
		'#include "daemon/net/session.h"' '#include "config.h"'
	put daemon/aggregate/decay.c '#include "schema/wire.h"'
	put client/client.c '#include <repstore.h>' '#include "schema/wire.h"'
	put client/include/repstore.h '#include <stdint.h>'
	put tools/main.c '#include "client/include/repstore.h"' '#include "schema/wire.h"'
	put tools/statistics/spectrum.c '#include <cblas.h>' '#include <lapacke.h>' \
		'#include "daemon/aggregate/decay.h"'
}

# The build is looked at when there is something in it.
check() {
	if [ -n "$(ls "$build")" ]; then
		sh "$check" "$tree" "$build"
	else
		sh "$check" "$tree"
	fi
}

# said WHAT ARROW-OR-PLACE: the tree must fail, and say that.
said() {
	if text=$(check 2>&1); then
		echo "accepted: $1" >&2
		failed=1
	elif ! echo "$text" | grep -qF -- "$2"; then
		echo "$1: refused without saying '$2': $text" >&2
		failed=1
	fi
}

# refused FILE INCLUDE [ARROW]: the sound tree with that line more must fail, naming file and arrow.
refused() {
	sound_tree
	mkdir -p "$tree/$(dirname "$1")"
	echo "#include $2" >>"$tree/$1"
	said "$2 in $1" "$1:"
	[ -z "${3:-}" ] || said "$2 in $1" "$3"
}

# compiled FOLDER/LIBRARY SOURCE: an object where meson would put it.
compiled() {
	object=$(echo "$2" | sed "s|^${1%/*}/||; s|/|_|g")
	mkdir -p "$build/$1.a.p"
	echo "$3" | ${CC:-cc} -x c -c -o "$build/$1.a.p/$object.o" -
}

# call UP?: objects of a sound tree, and one that calls a function that it only declares.
objects() {
	compiled daemon/store/librepstore-store daemon/store/base/base.c "$1"
	compiled daemon/store/librepstore-store daemon/store/read/scan.c \
		'void base_open(void); void scan_next(void) { base_open(); }'
	compiled daemon/method/librepstore-method daemon/method/fetch.c \
		'void scan_next(void); void fetch_run(void) { scan_next(); }'
}

sound_tree
objects 'void base_open(void) {}'
if ! check; then
	echo "a sound tree is refused" >&2
	failed=1
fi

# Calls up, without an include.
objects 'void scan_next(void); void base_open(void) { scan_next(); }'
said 'a call to the room above' 'daemon/store/base -> daemon/store/read: calls scan_next'
objects 'void fetch_run(void); void base_open(void) { fetch_run(); }'
said 'a call two rooms up' 'daemon/store/base/base.c: daemon/store/base -> daemon/method: calls fetch_run'

# What is linked by way of others.
sound_tree
echo 'never daemon/method daemon/store/{attic,base}' >>"$tree/tests/rooms"
objects 'void base_open(void) {}'
said 'an object that is never linked' 'daemon/store/read/scan.c: links daemon/store/base/base.c into daemon/method'

refused schema/wire.c '"daemon/store/base/base.h"' 'schema -> daemon/store/base'
refused schema/wire.h '<msgpack.h>'
refused schema/wire.c '<lmdb.h>'
refused schema/wire.c '"../daemon/store/base/base.h"'
refused schema/spec.c '"wire.h"'
refused daemon/store/base/base.c '"daemon/store/read/scan.h"' 'daemon/store/base -> daemon/store/read'
refused daemon/store/base/base.c '"daemon/store/store.h"' 'daemon/store/base -> daemon/store'
refused daemon/store/read/scan.c '"daemon/method/fetch.h"' 'daemon/store/read -> daemon/method'
refused daemon/store/read/scan.c '"daemon/aggregate/decay.h"'
refused daemon/store/base/base.c '<uv.h>'
refused daemon/store/base/base.c '<msgpack.h>'
refused daemon/store/base/base.h '<lmdb.h>'
refused daemon/store/store.c '<lmdb.h>'
refused daemon/aggregate/decay.c '"daemon/store/base/base.h"'
refused daemon/aggregate/decay.c '<lmdb.h>'
refused daemon/aggregate/decay.c '<cblas.h>'
refused client/client.c '<lapacke.h>'
refused tools/statistics/spectrum.h '<lapacke.h>'
refused daemon/aggregate/decay.c '"tools/statistics/spectrum.h"'
refused daemon/method/fetch.c '"daemon/net/session.h"' 'daemon/method -> daemon/net'
refused daemon/method/fetch.c '<uv.h>'
refused daemon/net/session.c '"daemon/store/base/base.h"'
refused daemon/net/session.c '"daemon/main.h"' 'daemon/net -> daemon'
refused daemon/main.c '"client/include/repstore.h"'
refused daemon/main.c '<repstore.h>'
refused client/client.c '"daemon/store/base/base.h"'
refused client/client.c '"tools/main.h"'
refused tools/main.c '"daemon/store/base/base.h"'
refused tools/main.c '"client/socket.h"'
refused tools/main.c '"tests/unit/alloc_fail.h"'
refused daemon/attic/old.c '"schema/wire.h"'

# The table itself.
sound_tree
echo 'tools/bench schema' >>"$tree/tests/rooms"
said 'a room without files' 'tools/bench has no files'
sound_tree
sed -i 's|^schema .*|schema daemon/net|' "$tree/tests/rooms"
said 'an arrow up in the table' 'schema -> daemon/net'
sound_tree
mkdir "$build/empty"
said 'a build without objects' 'no objects in'

exit $failed
