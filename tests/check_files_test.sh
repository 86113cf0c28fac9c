#!/bin/sh
# check_files_test.sh - check_files.sh passes a sound tree and finds each kind of fault.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check_files.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

sound_tree() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree/daemon/store/system" "$tree/tests/fuzz/corpus/wire"
	printf '/* main.c - starts the daemon. */\nint main(void);\n' >"$tree/daemon/main.c"
	printf '/* main.h - a purpose that\n * takes two lines.\n */\n' >"$tree/daemon/main.h"
	printf 'bytes as they are \n' >"$tree/tests/fuzz/corpus/wire/one"
	printf '/* file.c - the door. */\nfd = open(path, 0);\n' >"$tree/daemon/store/system/file.c"
	printf '/* base.c - files. */\nfd = file_open(path, 0);\nspill_open(x);\n' >"$tree/daemon/store/base.c"
	printf 'folder=$(mktemp -d /tmp/repstore-XXXXXX)\n' >"$tree/one.sh"
	printf '# A page about network/shared memory\n' >"$tree/README.md"
}

# refused FILE TEXT: the sound tree with that file must fail, naming it.
refused() {
	sound_tree
	printf '%b' "$2" >"$tree/$1"
	if said=$(sh "$check" "$tree" 2>&1); then
		echo "accepted: $1: $2" >&2
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

head='/* main.c - starts the daemon. */\n'
refused daemon/main.c 'int main(void);\n'
refused daemon/main.c '/* other.c - starts the daemon. */\n'
refused daemon/main.c '/* main.c */\n'
refused daemon/main.c "${head}int x; \n"
refused daemon/main.c "${head}int x;\t\n"
refused daemon/main.c "${head}/* TODO: more */\n"
refused daemon/main.c "${head}/* see issue #12 */\n"
refused README.md 'ends in space \n'
refused daemon/main.c "$head$(printf 'int x;\\n%.0s' $(seq 500))"
refused README.md 'write to /tmp/repstore.log\n'
refused README.md 'write to "${TMPDIR:-/var/tmp}/"/dev/shm/rows\n'
refused daemon/main.h "/* main.h - what it has. */\\n$(printf 'int x;\\n%.0s' $(seq 200))"

head='/* store.c - opens a folder. */\n'
refused daemon/store/store.c "${head}fd = open(path, 0);\n"
refused daemon/store/store.c "${head}return unlink(path);\n"

exit $failed
