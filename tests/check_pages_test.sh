#!/bin/sh
# check_pages_test.sh - check_pages passes a sound tree and finds each kind of fault.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check_pages
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

mkdir -p "$tree/daemon/net" "$tree/build/tests"
touch "$tree/daemon/net/session.c" "$tree/daemon/net/session.h"
printf '# Not ours\n[x](gone)\n' >"$tree/build/tests/README.md"
printf '# The design\n## A `fetch`, in "four" steps\n## Twice\n## Twice\n' >"$tree/daemon/DESIGN.md"

# accepted TEXT: a page with it must pass.
accepted() {
	printf '%b' "$1" >"$tree/README.md"
	if ! said=$("$check" "$tree" 2>&1); then
		echo "refused: $1: $said" >&2
		failed=1
	fi
}

# refused LINE TEXT: a page with it must fail, naming the line.
refused() {
	printf '%b' "$2" >"$tree/README.md"
	if said=$("$check" "$tree" 2>&1); then
		echo "accepted: $2" >&2
		failed=1
	elif ! echo "$said" | grep -q "^README.md:$1:"; then
		echo "refused without naming README.md:$1: $said" >&2
		failed=1
	fi
}

accepted '# Page\n[design](daemon/DESIGN.md), [here](#page), [web](https://example.org/gone#x)\n'
accepted '[steps](daemon/DESIGN.md#a-fetch-in-four-steps) [again](daemon/DESIGN.md#twice-1)\n'
accepted '`daemon/net`, `daemon/net/session.c:12`, `daemon/net/session`, `daemon/net/*.c`, `daemon/net/session.{c, h}`\n'
accepted '`array[i](x)` is code, `store/gone.c` begins with no folder of the tree, `tools` and `daemon/...` too\n'
accepted '```sh\ncat daemon/gone.c; [x](gone)\n```\n'
refused 2 'text\n[design](daemon/GONE.md)\n'
refused 1 '[design](daemon/DESIGN.md#gone)\n'
refused 1 '[here](#gone)\n'
refused 1 '[thrice](daemon/DESIGN.md#twice-2)\n'
refused 1 'see `daemon/net/gone.c`\n'
refused 1 'run `tools/gone.sh commit`\n'
refused 1 '`daemon/{net,gone}/session.c`\n'
refused 1 '`daemon/net/gone*.c`\n'
refused 4 '```c\nint x;\n```\n`daemon/gone`\n'
rm "$tree/README.md" "$tree/daemon/DESIGN.md"
if "$check" "$tree" >/dev/null 2>&1; then
	echo "accepted: a tree without a page" >&2
	failed=1
fi

exit $failed
