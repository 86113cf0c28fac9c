/* test_model.c - random writes, reads, merges, restarts and publishes, held against plain arrays.
 *
 *   test_model [OPERATIONS [SEEDS]]    rows written, deleted or read; 100,000 and 1 unless told
 *
 * The first seed is REPSTORE_SEED, or 1. It is printed.
 *
 * Two releases have a table of each dtype and key type. After each step what the store answers must
 * be what the arrays hold; a step is tens of rows, so that repeated keys meet in one request.
 */
#include "daemon/store/admin/admin.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/write/write.h"
#include "tests/unit/store/plain.h"
#include "tests/unit/store/scratch.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	RELEASES = 2,
	TABLES = 10,
	KEYS = 700,
	POOL = 512,
	BATCH_MAX = 64,
	PARTS_MAX = 3,
	DIM = 24,
	VIEWS = 2
};

/* What a key has. */
struct cell {
	bool there;
	uint32_t pool; /* number of its row in the plain rows */
	int64_t time_ms;
	uint64_t tags;
};

struct model {
	struct scratch *scratch;
	uint64_t random;
	struct plain plain[TABLES];
	struct cell cells[RELEASES][TABLES][KEYS];
	unsigned live;
	uint64_t operations;
	unsigned merges;
	unsigned restarts;
};

static uint64_t operations_max = 100000;
static uint64_t first_seed = 1;
static uint64_t seeds = 1;

static uint32_t below(struct model *model, uint32_t bound)
{
	return (uint32_t)(plain_random(&model->random) % bound);
}

static const char *release_name(unsigned release)
{
	return release == 0 ? "r0" : "r1";
}

/* ---- setup ---- */

static struct table_spec spec_of(unsigned table)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I8, DTYPE_BIT};
	char name[16];
	(void)snprintf(name, sizeof name, "t%u", table);
	struct table_spec spec =
		scratch_spec(name, dtypes[table / 2], table % 2 == 0 ? KEY_U64 : KEY_BYTES, DIM);
	spec.views = VIEWS;
	spec.tags = table % 3 == 0;
	return spec;
}

static void make_releases(struct model *model)
{
	struct error err = {0};
	for (unsigned release = 0; release < RELEASES; release++) {
		const char *id = release_name(release);
		const struct name name = {.text = {id[0], id[1]}};
		const struct release_labels labels = {0};
		uint64_t number;
		scratch_must(store_release_create(model->scratch->store, &name, &labels, &number,
				     &err),
			&err);
		for (unsigned table = 0; table < TABLES; table++) {
			scratch_must(store_table_create(model->scratch->store, id,
					     &model->plain[table].spec, NULL, &err),
				&err);
		}
		scratch_seal(model->scratch, id);
	}
	scratch_publish(model->scratch, release_name(0));
}

/* ---- steps ---- */

/* A batch of random keys, and their columns. */
struct batch {
	unsigned release;
	unsigned table;
	uint32_t count;
	uint32_t keys[BATCH_MAX];
	uint32_t pool[BATCH_MAX];
	int64_t times[BATCH_MAX];
	uint64_t tags[BATCH_MAX];
	float scales[BATCH_MAX];
	struct keys packed;
	uint8_t *rows; /* owned */
};

