#!/bin/sh
# check_layers.sh [ROOT] - fails, naming file and line, when an #include points up.
#
# Includes of ours are written from the root ("daemon/store/base/segment.h"), so the text tells the arrow.
set -eu
cd "${1:-$(dirname "$0")/..}"

# Lines "FILE:LINE:HEADER" of every include below the folders given.
includes() {
	find "$@" -name '*.[ch]' -exec grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + 2>/dev/null |
		sed -nE 's/^([^:]*):([0-9]*):[^<"]*[<"]([^>"]*)[>"].*/\1:\2:\3/p'
}

folders=
for folder in schema daemon client tools; do
	[ -d "$folder" ] && folders="$folders $folder"
done
[ -n "$folders" ] || { echo "check_layers: no source folders in '$PWD'" >&2; exit 1; }

# shellcheck disable=SC2086 # a list of folders
includes $folders | awk -F: '
function fail(why) {
	printf "%s:%s: \"%s\": %s\n", $1, $2, $3, why
	failed = 1
}
# The layer of a path: daemon/store/x.c is daemon/store, daemon/x.c is daemon.
function layer_of(path,    parts, n) {
	n = split(path, parts, "/")
	if (n == 1)
		return ""
	return parts[1] == "daemon" && n > 2 ? parts[1] "/" parts[2] : parts[1]
}
BEGIN {
	allowed["schema"] = "schema"
	allowed["daemon/store"] = "daemon/store daemon/aggregate daemon/retrieval schema"
	allowed["daemon/aggregate"] = "daemon/aggregate schema"
	allowed["daemon/retrieval"] = "daemon/retrieval schema"
	allowed["daemon/search"] = "daemon/search daemon/store daemon/retrieval schema"
	allowed["daemon/method"] = "daemon/method daemon/search daemon/store daemon/aggregate daemon/retrieval schema"
	allowed["daemon/net"] = "daemon/net daemon/method schema"
	allowed["daemon"] = "daemon daemon/net daemon/method daemon/search daemon/store daemon/aggregate daemon/retrieval schema"
	allowed["client"] = "client schema"
	allowed["tools"] = "tools client/include daemon/aggregate schema"
}
{
	from = layer_of($1)
	name = $1
	sub(/.*\//, "", name)
	header = name ~ /\.h$/
}
# Foreign headers.
$3 == "lmdb.h" {
	if (from != "daemon/store" || header)
		fail("lmdb.h belongs in .c files of daemon/store")
	else if (!($1 in lmdb)) {
		lmdb[$1] = $2
		lmdb_count++
	}
	next
}
$3 ~ /^msgpack(\.h|\/)/ {
	if (from != "schema" || header)
		fail("msgpack.h belongs in .c files of schema")
	next
}
$3 == "uv.h" || $3 ~ /^uv\// {
	if (from != "daemon" && from != "daemon/net")
		fail("uv.h belongs in daemon/net and daemon")
	next
}
$3 ~ /^systemd\// {
	if (from != "daemon" || header)
		fail("systemd headers belong in .c files of daemon")
	next
}
$3 == "lapacke.h" || $3 == "cblas.h" {
	if (from != "tools" || header)
		fail($3 " belongs in .c files of tools")
	next
}
# Ours.
$3 == "repstore.h" || $3 == "repstore_retrieve.h" {
	if (from != "client" && from != "tools")
		fail($3 " is for clients")
	next
}
$3 ~ /(^|\/)\.\.?\// {
	fail("write the path from the root")
	next
}
$3 ~ /^(tests|systemd)\// {
	fail("nothing includes tests")
	next
}
{
	to = layer_of($3)
	if (from == "tools" && $3 ~ /^client\/include\//)
		to = "client/include"
	# The embedded reader links the store.
	if (from == "client" && to == "daemon/store" && name ~ /^embedded/)
		next
	if (!(to in allowed) && to != "client/include") {
		same = $1
		sub(/[^\/]*$/, "", same)
		if (to == "" && (getline line < (same $3)) >= 0) {
			close(same $3)
			fail("write the path from the root")
		}
		next
	}
	if (index(" " allowed[from] " ", " " to " ") == 0)
		fail(from " may not include " to)
}
END {
	for (file in lmdb)
		if (lmdb_count > 2) {
			printf "%s:%s: \"lmdb.h\": in more than two files\n", file, lmdb[file]
			failed = 1
		}
	exit failed
}
'
