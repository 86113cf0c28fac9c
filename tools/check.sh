#!/bin/sh
# check.sh [SET | STEP...] - checks the project; the last line is `N passed, N failed`.
#
# The sets:
#   commit  before each commit: format gcc
#   push    the whole gate, and what runs when nothing is named:
#           format gcc integration clang asan tsan tidy fuzz install
#   night   before a piece of work is called done, an hour:
#           format gcc integration clang asan_all tsan_ten tidy_all install fuzz_long rounds rows coverage
#
# The steps:
#   format       clang-format agrees with every C file
#   gcc          build with warnings as errors; the rules of the tree, unit tests, inputs of the fuzzers
#   integration  all integration tests, of the same build
#   clang        build with clang and without OpenSSL and libmicrohttpd, unit tests
#   asan         AddressSanitizer, LeakSanitizer and UBSan: unit tests, a sixth of the integration cases
#   tsan         ThreadSanitizer: the tests that start threads, of integration a sixth of the cases
#   tidy         clang-tidy over every C file; its analyzer deep where something changed
#   fuzz         each fuzz target for FUZZ_SECONDS (20), on a copy of its corpus
#   install      what is installed can be built against; the units are sound; a wheel of the Python package works
#   asan_all     all tests under AddressSanitizer, LeakSanitizer and UBSan
#   tsan_ten     as tsan, ten times, with a third of the cases, each time by another seed, which chooses others
#   tidy_all     clang-tidy, its analyzer deep everywhere
#   fuzz_long    each fuzz target for FUZZ_LONG_SECONDS (300)
#   rounds       kills, damage and models at length
#   rows         10 million rows
#   coverage     which lines the unit and integration tests run: a summary by folder
#
# REPSTORE_SEED decides what tests choose at random, and which cases: 1 unless told, at night the date.
# It is printed, and the same seed makes the same choices.
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
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
FUZZ_LONG_SECONDS=${FUZZ_LONG_SECONDS:-300}
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

# build NAME [TARGET...]: a failure counts as one.
build() {
	folder=$BUILD/$1
	shift
	run ninja -j"$jobs" -C "$folder" "$@" || { count 0 1; return 1; }
}