static void make_batch(struct model *model, unsigned release, struct batch *batch)
{
	*batch = (struct batch){.release = release};
	batch->table = below(model, TABLES);
	batch->count = 1 + below(model, BATCH_MAX);
	const struct plain *plain = &model->plain[batch->table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	batch->rows = malloc(batch->count * row_bytes);
	assert_non_null(batch->rows);
	for (uint32_t i = 0; i < batch->count; i++) {
		batch->keys[i] = below(model, KEYS);
		batch->pool[i] = below(model, POOL);
		batch->times[i] = SCRATCH_NOW_MS - below(model, 1000);
		batch->tags[i] = plain_random(&model->random);
		batch->scales[i] = plain->scales[batch->pool[i]];
		memcpy(batch->rows + i * row_bytes, plain->rows + batch->pool[i] * row_bytes,
			row_bytes);
	}
	plain_batch(plain, batch->keys, batch->count, &batch->packed);
	model->operations += batch->count;
}

static void free_batch(struct batch *batch)
{
	free((void *)batch->packed.packed);
	free((void *)batch->packed.at);
	free(batch->rows);
}

/* Batches of one release that are written together. */
struct write {
	size_t count;
	struct batch batches[PARTS_MAX];
	struct table_write parts[PARTS_MAX];
	struct row_write row_write;
};

static struct table_write part_of(const struct model *model, const struct batch *batch)
{
	const struct table_spec *spec = &model->plain[batch->table].spec;
	return (struct table_write){
		.table = spec->name.text,
		.batch =
			{
				.keys = batch->packed,
				.dtype = spec->dtype,
				.rows = batch->rows,
				.rows_bytes = batch->packed.count * spec_row_bytes(spec),
				.scales = spec->dtype == DTYPE_I8 ? (const uint8_t *)batch->scales
								  : NULL,
				.times = (const uint8_t *)batch->times,
				.tags = spec->tags ? (const uint8_t *)batch->tags : NULL,
			},
	};
}

static void make_write(struct model *model, struct write *write)
{
	write->count = 1 + below(model, PARTS_MAX);
	const unsigned release = below(model, RELEASES);
	for (size_t i = 0; i < write->count; i++) {
		make_batch(model, release, &write->batches[i]);
		write->parts[i] = part_of(model, &write->batches[i]);
	}
	const bool live = release == model->live && write->batches[0].count % 2 == 0;
	write->row_write = (struct row_write){
		.release = live ? "live" : release_name(release),
		.parts = write->parts,
		.part_count = write->count,
		.if_newer = below(model, 3) == 0,
		.now_ms = SCRATCH_NOW_MS,
	};
}

static void free_write(struct write *write)
{
	for (size_t i = 0; i < write->count; i++) {
		free_batch(&write->batches[i]);
	}
}

/* Returns how many rows the put has changed. */
static uint64_t put_in_cells(struct model *model, const struct batch *batch, bool if_newer)
{
	uint64_t applied = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct cell *cell = &model->cells[batch->release][batch->table][batch->keys[i]];
		if (if_newer && cell->there && batch->times[i] <= cell->time_ms) {
			continue;
		}
		applied++;
		*cell = (struct cell){true, batch->pool[i], batch->times[i],
			model->plain[batch->table].spec.tags ? batch->tags[i] : 0};
	}
	return applied;
}

