#!/bin/sh
# check_layers_test.sh - check_layers.sh passes a sound tree and finds each kind of violation.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check_layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

sound_tree() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree/schema" "$tree/daemon/store" "$tree/daemon/net" "$tree/daemon/method" \
		"$tree/daemon/retrieval" "$tree/client/include" "$tree/tools"
	printf '#include "schema/wire.h"\n#include <msgpack.h>\n#include <stdint.h>\n' >"$tree/schema/wire.c"
	printf '#include <stdint.h>\n' >"$tree/schema/wire.h"
	printf '#include <lmdb.h>\n#include "daemon/store/base/base.h"\n#include "schema/wire.h"\n' >"$tree/daemon/store/base.c"
	printf '#include <lmdb.h>\n' >"$tree/daemon/store/catalog.c"
	printf '#include "schema/wire.h"\n' >"$tree/daemon/store/base.h"
	printf '#include "daemon/store/base/base.h"\n#include "daemon/retrieval/score/topk.h"\n' >"$tree/daemon/method/fetch.c"
	printf '#include <uv.h>\n#include "daemon/method/call/method.h"\n' >"$tree/daemon/net/session.c"
	printf '#include <systemd/sd-daemon.h>\n#include <uv.h>\n#include "daemon/net/server.h"\n#include "config.h"\n' >"$tree/daemon/main.c"
	printf '#include <repstore.h>\n#include "schema/wire.h"\n' >"$tree/client/client.c"
	printf '#include "daemon/store/base/base.h"\n' >"$tree/client/embedded.c"
	printf '#include "client/include/repstore.h"\n#include "schema/wire.h"\n' >"$tree/tools/main.c"
	printf '#include <cblas.h>\n#include <lapacke.h>\n' >"$tree/tools/spectrum.c"
	printf '#include "daemon/aggregate/aggregate.h"\n' >"$tree/tools/cr_history.c"
	: >"$tree/client/include/repstore.h"
}

# refused FILE INCLUDE: the sound tree with that line more must fail, naming the file.
refused() {
	sound_tree
	mkdir -p "$tree/$(dirname "$1")"
	echo "#include $2" >>"$tree/$1"
	if said=$(sh "$check" "$tree" 2>&1); then
		echo "accepted: $2 in $1" >&2
		failed=1
	elif ! echo "$said" | grep -q "^$1:"; then
		echo "refused without naming $1: $said" >&2
		failed=1
	fi
}

sound_tree
if ! sh "$check" "$tree"; then
	echo "a sound tree is refused" >&2
	failed=1
fi

refused schema/wire.c '"daemon/store/base/base.h"'
refused schema/wire.h '<msgpack.h>'
refused schema/wire.c '<lmdb.h>'
refused schema/wire.c '"../daemon/store/base.h"'
refused schema/spec.c '"wire.h"'
refused daemon/store/base.c '"daemon/method/call/method.h"'
refused daemon/store/base.c '"daemon/net/server.h"'
refused daemon/store/base.c '<uv.h>'
refused daemon/store/base.c '<msgpack.h>'
refused daemon/store/base/base.h '<lmdb.h>'
refused daemon/store/zlog.c '<lmdb.h>'
refused daemon/retrieval/score/topk.c '"daemon/store/base/base.h"'
refused daemon/retrieval/score/topk.c '<lmdb.h>'
refused daemon/aggregate/decay.c '"daemon/store/base/base.h"'
refused daemon/retrieval/score/topk.c '<cblas.h>'
refused client/client.c '<lapacke.h>'
refused tools/statistics/spectrum.h '<lapacke.h>'
refused daemon/aggregate/decay.c '"tools/evaluation/cr_history.h"'
refused daemon/method/fetch.c '"daemon/net/server.h"'
refused daemon/method/fetch.c '<uv.h>'
refused daemon/net/session.c '"daemon/store/base/base.h"'
refused daemon/net/session.c '"daemon/main.h"'
refused daemon/net/session.c '<systemd/sd-daemon.h>'
refused daemon/options.h '<systemd/sd-daemon.h>'
refused daemon/main.c '"client/include/repstore.h"'
refused daemon/main.c '<repstore.h>'
refused client/client.c '"daemon/store/base/base.h"'
refused client/client.c '"tools/main.h"'
refused client/embedded.c '"daemon/net/server.h"'
refused tools/main.c '"daemon/store/base/base.h"'
refused tools/main.c '"client/socket.h"'
refused tools/main.c '"tests/unit/alloc_fail.h"'

exit $failed
