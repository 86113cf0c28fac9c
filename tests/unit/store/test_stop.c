/* test_stop.c - long work ends when its time is over, when nobody waits for it, and when the store
 * closes; what was not changed by then stays as it was. */
#include "daemon/store/system/stop.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/memtable/memtable.h"
#include "daemon/store/memtable/memtable_merge.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/write/write.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/plain.h"
#include "tests/unit/wait.h"

#include <cmocka.h>

enum { ROWS = 700, ROW_BYTES = 4 * sizeof(float) };

static atomic_bool yes = true;
static atomic_bool no = false;

static bool says(void *context)
{
	return *(const bool *)context;
}

/* Asked once, since who has called it off is asked no more, and who has not for a while. */
static bool goes_on = false;
static bool is_over = true;
static struct stop_asking stays = {.is_over = says, .context = &goes_on};
static struct stop_asking leaves = {.is_over = says, .context = &is_over};

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
	{{.asking = &stays}, STATUS_OK},
	{{.asking = &leaves, .read_ms = 1, .timeout_ms = 1}, STATUS_CLOSED},
};
static const struct stop closing = {.gone = &no, .closing = &yes};
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
	assert_int_equal(stop_check(&closing, &err), STATUS_BUSY);
	assert_string_equal(err.text, "the daemon is stopping");
	const struct stop waited = {.read_ms = 1, .waited_ms = 7, .timeout_ms = 30};
	assert_int_equal(stop_check(&waited, &err), STATUS_TIMEOUT);
	assert_string_equal(err.text, "not done in timeout_ms, 30, of which it waited 7");
	assert_true(stop_ends_ns(&waited) == UINT64_C(31) * 1000000);
	assert_true(stop_ends_ns(&stops[0].stop) == UINT64_MAX);
	assert_true(stop_look_ms(NULL) == UINT64_MAX);
	assert_true(stop_look_ms(&waited) == 31);
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	const uint64_t look_ms = stop_look_ms(&stops[0].stop); /* a flag rings no bell */
	assert_true(look_ms > now_ms && look_ms < UINT64_MAX);
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

static void a_seal_ends_early_and_leaves_the_release_open(void **state)
{
	struct scratch *scratch = *state;
	char folder[PATH_MAX];
	struct seal_result result;
	struct error err = {0};
	scratch_release(scratch, "r1");
	scratch_chunk(scratch, "r1", "l", 0, (struct scratch_rows){0, ROWS, 1});
	scratch_end(scratch, "r1", "l", 1, ROWS);
	scratch_path(scratch, folder, "releases/1");
	for (size_t i = 0; i < STOPS; i++) {
		if (stops[i].status != STATUS_OK) {
			assert_int_equal(store_seal(scratch->store, "r1", &stops[i].stop, &result,
						 &err),
				stops[i].status);
			assert_int_equal(scratch_count(folder, "base-"), 0);
		}
	}
	scratch_chunk(scratch, "r1", "more", 0, (struct scratch_rows){ROWS, 1, 1});
	scratch_end(scratch, "r1", "more", 1, 1);
	scratch_must(store_seal(scratch->store, "r1", &stops[1].stop, &result, &err), &err);
	assert_int_equal(result.rows, ROWS + 1);
}

/* Waits until a merge has what was put: what is put from then on is for the next one. */
static void await_cut(struct scratch *scratch)
{
	struct wait wait = {0};
	bool is_cut = false;
	while (!is_cut) {
		wait_a_moment(&wait);
		const struct memtable *memtable = scratch_table(scratch, "t")->memtable;
		is_cut = memtable_is_frozen(memtable) || memtable_is_empty(memtable);
		snapshot_end(scratch->store);
	}
}

static void a_merge_is_waited_for_no_longer(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct merge_result result;
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	scratch_close(scratch);
	scratch->write.merge_rate = 10000; /* a file takes over a second */
	scratch_open(scratch);
	for (size_t i = 0; i < STOPS; i++) {
		if (stops[i].status != STATUS_OK) {
			scratch_put(scratch, "r1", (struct scratch_rows){0, ROWS, 2});
			assert_int_equal(store_merge(scratch->store, &stops[i].stop, &result, &err),
				stops[i].status);
			await_cut(scratch);
		}
	}
	/* The store closes in the middle of the merge, and loses nothing. */
	scratch->write.merge_rate = UINT64_C(1) << 30;
	scratch_reopen(scratch);
	scratch_must(store_merge(scratch->store, &stops[1].stop, &result, &err), &err);
	assert_int_equal(result.tables, 1);
	scratch_expect(scratch, "r1", 0, ROWS, 2);
}

static void a_write_waits_for_room_no_longer(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	struct write_result result;
	struct write_ticket *ticket = NULL;
	const uint64_t key = 1;
	const float row[SCRATCH_DIM] = {0};
	scratch_sealed(scratch, "r1", 0, ROWS, 1);
	const uint64_t much = UINT64_C(1) << 40;
	struct table_write part = {.table = "t",
		.batch = {.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)row,
			.rows_bytes = sizeof row}};
	struct row_write write = {.release = "r1",
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS};
	for (size_t i = 0; i < STOPS; i++) {
		write.stop = &stops[i].stop;
		if (stops[i].status != STATUS_OK) {
			/* As if the memtables had so much. */
			atomic_fetch_add(&scratch->store->usage.bytes, much);
			assert_int_equal(store_put(scratch->store, &write, &result, &ticket, &err),
				stops[i].status);
			assert_null(ticket);
			atomic_fetch_sub(&scratch->store->usage.bytes, much);
		}
	}
	assert_int_equal(scratch_version(scratch, "r1", key), 1);
	write.stop = &stops[1].stop;
	scratch_must(store_put(scratch->store, &write, &result, &ticket, &err), &err);
	scratch_must(store_write_wait(ticket, &err), &err);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_told_why),
		cmocka_unit_test(a_scan_ends_early),
		cmocka_unit_test(a_lookup_ends_early),
		cmocka_unit_test(a_seal_ends_early_and_leaves_the_release_open),
		cmocka_unit_test(a_merge_is_waited_for_no_longer),
		cmocka_unit_test(a_write_waits_for_room_no_longer),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, scratch_setup_small_store,
		scratch_teardown);
}
