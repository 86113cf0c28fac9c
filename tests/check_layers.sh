#!/bin/sh
# check_layers.sh [ROOT [BUILD]] - fails, naming the place and the arrow, when a room uses one above it.
#
# tests/rooms is the table of rooms and arrows. Two things are held against it: what files include,
# and, where BUILD has objects, what they call: nm lists the symbols that an object uses, and a
# function that is declared a second time instead of included is found by its symbol.
# A line that begins with `never` is held against all that a room calls, and what that calls, and so on: an object that is
# linked with it must not be of the rooms of that line.
# Includes of ours are written from the root ("daemon/store/base/segment.h"), so the text tells the
# arrow. Foreign headers have one door each.
set -eu
cd "${1:-$(dirname "$0")/..}"
build=${2:-}
table=tests/rooms

folders=
for folder in schema tls daemon client tools; do
	[ -d "$folder" ] && folders="$folders $folder"
done
[ -n "$folders" ] || { echo "check_layers: no source folders in '$PWD'" >&2; exit 1; }
[ -z "$build" ] || [ -n "$(find "$build" -name '*.c.o' | head -n 1)" ] ||
	{ echo "check_layers: no objects in '$build'" >&2; exit 1; }
[ -f "$table" ] || { echo "check_layers: there is no '$PWD/$table'" >&2; exit 1; }

# Lines of three kinds: "file PATH", "include FILE LINE HEADER KIND" and "symbol OBJECT TYPE NAME".
# shellcheck disable=SC2086 # a list of folders
facts() {
	find $folders -name '*.[ch]' | sed 's/^/file /'
	find $folders -name '*.[ch]' \
		-exec grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + 2>/dev/null |
		sed -nE 's/^([^:]*):([0-9]*):[^<"]*([<"])([^>"]*)[>"].*/include \1 \2 \4 \3/p'
	if [ -n "$build" ]; then
		for folder in $folders; do
			[ ! -d "$build/$folder" ] || find "$build/$folder" -name '*.c.o'
		done | xargs -r nm -A -g | sed -nE \
			-e "s|^$build/([^:]*): *[0-9a-f]* ([A-Z]) (.*)|symbol \1 \2 \3|p"
	fi
}

facts | awk -v table="$table" '
function fail(place, why) {
	printf "%s: %s\n", place, why
	failed = 1
}
function room_of(path) {
	return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : ""
}
# "a/{b,c}" is a/b and a/c.
function allow(room, word,    head, names, count, i) {
	if (match(word, /\{.*\}/) == 0 && room ~ /^never /) {
		never[substr(room, 7), word] = 1
		return
	}
	if (match(word, /\{.*\}/) == 0) {
		allowed[room, word] = 1
		if (!(word in row_of) || row_of[word] <= row_of[room])
			wrong_arrow[room " -> " word] = 1
		return
	}
	head = substr(word, 1, RSTART - 1)
	count = split(substr(word, RSTART + 1, RLENGTH - 2), names, ",")
	for (i = 1; i <= count; i++)
		allow(room, head names[i])
}
# Follows the calls of a room to every object that is linked with it.
function reach(root,    queue, from, to, source, names, count, i, j, called, calls_of) {
	to = 0
	for (source in callees)
		if (room_of(source) == root) {
			queue[++to] = source
			reached[root, source] = 1
		}
	for (from = 1; from <= to; from++) {
		calls_of = split(callees[queue[from]], called, " ")
		for (j = 1; j <= calls_of; j++) {
			count = split(definers[called[j]], names, " ")
			for (i = 1; i <= count; i++) {
				if ((root, names[i]) in reached)
					continue
				reached[root, names[i]] = 1
				queue[++to] = names[i]
				if ((root, room_of(names[i])) in never)
					fail(queue[from], "links " names[i] " into " root ": calls " called[j])
			}
		}
	}
}
function may(from, to) {
	return from == to || (from, to) in allowed
}
# Every way in which meson may name the object of a source.
function note_source(path,    at, rest) {
	at = 0
	rest = path
	while ((at = index(rest, "/")) > 0) {
		rest = substr(rest, at + 1)
		object = rest
		gsub("/", "_", object)
		source_of[substr(path, 1, length(path) - length(rest)) object] = path
	}
}

