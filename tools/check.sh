#!/bin/sh
# check.sh [quick | STEP...] - every check of the project; the last line is `N passed, N failed`.
#
#   format   clang-format agrees with every C file
#   gcc      build with warnings as errors, all tests        (`quick` is this one alone)
#   clang    the same with clang and without libsystemd, unit tests
#   asan     all tests under AddressSanitizer, LeakSanitizer and UBSan
#   tsan     the tests that start threads, under ThreadSanitizer
#   tidy     clang-tidy over every C file
#   fuzz     each fuzz target for FUZZ_SECONDS (30), all at once, on a copy of its corpus
#   install  what is installed can be built against; the units are sound
#
# Each command is printed as it runs and can be repeated by hand from the root of the project.
# Builds and logs stay in $BUILD (build/): run it again and only what changed is built.
set -u
unset CDPATH
# The sanitizers of gcc 12 and clang 14 do not find room for their shadow among addresses more random
# than this. By hand: setarch -R COMMAND.
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] &&
	[ -z "${CHECK_FIXED_ADDRESSES:-}" ] && setarch -R true 2>/dev/null; then
	CHECK_FIXED_ADDRESSES=1 exec setarch -R sh "$0" "$@"
fi
cd "$(dirname "$0")/.." || exit 1
exec </dev/null

BUILD=${BUILD:-build}
FUZZ_SECONDS=${FUZZ_SECONDS:-30}
jobs=$(nproc)
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp"
export PYTHONDONTWRITEBYTECODE=1
passed=0
failed=0

# Runs a command, seen on the terminal as a line, its output kept in the step's log.
run() {
	echo "  $*"
	echo "\$ $*" >>"$log"
	"$@" >>"$log" 2>&1
}

# count PASSED FAILED: of the step that is running. What failed is at the end of the log.
count() {
	step_passed=$((step_passed + $1))
	step_failed=$((step_failed + $2))
	if [ "$2" != 0 ]; then
		echo "  -- the end of $log"
		tail -n 60 "$log" | sed 's/^/  | /'
	fi
}

# One thing that is not a meson test, counted as one.
one() {
	if run "$@"; then
		count 1 0
	else
		count 0 1
		return 1
	fi
}

# configure NAME [OPTION...]: once a build folder.
configure() {
	folder=$BUILD/$1
	shift
	[ -f "$folder/build.ninja" ] || run meson setup "$folder" "$@" || { count 0 1; return 1; }
}

# build NAME: a failure counts as one.
build() {
	run ninja -j"$jobs" -C "$BUILD/$1" || { count 0 1; return 1; }
}

# meson_test NAME [OPTION...]: counts what meson counted.
meson_test() {
	folder=$BUILD/$1
	shift
	: >"$folder/summary"
	echo "  meson test -C $folder $*"
	echo "\$ meson test -C $folder $*" >>"$log"
	meson test -C "$folder" --print-errorlogs "$@" >"$folder/summary" 2>&1
	status=$?
	cat "$folder/summary" >>"$log"
	# shellcheck disable=SC2046 # two numbers
	set -- $(awk '
		/^(Ok|Expected Fail): / { passed += $NF }
		/^(Fail|Unexpected Pass|Timeout): / { failed += $NF }
		END { print passed + 0, failed + 0 }' "$folder/summary")
	[ "$status" != 0 ] && [ "$2" = 0 ] && set -- "$1" 1
	count "$1" "$2"
}

step_format() {
	one sh tools/format.sh
}

step_gcc() {
	configure gcc -Dwerror=true -Dtests=enabled && build gcc && meson_test gcc --no-rebuild
}

step_clang() {
	configure clang --native-file tools/clang.ini -Dwerror=true -Dtests=enabled -Dsystemd=disabled &&
		build clang && meson_test clang --no-rebuild --suite unit
}

step_asan() {
	configure asan -Db_sanitize=address,undefined -Db_lundef=false -Dtests=enabled &&
		build asan && meson_test asan --no-rebuild --no-suite lint -t 4
}

# Only what its tests need is built.
step_tsan() {
	configure tsan -Db_sanitize=thread -Db_lundef=false -Dtests=enabled &&
		meson_test tsan --suite threads -t 10
}

step_tidy() {
	configure gcc -Dwerror=true -Dtests=enabled && one ninja -C "$BUILD/gcc" tidy
}

step_fuzz() {
	configure fuzz --native-file tools/clang.ini -Dfuzz=true -Dtests=disabled -Dsystemd=disabled \
		-Db_lundef=false || return
	[ -n "$(ls tests/fuzz/fuzz_*.c 2>/dev/null)" ] || return 0
	run ninja -j"$jobs" -C "$BUILD/fuzz" fuzzers || { count 0 1; return; }
	running=
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		corpus=$BUILD/fuzz/corpus/$name
		rm -rf "$corpus"
		mkdir -p "$corpus"
		cp -R "tests/fuzz/corpus/${name#fuzz_}/." "$corpus" 2>>"$log"
		set -- "$BUILD/fuzz/tests/fuzz/$name" -max_total_time="$FUZZ_SECONDS" -rss_limit_mb=1024 \
			-print_final_stats=1 -artifact_prefix="$BUILD/fuzz/" "$corpus"
		echo "  $*"
		"$@" >"$BUILD/fuzz/$name.log" 2>&1 &
		running="$running $name:$!"
	done
	for each in $running; do
		wait "${each#*:}"
		status=$?
		cat "$BUILD/fuzz/${each%:*}.log" >>"$log"
		if [ "$status" = 0 ]; then count 1 0; else count 0 1; fi
	done
}

step_install() {
	configure gcc -Dwerror=true -Dtests=enabled && build gcc || return
	one sh tests/check_install.sh "$BUILD/gcc" "$BUILD/install"
}

run_step() {
	step=$1
	step_passed=0
	step_failed=0
	log=$BUILD/logs/$step.log
	started=$(date +%s)
	: >"$log"
	echo "== $step"
	"step_$step"
	echo "  $step: $step_passed passed, $step_failed failed, $(($(date +%s) - started)) s"
	passed=$((passed + step_passed))
	failed=$((failed + step_failed))
}

steps='format gcc clang asan tsan tidy fuzz install'
case "${1:-}" in
'') chosen=$steps ;;
quick) chosen=gcc ;;
*) chosen=$* ;;
esac
for step in $chosen; do
	case " $steps " in
	*" $step "*) ;;
	*)
		echo "usage: check.sh [quick | STEP...]; steps: $steps" >&2
		exit 2
		;;
	esac
done

mkdir -p "$BUILD/logs"
if ! sh tools/install-deps.sh check; then
	echo "0 passed, 1 failed"
	exit 1
fi
for step in $chosen; do
	run_step "$step"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