static void put(struct model *model)
{
	struct write write;
	struct write_result result;
	struct write_ticket *ticket;
	struct error err = {0};
	make_write(model, &write);
	scratch_must(store_put(model->scratch->store, &write.row_write, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
	uint64_t applied = 0;
	for (size_t i = 0; i < write.count; i++) {
		applied += put_in_cells(model, &write.batches[i], write.row_write.if_newer);
	}
	assert_int_equal(result.count, applied);
	(void)snapshot_begin(model->scratch->store);
	assert_true(store_visible(model->scratch->store) >= result.sequence);
	snapshot_end(model->scratch->store);
	free_write(&write);
}

static void delete (struct model *model)
{
	struct write write;
	struct write_result result;
	struct write_ticket *ticket;
	struct error err = {0};
	make_write(model, &write);
	scratch_must(store_delete(model->scratch->store, &write.row_write, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
	uint64_t deleted = 0;
	for (size_t part = 0; part < write.count; part++) {
		const struct batch *batch = &write.batches[part];
		for (uint32_t i = 0; i < batch->count; i++) {
			struct cell *cell =
				&model->cells[batch->release][batch->table][batch->keys[i]];
			deleted += cell->there;
			cell->there = false;
		}
	}
	assert_int_equal(result.count, deleted);
	free_write(&write);
}

/* ---- answers ---- */

static const struct table *begin(struct model *model, unsigned release, unsigned table)
{
	struct error err = {0};
	const struct release *of;
	const struct table *found;
	const struct snapshot *snapshot = snapshot_begin(model->scratch->store);
	scratch_must(snapshot_release(snapshot, release_name(release), &of, &err), &err);
	scratch_must(release_table(of, model->plain[table].spec.name.text, &found, &err), &err);
	return found;
}

static void expect_row(const struct model *model, unsigned table, const struct cell *cell,
	const uint8_t *row, const uint8_t *scale)
{
	const struct plain *plain = &model->plain[table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	assert_memory_equal(row, plain->rows + cell->pool * row_bytes, row_bytes);
	if (plain->spec.dtype == DTYPE_I8) {
		assert_memory_equal(scale, &plain->scales[cell->pool], sizeof(float));
	}
}

static void fetch(struct model *model)
{
	struct batch batch;
	struct error err = {0};
	make_batch(model, below(model, RELEASES), &batch);
	const struct table_spec *spec = &model->plain[batch.table].spec;
	const size_t row_bytes = spec_row_bytes(spec);
	uint8_t why[BATCH_MAX];
	uint8_t found[BATCH_MAX / 8];
	struct lookup lookup = {
		.table = begin(model, batch.release, batch.table),
		.keys = batch.packed,
		.dtype = spec->dtype,
		.visible = store_visible(model->scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = batch.rows,
		.found = found,
		.scales = (uint8_t *)batch.scales,
		.times = (uint8_t *)batch.times,
		.tags = spec->tags ? (uint8_t *)batch.tags : NULL,
		.why = why,
	};
	lookup.scales = spec->dtype == DTYPE_I8 ? lookup.scales : NULL;
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(model->scratch->store);
	for (uint32_t i = 0; i < batch.count; i++) {
		const struct cell *cell = &model->cells[batch.release][batch.table][batch.keys[i]];
		assert_int_equal(why[i], cell->there ? WHY_FOUND : WHY_ABSENT);
		if (cell->there) {
			expect_row(model, batch.table, cell, batch.rows + i * row_bytes,
				(const uint8_t *)&batch.scales[i]);
			assert_int_equal(batch.times[i], cell->time_ms);
			assert_true(!spec->tags || batch.tags[i] == cell->tags);
		}
	}
	free_batch(&batch);
}

/* The number of a key that a scan has brought. */
static uint32_t number_of(const struct plain *plain, const uint8_t *key, size_t len)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		const uint8_t *known = plain->packed + plain->at[i];
		const bool same = plain->spec.key_type == KEY_U64
					  ? memcmp(known, key, 8) == 0
					  : known[0] == len && memcmp(known + 1, key, len) == 0;
		if (same) {
			return i;
		}
	}
	fail_msg("a key that was never written");
	return 0;
}

static void expect_scanned(struct model *model, unsigned release, unsigned table,
	const struct scan *scan, bool *seen)
{
	const struct plain *plain = &model->plain[table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	const uint8_t *key = scan->keys;
	for (uint32_t i = 0; i < scan->count; i++) {
		size_t len = 8;
		if (plain->spec.key_type == KEY_BYTES) {
			len = *key++;
		}
		const uint32_t number = number_of(plain, key, len);
		key += len;
		const struct cell *cell = &model->cells[release][table][number];
		assert_true(cell->there);
		assert_false(seen[number]);
		seen[number] = true;
		expect_row(model, table, cell, scan->rows + i * row_bytes,
			scan->scales == NULL ? NULL : scan->scales + (size_t)i * 4);
		assert_memory_equal(scan->times + (size_t)i * 8, &cell->time_ms, 8);
	}
}

static void scan_all(struct model *model)
{
	const unsigned release = below(model, RELEASES);
	const unsigned table = below(model, TABLES);
	bool seen[KEYS] = {false};
	struct scan scan = {.limit = 1 + below(model, 200), .bytes_max = 1 << 20};
	do {
		struct error err = {0};
		scan.table = begin(model, release, table);
		scan.visible = store_visible(model->scratch->store);
		scan.dtype = scan.table->spec.dtype;
		scan.now_ms = SCRATCH_NOW_MS;
		scratch_must(table_scan(&scan, &err), &err);
		expect_scanned(model, release, table, &scan, seen);
		model->operations += scan.count;
		snapshot_end(model->scratch->store);
		scan_fini(&scan);
	} while (scan.more);
	for (uint32_t i = 0; i < KEYS; i++) {
		assert_int_equal(seen[i], model->cells[release][table][i].there);
	}
}

static void merge(struct model *model)
{
	struct merge_result result;
	struct error err = {0};
	scratch_must(store_merge(model->scratch->store, NULL, &result, &err), &err);
	model->merges++;
}

static void step(struct model *model)
{
	const uint32_t what = below(model, 1000);
	if (what < 450) {
		put(model);
	} else if (what < 550) {
		delete (model);
	} else if (what < 960) {
		fetch(model);
	} else if (what < 980) {
		scan_all(model);
	} else if (what < 985) {
		model->live = below(model, RELEASES);
		scratch_publish(model->scratch, release_name(model->live));
	} else if (what < 995) {
		merge(model);
	} else {
		scratch_reopen(model->scratch);
		model->restarts++;
	}
}

static void the_store_is_what_was_written(void **state)
{
	struct model *model = calloc(1, sizeof *model);
	assert_non_null(model);
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
		print_message("seed %" PRIu64 ": ", seed);
		(void)scratch_setup_small_store(state);
		memset(model, 0, sizeof *model);
		model->scratch = *state;
		model->random = seed;
		for (unsigned table = 0; table < TABLES; table++) {
			const struct table_spec spec = spec_of(table);
			plain_make(&model->plain[table], &spec, KEYS);
		}
		make_releases(model);
		while (model->operations < operations_max) {
			step(model);
		}
		print_message("%" PRIu64 " operations, %u merges, %u restarts\n", model->operations,
			model->merges, model->restarts);
		if (operations_max >= 100000) {
			/* Else the store was held against the arrays in one state only. */
			assert_true(model->merges > 0);
			assert_true(model->restarts > 0);
		}
		for (unsigned table = 0; table < TABLES; table++) {
			plain_fini(&model->plain[table]);
		}
		(void)scratch_teardown(state);
	}
	free(model);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("REPSTORE_SEED");
	first_seed = seed != NULL ? strtoull(seed, NULL, 10) : first_seed;
	operations_max = argc > 1 ? strtoull(argv[1], NULL, 10) : operations_max;
	seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : seeds;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_is_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
