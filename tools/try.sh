#!/bin/sh
# try.sh - from a bare Debian to vectors served: installs, builds, loads MovieLens, publishes, fetches.
#
#   sh tools/try.sh            leaves nothing running, and nothing behind but ./build
#   sh tools/try.sh --keep     leaves the daemon running, and says how to reach and to stop it
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}/try
keep=no
case "${1:-}" in
'') ;;
--keep) keep=yes ;;
*)
	echo "usage: try.sh [--keep]" >&2
	exit 2
	;;
esac

step() {
	printf '\n== %s\n' "$*"
}

# Shows a command as a person would type it, then runs it.
run() {
	printf '$ %s\n' "$*"
	"$@"
}

step 'install what is missing'
sh tools/install-deps.sh

step 'build'
mkdir -p "$build"
[ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=disabled >"$build/setup.log" 2>&1 || {
	cat "$build/setup.log"
	exit 1
}
ninja -C "$build" daemon/repstored tools/repstore | tail -n 1
PATH="$PWD/$build/daemon:$PWD/$build/tools:$PATH"

step 'start a daemon on a temporary folder'
folder=$(mktemp -d)
REPSTORE="$folder/repstore.sock"
export REPSTORE
repstored --data "$folder/data" --listen "unix:$REPSTORE" </dev/null >"$folder/log" 2>&1 &
daemon=$!
finish() {
	kill "$daemon" 2>/dev/null && wait "$daemon" || true
	rm -rf "$folder"
}
trap finish EXIT
tries=0
until repstore ping >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ "$tries" -gt 100 ] || ! kill -0 "$daemon" 2>/dev/null; then
		cat "$folder/log" >&2
		exit 1
	fi
	sleep 0.1
done
run repstore ping

data=tests/data/movielens
step 'a release: user, item and cross representations (URs, IRs, CRs) of one checkpoint'
run repstore release create ckpt-3 --model three-tower --checkpoint epoch-3
run repstore table create ckpt-3/ur --entity user --kind ur --dim 64 --dtype f16
run repstore table create ckpt-3/ir --entity item --kind ir --dim 64 --dtype f16 --index balls
run repstore table create ckpt-3/cr_user --entity user --kind cr --layer mlp2 --dim 64 --decay half_life=30d
run repstore table create ckpt-3/cr_item --entity item --kind cr --layer mlp2 --dim 64 --decay half_life=30d
run repstore import ckpt-3/ur --keys $data/user_keys.npy --rows $data/ur.npy
run repstore import ckpt-3/ir --keys $data/item_keys.npy --rows $data/ir.npy
run repstore release seal ckpt-3
run repstore release publish ckpt-3

step 'what is served'
run repstore release list
run repstore table list
run repstore fetch ur 1
run repstore fetch ir 1 2 3 999999

step 'the best items for a user'
run repstore retrieve --from ur/1 --in ir -k 10

step 'samples of cross representations, CR(u,i), aggregated while the release is live'
run repstore observe mlp2 --users $data/cr_user.npy --items $data/cr_item.npy \
	--times $data/cr_time.npy --time-unit s --rows $data/cr_mlp2.npy --source log-0
run repstore fetch cr_item 1
run repstore positions

step 'the time that 500 rows take'
run repstore bench fetch --table ir --rows 500 --seconds 2

if [ "$keep" = yes ]; then
	trap - EXIT
	step 'the daemon goes on'
	printf 'export REPSTORE=%s PATH=%s\nstop it: kill %s; rm -r %s\n' \
		"$REPSTORE" "$PWD/$build/tools:\$PATH" "$daemon" "$folder"
else
	step 'go on'
	printf '%s\n' \
		'sh tools/try.sh --keep     the same, and the daemon stays' \
		"$build/tools/repstore help   every command" \
		'client/include/repstore.h  the C library; schema/PROTOCOL.md the wire' \
		'sh tools/check.sh          every test'
fi
