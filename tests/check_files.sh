#!/bin/sh
# check_files.sh [ROOT] - fails, naming file and line, when a file breaks what every file keeps:
#
#   a .c or .h begins with its name and purpose, and has 500 lines at most; a header 200, but for the
#   public ones and those that are code (*_loops.h)
#   a text file has no space at the end of a line
#   nothing points to a tracker in place of a reason, or leaves work for later
#   no file has a name in a folder that all share, which anybody can take first; mktemp names it
#   the store opens, makes and removes files by its own door (daemon/store/system/file.h) alone
#
# Looks at what git knows, or would add; where there is no git, at every file.
set -eu
cd "${1:-$(dirname "$0")/..}"
lines_max=500
header_lines_max=200
list=$(mktemp)
trap 'rm -f "$list"' EXIT

if git rev-parse --show-toplevel 2>/dev/null | grep -qxF "$(pwd -P)"; then
	git ls-files --cached --others --exclude-standard
else
	find . -type f ! -path './.git/*' ! -path './build*/*' | sed 's|^\./||'
fi | sort | grep -vE '^tests/(fuzz/corpus|data)/|\.(npy|png|mdb)$|^tests/check_files(_test)?\.sh$' |
	while IFS= read -r file; do
		[ -f "$file" ] && printf '%s\n' "$file"
	done >"$list"
[ -s "$list" ] || { echo "check_files: no files in '$PWD'" >&2; exit 1; }

tr '\n' '\0' <"$list" | xargs -0 awk -v lines_max=$lines_max -v header_lines_max=$header_lines_max '
function fail(why) {
	printf "%s:%d: %s\n", FILENAME, FNR, why
	failed = 1
}
FNR == 1 {
	name = FILENAME
	sub(/.*\//, "", name)
	code = name ~ /\.[ch]$/
	short = name ~ /\.h$/ && name !~ /_loops\.h$/ && FILENAME !~ /^client\/include\//
	most = short ? header_lines_max : lines_max
	if (code && (index($0, "/* " name " - ") != 1 || $0 !~ /[^ ] - [^ ]/))
		fail("begins with \"/* " name " - what. */\"")
}
code && FNR == most + 1 { fail("longer than " most " lines") }
/[ \t\r]$/ { fail("space at the end of the line") }
tolower($0) ~ /issue #/ { fail("names an issue; say the reason instead") }
/(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/ { fail("leaves work for later") }
/\/(tmp|shm)\/[A-Za-z]/ && !/XXXXXX/ { fail("a name that anybody can take first; use mktemp, or build/") }
code && FILENAME ~ /^daemon\/store\// && FILENAME !~ /^daemon\/store\/system\// && !/dev\/null/ &&
	/(^|[^A-Za-z0-9_])(open|opendir|unlink|rmdir|rename|mkdir|access|l?stat|truncate)\(/ {
	fail("goes past the door of files; see daemon/store/system/file.h")
}
END { exit failed }
'