BEGIN {
	while ((getline line < table) > 0) {
		sub(/#.*/, "", line)
		count = split(line, words, " ")
		if (count == 0)
			continue
		if (words[1] == "never") {
			roots[words[2]] = 1
			for (j = 3; j <= count; j++)
				allow("never " words[2], words[j])
			continue
		}
		row_of[words[1]] = ++rows
		line_of[rows] = line
	}
	for (i = 1; i <= rows; i++) {
		count = split(line_of[i], words, " ")
		for (j = 2; j <= count; j++)
			if (words[j] != "-")
				allow(words[1], words[j])
	}
	for (arrow in wrong_arrow)
		fail(table, arrow ": an arrow points to a room further down")
	doors["lmdb.h"] = "daemon/store"
	doors["uv.h"] = "daemon|daemon/net|client/examples"
	doors["msgpack.h"] = "schema"
	doors["openssl"] = "tls"
	doors["zlib.h"] = "tools/format"
	doors["lapacke.h"] = doors["cblas.h"] = "tools/statistics"
}

$1 == "file" {
	room = room_of($2)
	if (!(room in row_of) && !(room in strange)) {
		strange[room] = 1
		fail($2, "the room " room " is not in " table)
	}
	used[room] = 1
	note_source($2)
	known[$2] = 1
	next
}

$1 == "include" {
	place = $2 ":" $3
	from = room_of($2)
	name = $2
	sub(/.*\//, "", name)
	is_header = name ~ /\.h$/
	foreign = $4 ~ /^msgpack\// ? "msgpack.h" : $4 ~ /^uv\// ? "uv.h" : $4 ~ /^openssl\// ? "openssl" : $4
	if (foreign in doors) {
		within = 0
		count = split(doors[foreign], names, "|")
		for (i = 1; i <= count; i++)
			within = within || from == names[i] || (foreign == "lmdb.h" && index(from "/", names[i] "/") == 1)
		if (!within || (is_header && foreign != "uv.h"))
			fail(place, "\"" $4 "\" belongs in " (foreign == "uv.h" ? "" : ".c files of ") doors[foreign])
		else if (foreign == "lmdb.h" && !($2 in lmdb)) {
			lmdb[$2] = place
			lmdb_count++
		}
		next
	}
	if ($4 ~ /^repstore(_async|_local|_release|_retrieve)?\.h$/) {
		if (!may(from, "client/include"))
			fail(place, from " -> client/include: \"" $4 "\" is for clients")
		next
	}
	if ($5 == "<")
		next
	if ($4 ~ /(^|\/)\.\.?\// || ($4 !~ /\// && $4 != "config.h"))
		fail(place, "\"" $4 "\": write the path from the root")
	else if ($4 ~ /\// && !may(from, room_of($4)))
		fail(place, from " -> " room_of($4) ": includes \"" $4 "\"")
	next
}

$1 == "symbol" {
	object = $2
	sub(/\.o$/, "", object)
	sub(/\/[^\/]*\.p\//, "/", object)
	if (!(object in source_of))
		next
	source = source_of[object]
	if ($3 == "U") {
		calls[source, $4] = 1
		callees[source] = callees[source] " " $4
	}
	else
		definers[$4] = definers[$4] " " source
	next
}

END {
	for (room in row_of)
		if (!(room in used))
			fail(table, "the room " room " has no files")
	if (lmdb_count > 2)
		for (file in lmdb)
			fail(lmdb[file], "\"lmdb.h\": in more than two files")
	for (call in calls) {
		split(call, words, SUBSEP)
		from = room_of(words[1])
		count = split(definers[words[2]], names, " ")
		fine = count == 0
		for (i = 1; i <= count; i++) {
			to = room_of(names[i])
			fine = fine || may(from, to) || (to ~ /^client(\/(async|local))?$/ && may(from, "client/include"))
		}
		if (!fine)
			fail(words[1], from " -> " room_of(names[1]) ": calls " words[2] " of " names[1])
	}
	for (root in roots)
		reach(root)
	exit failed
}
'
