/* test_model.c - random writes, reads, merges, restarts and publishes, held against plain arrays.
 *
 *   test_model [OPERATIONS [SEEDS]]    rows written, deleted or read; 100,000 and 1 unless told
 *
 * The first seed is REPSTORE_SEED, or 1. It is printed.
 *
 * Two releases have a table of each dtype and key type. After each step what the store answers must
 * be what the arrays hold; a step is tens of rows, so that repeated keys meet in one request. The store's
 * thresholds are so low that tables have deltas, which are merged with each other and into the base.
 */
#include "daemon/store/admin/admin.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/store/model.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RELEASES = 2, KEYS = MODEL_KEYS, POOL = 512, DIM = 24, VIEWS = 2 };

struct run {
	struct model model;
	struct model_cells cells;
	unsigned live;
	unsigned merges;
	unsigned restarts;
	size_t levels[RELEASES][MODEL_TABLES]; /* when last looked at */
	size_t levels_max;
	unsigned deltas; /* merges that added one */
	unsigned tiers;  /* merges of deltas that left deltas */
	unsigned bases;  /* merges of deltas into a base */
	unsigned mixed;  /* tables that were seen with a part of a delta in the base */
};

static uint64_t operations_max = 100000;
static uint64_t first_seed = 1;
static uint64_t seeds = 1;

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
		const char *id = model_release_name(release);
		const struct name name = {.text = {id[0], id[1]}};
		const struct release_labels labels = {0};
		uint64_t number;
		scratch_must(store_release_create(model->scratch->store, &name, &labels, &number,
				     &err),
			&err);
		for (unsigned table = 0; table < model->tables; table++) {
			scratch_must(store_table_create(model->scratch->store, id,
					     &model->plain[table].spec, NULL, &err),
				&err);
		}
		scratch_seal(model->scratch, id);
	}
	scratch_publish(model->scratch, model_release_name(0));
}

static void begin(struct run *run, struct scratch *scratch, uint64_t seed)
{
	memset(run, 0, sizeof *run);
	run->model = (struct model){
		.scratch = scratch,
		.cells = &run->cells,
		.random = seed,
		.tables = MODEL_TABLES,
		.keys = KEYS,
		.pool = POOL,
	};
	model_init(&run->model, spec_of);
	make_releases(&run->model);
}

/* ---- steps ---- */

static void make_write(struct run *run, struct model_write *write)
{
	const unsigned release = model_below(&run->model, RELEASES);
	model_make_write(&run->model, release, write);
	if (release == run->live && write->batches[0].rows.count % 2 == 0) {
		write->row_write.release = "live";
	}
}

