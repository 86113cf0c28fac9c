/* test_stop.c - long reads end when their time is over and when nobody waits for them. */
#include "daemon/store/system/stop.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/read/lookup.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/plain.h"

#include <cmocka.h>

enum { ROWS = 700, ROW_BYTES = 4 * sizeof(float) };

static atomic_bool yes = true;
static atomic_bool no = false;

/* What each of them answers. Time 1 of the monotonic clock was long ago. */
static const struct {
	struct stop stop;
	enum status status;
} stops[] = {
	{{.gone = NULL}, STATUS_OK},
	{{.gone = &no, .cut = &no, .read_ms = 1}, STATUS_OK},
	{{.read_ms = 1, .timeout_ms = UINT64_MAX / 2000000}, STATUS_OK},
	{{.gone = &no, .cut = &no, .read_ms = 1, .timeout_ms = 1}, STATUS_TIMEOUT},
	{{.gone = &yes, .cut = &no}, STATUS_CLOSED},
	{{.gone = &no, .cut = &yes, .read_ms = 1, .timeout_ms = 1}, STATUS_CLOSED},
};
enum { STOPS = sizeof stops / sizeof stops[0] };

static void it_is_told_why(void **state)
{
	struct error err = {0};
	(void)state;
	assert_int_equal(stop_check(NULL, &err), STATUS_OK);
	for (size_t i = 0; i < STOPS; i++) {
		assert_int_equal(stop_check(&stops[i].stop, &err), stops[i].status);
		assert_int_equal(stop_check(&stops[i].stop, NULL), stops[i].status);
	}
	const struct stop waited = {.read_ms = 1, .waited_ms = 7, .timeout_ms = 30};
	assert_int_equal(stop_check(&waited, &err), STATUS_TIMEOUT);
	assert_string_equal(err.text, "not done in timeout_ms, 30, of which it waited 7");
	assert_true(stop_ends_ns(&waited) == UINT64_C(31) * 1000000);
	assert_true(stop_ends_ns(&stops[0].stop) == UINT64_MAX);
}

/* A table of ROWS rows, in the snapshot that is begun. */
static const struct table *begin(struct scratch *scratch, struct plain *plain)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	const struct table_spec spec = scratch_spec("p", DTYPE_F32, KEY_U64, 4);
	plain_make(plain, &spec, ROWS);
	scratch_release(scratch, "r1");
	plain_load(plain, scratch, "r1", ROWS);
	scratch_seal(scratch, "r1");
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, "r1", &release, &err), &err);
	scratch_must(release_table(release, "p", &table, &err), &err);
	return table;
}

static void a_scan_ends_early(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table *table = begin(scratch, &plain);
	for (size_t i = 0; i < STOPS; i++) {
		struct error err = {0};
		struct scan scan = {.table = table,
			.limit = ROWS,
			.bytes_max = UINT64_MAX,
			.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS,
			.stop = &stops[i].stop};
		assert_int_equal(table_scan(&scan, &err), stops[i].status);
		assert_int_equal(scan.count, stops[i].status == STATUS_OK ? ROWS : 0);
		assert_true(stops[i].status == STATUS_OK || err.text[0] != '\0');
		scan_fini(&scan);
	}
	snapshot_end(scratch->store);
	plain_fini(&plain);
}

static void a_lookup_ends_early(void **state)
{
	struct scratch *scratch = *state;
	struct plain plain;
	const struct table *table = begin(scratch, &plain);
	uint8_t *rows = malloc((size_t)ROWS * ROW_BYTES);
	uint8_t found[(ROWS + 7) / 8];
	assert_non_null(rows);
	for (size_t i = 0; i < STOPS; i++) {
		struct error err = {0};
		struct lookup lookup = {.table = table,
			.keys = {KEY_U64, ROWS, plain.packed, NULL},
			.dtype = DTYPE_F32,
			.now_ms = SCRATCH_NOW_MS,
			.may_block = true,
			.stop = &stops[i].stop,
			.rows = rows,
			.found = found};
		assert_int_equal(table_lookup(&lookup, &err), stops[i].status);
		if (stops[i].status == STATUS_OK) {
			assert_int_equal(lookup.counts[WHY_FOUND], ROWS);
		} else {
			assert_string_not_equal(err.text, "");
		}
	}
	snapshot_end(scratch->store);
	free(rows);
	plain_fini(&plain);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_told_why),
		cmocka_unit_test(a_scan_ends_early),
		cmocka_unit_test(a_lookup_ends_early),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