# meson_test [NAME=VALUE...] NAME [OPTION...]: counts what meson counted.
meson_test() {
	set -- "$@" --print-errorlogs
	settings=
	while [ "${1#*=}" != "$1" ]; do
		settings="$settings$1 "
		shift
	done
	folder=$BUILD/$1
	shift
	: >"$folder/summary"
	echo "  ${settings}meson test -C $folder $*"
	echo "\$ ${settings}meson test -C $folder $*" >>"$log"
	# shellcheck disable=SC2086 # a list of settings
	env $settings meson test -C "$folder" "$@" >"$folder/summary" 2>&1
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

# Sanitizers need the lines of the code, and no more of its symbols: that builds a sixth faster.
lines_only='-Ddebug=false -Dc_args=-g1'

configure_gcc() {
	configure gcc -Dwerror=true -Dtests=enabled
}

configure_asan() {
	# shellcheck disable=SC2086 # a list of options
	configure asan -Db_sanitize=address,undefined -Db_lundef=false $lines_only -Dtests=enabled
}

configure_tsan() {
	# shellcheck disable=SC2086 # a list of options
	configure tsan -Db_sanitize=thread -Db_lundef=false $lines_only -Dtests=enabled
}

step_format() {
	one sh tools/format.sh
}

step_gcc() {
	configure_gcc && build gcc && meson_test gcc --no-rebuild --no-suite integration
}

step_integration() {
	configure_gcc && build gcc && meson_test gcc --no-rebuild --suite integration
}

step_clang() {
	configure clang --native-file tools/clang.ini -Dwerror=true -Dtests=enabled -Dtls=disabled \
		-Dhttp=disabled \
		-Ddebug=false && build clang && meson_test clang --no-rebuild --suite unit
}

step_asan() {
	configure_asan && build asan || return
	meson_test asan --no-rebuild --no-suite lint --no-suite integration -t 4
	meson_test REPSTORE_SHARE=6 asan --no-rebuild --suite integration -t 4
}

step_asan_all() {
	configure_asan && build asan && meson_test asan --no-rebuild --no-suite lint -t 4
}

# Only what its tests need is built.
step_tsan() {
	configure_tsan && meson_test REPSTORE_SHARE=6 tsan --suite threads -t 10
}

step_tsan_ten() {
	configure_tsan || return
	for round in 1 2 3 4 5 6 7 8 9 10; do
		meson_test "REPSTORE_SEED=$((REPSTORE_SEED + round))" REPSTORE_SHARE=3 tsan --suite threads -t 10
	done
}

# The build tells which headers each file includes.
step_tidy() {
	configure_gcc && build gcc && one env TIDY=changed ninja -C "$BUILD/gcc" tidy
}

step_tidy_all() {
	configure_gcc && build gcc && one ninja -C "$BUILD/gcc" tidy
}

# fuzz SECONDS: all targets at once. An input that fails is kept in $BUILD/fuzz/.
fuzz() {
	configure fuzz --native-file tools/clang.ini -Dfuzz=true -Dtests=disabled \
		-Db_lundef=false -Ddebug=false -Dc_args=-g1 || return
	[ -n "$(ls tests/fuzz/fuzz_*.c 2>/dev/null)" ] || return 0
	build fuzz fuzzers || return
	running=
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		# Without OpenSSL, or libmicrohttpd, there is nothing that it could be of.
		[ -x "$BUILD/fuzz/tests/fuzz/$name" ] || continue
		corpus=$BUILD/fuzz/corpus/$name
		rm -rf "$corpus"
		mkdir -p "$corpus"
		cp -R "tests/fuzz/corpus/${name#fuzz_}/." "$corpus" 2>>"$log"
		set -- "$1" "$BUILD/fuzz/tests/fuzz/$name" -max_total_time="$1" -seed="$REPSTORE_SEED" \
			-rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$BUILD/fuzz/" "$corpus"
		seconds=$1
		shift
		echo "  $*"
		"$@" >"$BUILD/fuzz/$name.log" 2>&1 &
		running="$running $name:$!"
		set -- "$seconds"
	done
	for each in $running; do
		wait "${each#*:}"
		status=$?
		cat "$BUILD/fuzz/${each%:*}.log" >>"$log"
		if [ "$status" = 0 ]; then count 1 0; else count 0 1; fi
	done
}

step_fuzz() {
	fuzz "$FUZZ_SECONDS"
}

step_fuzz_long() {
	fuzz "$FUZZ_LONG_SECONDS"
}

step_install() {
	configure_gcc && build gcc || return
	one sh tests/check_install.sh "$BUILD/gcc" "$BUILD/install"
	one sh tests/check_wheel.sh "$BUILD/gcc" "$BUILD/wheel"
}

step_rounds() {
	configure_gcc && build gcc || return
	meson_test REPSTORE_ROUNDS=100 gcc --no-rebuild -t 20 kill
	meson_test REPSTORE_ROUNDS=200 gcc --no-rebuild -t 20 write_kill
	meson_test REPSTORE_ROWS=1000000 REPSTORE_LOG_BYTES=500000000 gcc --no-rebuild -t 20 write_kill
	meson_test REPSTORE_ROUNDS=100 gcc --no-rebuild -t 20 observe_kill
	meson_test REPSTORE_ROUNDS=100 gcc --no-rebuild -t 20 append_kill
	meson_test REPSTORE_ROUNDS=100 gcc --no-rebuild -t 20 backup
	meson_test REPSTORE_FLIPS=200 gcc --no-rebuild -t 20 verify
	meson_test REPSTORE_FLIPS=3000 gcc --no-rebuild -t 20 damage
	meson_test REPSTORE_SECONDS=60 gcc --no-rebuild -t 20 write_snapshot
	meson_test REPSTORE_GROW=2000000 gcc --no-rebuild -t 20 write_semantics
	one "$BUILD/gcc/tests/unit/test_power_loss" 2000
	one "$BUILD/gcc/tests/unit/test_balls" 100000
	one "$BUILD/gcc/tests/unit/test_model" 1000000 10
	one "$BUILD/gcc/tests/unit/test_model_history" 1000000 10
}

step_rows() {
	configure_gcc && build gcc || return
	one "$BUILD/gcc/tests/bench/bench_lookup" 10000000
	one "$BUILD/gcc/tests/bench/bench_balls" 10000000 64 norms 1
}

step_coverage() {
	configure coverage -Db_coverage=true -Dtests=enabled && build coverage || return
	find "$BUILD/coverage" -name '*.gcda' -exec rm -f {} +
	meson_test coverage --no-rebuild --no-suite lint -t 4
	one tests/coverage "$BUILD/coverage" && tail -n 40 "$log" | sed -n '/^FOLDER/,$s/^/  | /p'
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

commit='format gcc'
push="$commit integration clang asan tsan tidy fuzz install"
night="$commit integration clang asan_all tsan_ten tidy_all install fuzz_long rounds rows coverage"
steps="$push asan_all tsan_ten tidy_all fuzz_long rounds rows coverage"
seed=1
case "${1:-push}" in
commit) chosen=$commit ;;
push) chosen=$push ;;
night)
	chosen=$night
	seed=$(date +%Y%m%d)
	;;
*) chosen=$* ;;
esac
for step in $chosen; do
	case " $steps " in
	*" $step "*) ;;
	*)
		echo "usage: check.sh [commit | push | night | STEP...]; steps: $steps" >&2
		exit 2
		;;
	esac
done
export REPSTORE_SEED="${REPSTORE_SEED:-$seed}"

mkdir -p "$BUILD/logs"
if ! sh tools/install-deps.sh check; then
	echo "0 passed, 1 failed"
	exit 1
fi
echo "seed $REPSTORE_SEED (REPSTORE_SEED=$REPSTORE_SEED repeats it)"
for step in $chosen; do
	run_step "$step"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