static void put(struct run *run)
{
	struct model *model = &run->model;
	struct model_write write;
	struct write_result result;
	struct write_ticket *ticket;
	struct error err = {0};
	make_write(run, &write);
	scratch_must(store_put(model->scratch->store, &write.row_write, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
	uint64_t applied = 0;
	for (size_t i = 0; i < write.count; i++) {
		applied += model_put(model, &write.batches[i].rows, write.row_write.if_newer);
	}
	assert_int_equal(result.count, applied);
	(void)snapshot_begin(model->scratch->store);
	assert_true(store_visible(model->scratch->store) >= result.sequence);
	snapshot_end(model->scratch->store);
	model_free_write(&write);
}

static void delete (struct run *run)
{
	struct model *model = &run->model;
	struct model_write write;
	struct write_result result;
	struct write_ticket *ticket;
	struct error err = {0};
	make_write(run, &write);
	scratch_must(store_delete(model->scratch->store, &write.row_write, &result, &ticket, &err),
		&err);
	scratch_must(store_write_wait(ticket, &err), &err);
	uint64_t deleted = 0;
	for (size_t i = 0; i < write.count; i++) {
		deleted += model_delete(model, &write.batches[i].rows);
	}
	assert_int_equal(result.count, deleted);
	model_free_write(&write);
}

/* Whether the base has taken in what a delta had for some of its hashes, and for others not yet. */
static bool is_mixed(const struct table *table)
{
	const struct level *oldest = table->level_count > 1 ? table->levels[1] : NULL;
	bool mixed = false;
	for (size_t i = 0; oldest != NULL && i < table->levels[0]->file_count; i++) {
		mixed = mixed || table->levels[0]->files[i].number > oldest->files[0].number;
	}
	return mixed;
}

/* Notes what the merges since it last looked have made of the levels of a table. */
static void look_at_levels(struct run *run, unsigned release, unsigned number)
{
	struct scratch *scratch = run->model.scratch;
	const struct model_cell *cells = run->cells.at[release][number];
	const struct table *table = model_begin(&run->model, release, number);
	const size_t before = run->levels[release][number];
	const size_t now = table->level_count;
	uint64_t there = 0;
	for (uint32_t key = 0; key < KEYS; key++) {
		there += cells[key].there;
	}
	if (now == 1 && memtable_is_empty(table->memtable)) {
		assert_int_equal(table->rows, there);
	}
	assert_true(now <= 1 + scratch->sizes.deltas_max);
	run->deltas += now > 1 && now > before;
	run->tiers += now > 1 && now < before;
	run->bases += now == 1 && before > 1;
	run->mixed += is_mixed(table);
	run->levels_max = now > run->levels_max ? now : run->levels_max;
	run->levels[release][number] = now;
	snapshot_end(scratch->store);
}

static void merge(struct run *run)
{
	struct merge_result result;
	struct error err = {0};
	struct store *store = run->model.scratch->store;
	scratch_must(model_below(&run->model, 20) == 0
			     ? store_merge_full(store, NULL, &result, &err)
			     : store_merge(store, NULL, &result, &err),
		&err);
	run->merges++;
	for (unsigned release = 0; release < RELEASES; release++) {
		for (unsigned table = 0; table < MODEL_TABLES; table++) {
			look_at_levels(run, release, table);
		}
	}
}

static void step(struct run *run)
{
	struct model *model = &run->model;
	const uint32_t what = model_below(model, 1000);
	if (what < 450) {
		put(run);
	} else if (what < 550) {
		delete (run);
	} else if (what < 960) {
		model_fetch(model, model_below(model, RELEASES));
	} else if (what < 970) {
		const unsigned release = model_below(model, RELEASES);
		model_scan(model, release, model_below(model, model->tables));
	} else if (what < 980) {
		const unsigned release = model_below(model, RELEASES);
		model_walk(model, release, model_below(model, model->tables));
	} else if (what < 985) {
		run->live = model_below(model, RELEASES);
		scratch_publish(model->scratch, model_release_name(run->live));
	} else if (what < 995) {
		merge(run);
	} else {
		scratch_reopen(model->scratch);
		run->restarts++;
	}
}

static void the_store_is_what_was_written(void **state)
{
	struct run *run = calloc(1, sizeof *run);
	unsigned tiers = 0;
	assert_non_null(run);
	for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
		print_message("seed %" PRIu64 ": ", seed);
		(void)scratch_setup_small(state);
		struct scratch *scratch = *state;
		scratch->sizes.delta_base_min = 1;
		scratch->sizes.deltas_max = 3 + seed % 5;
		scratch->sizes.range_bytes = 16384;
		scratch->sizes.delta_share = 2000;
		scratch->sizes.deltas_share = 1000 + seed % 4 * 1000;
		scratch_open(scratch);
		begin(run, *state, seed);
		while (run->model.operations < operations_max) {
			step(run);
		}
		print_message("%" PRIu64
			      " operations, %u merges, %u restarts, %u deltas, %u merges "
			      "of deltas, %u into the base, %u into a part of it, %zu levels at "
			      "most\n",
			run->model.operations, run->merges, run->restarts, run->deltas, run->tiers,
			run->bases, run->mixed, run->levels_max);
		if (operations_max >= 100000) {
			/* Else the store was held against the arrays in one state only. */
			assert_true(run->merges > 0);
			assert_true(run->restarts > 0);
			assert_true(run->deltas > 0 && run->bases > 0 && run->mixed > 0);
			tiers += run->tiers;
		}
		model_fini(&run->model);
		(void)scratch_teardown(state);
	}
	assert_true(tiers > 0 || operations_max < 100000);
	free(run);
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
