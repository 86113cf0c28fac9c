/* life.c - one life of a store on a disk: writes, samples, loads, seals, publishes, drops, merges. */
#include "tests/unit/power/life.h"

#include "daemon/store/admin/admin.h"
#include "daemon/store/admin/janitor.h"
#include "daemon/store/load/load.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/verify/verify.h"
#include "tests/unit/power/life_changes.h"
#include "tests/unit/store/observe_fixture.h"
#include "tests/unit/wait.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PIPELINE_MAX = 3, SAMPLES_MAX = 40, SAMPLES_ALL_MAX = 2000 };

void life_world_init(struct life_world *world, uint64_t seed)
{
	memset(world, 0, sizeof *world);
	world->seed = seed;
	world->catalogs[0].live = world->catalogs[1].live = -1;
}

static struct table_spec spec_of(unsigned table)
{
	static const enum dtype dtypes[LIFE_TABLES] = {DTYPE_F32, DTYPE_I8, DTYPE_F16};
	char name[16];
	(void)snprintf(name, sizeof name, "t%u", table);
	struct table_spec spec =
		scratch_spec(name, dtypes[table], table == 1 ? KEY_BYTES : KEY_U64, 16);
	spec.tags = table == 1;
	spec.index = table == 0 ? INDEX_BALLS : INDEX_NONE;
	return spec;
}

bool life_accepts(struct life *life, enum status status, const struct error *err)
{
	if (status == STATUS_OK) {
		return true;
	}
	disk_end_if_cut(life->disk);
	if (atomic_load(&life->disk->faults) == 0) {
		scratch_must(status, err);
	}
	print_message("%s: %s\n", status_name(status), err->text); /* seen when the life fails */
	return false;
}

/* A random release in that state; -1: none is. */
static int find_release(struct life *life, enum life_state state)
{
	const unsigned first = model_below(&life->model, MODEL_RELEASES);
	for (unsigned i = 0; i < MODEL_RELEASES; i++) {
		const unsigned release = (first + i) % MODEL_RELEASES;
		if (life_now(life->world)->releases[release].state == state) {
			return (int)release;
		}
	}
	return -1;
}

/* ---- writes ---- */

/* What was applied and waits for the disk. */
struct pipeline {
	unsigned count;
	struct write_ticket *tickets[PIPELINE_MAX];
};

/* The place of the next write in the queue. */
static struct life_write *queue_next(struct life *life)
{
	struct life_world *world = life->world;
	assert_true(world->queue_end < LIFE_QUEUE);
	struct life_write *write = &world->queue[world->queue_end];
	const struct life_write *before = world->queue_end > world->queue_first ? write - 1 : NULL;
	memset(write, 0, sizeof *write);
	write->sequence = (before != NULL ? before->sequence : world->sequence) + 1;
	return write;
}

static void submitted(struct life *life, struct pipeline *pipeline, enum status status,
	uint64_t sequence, const struct error *err)
{
	struct life_world *world = life->world;
	if (life_accepts(life, status, err)) {
		world->queue[world->queue_end - 1].sequence = sequence;
		pipeline->count++;
	} else {
		world->queue_end--;
		life->is_over = life->is_over || status == STATUS_READ_ONLY;
	}
}

static void submit_rows(struct life *life, struct pipeline *pipeline, enum life_kind kind)
{
	const int release = find_release(life, LIFE_SEALED);
	struct model_write write;
	struct write_result result = {0};
	struct error err = {0};
	if (release < 0) {
		return;
	}
	model_make_write(&life->model, (unsigned)release, &write);
	struct life_write *queued = queue_next(life);
	queued->kind = kind;
	queued->if_newer = write.row_write.if_newer;
	queued->count = write.count;
	for (size_t i = 0; i < write.count; i++) {
		queued->parts[i] = write.batches[i].rows;
	}
	life->world->queue_end++;
	const enum status status =
		(kind == LIFE_PUT ? store_put : store_delete)(life->scratch->store,
			&write.row_write, &result, &pipeline->tickets[pipeline->count], &err);
	submitted(life, pipeline, status, result.sequence, &err);
	model_free_write(&write);
}

static void submit_samples(struct life *life, struct pipeline *pipeline)
{
	static struct sample_batch batch;
	struct observe_result result = {0};
	struct error err = {0};
	struct life_world *world = life->world;
	uint64_t first = world->samples;
	for (unsigned i = world->queue_first; i < world->queue_end; i++) {
		first = world->queue[i].samples > first ? world->queue[i].samples : first;
	}
	if (life_now(world)->samples.state != LIFE_SEALED || first > SAMPLES_ALL_MAX) {
		return;
	}
	/* Some were sent before: those are passed over. */
	const uint32_t again = (uint32_t)(first < 5 ? first : model_below(&life->model, 5));
	const uint32_t count = 1 + model_below(&life->model, SAMPLES_MAX);
	struct life_write *queued = queue_next(life);
	queued->kind = LIFE_OBSERVE;
	queued->samples = first + count;
	world->queue_end++;
	struct observation *given = samples_make(&batch, first - again, again + count);
	given->first = first == again; /* else it might begin behind a batch that was taken back */
	const enum status status = store_observe(life->scratch->store, given, &result,
		&pipeline->tickets[pipeline->count], &err);
	submitted(life, pipeline, status, result.write.sequence, &err);
	if (status == STATUS_OK && atomic_load(&life->disk->faults) == 0) {
		assert_int_equal(result.write.count, count);
	}
}

/* The write of the i-th of `count` tickets, which were queued last. */
static const struct life_write *queue_entry(const struct life *life, unsigned i, unsigned count)
{
	const struct life_world *world = life->world;
	/* Those before the first one were made already. */
	return &world->queue[world->is_periodic ? world->queue_end - count + i
						: world->queue_first];
}

/* All that was acknowledged is on the disk. */
static void all_are_durable(struct life *life)
{
	struct life_world *world = life->world;
	while (world->queue_first < world->queue_end) {
		life_write_made(life);
	}
	world->queue_end = 0;
	world->queue_first = 0;
}

/* Waits for what was submitted. What was taken back is not there; after READ_ONLY nobody knows. */
static void await(struct life *life, struct pipeline *pipeline)
{
	struct life_world *world = life->world;
	for (unsigned i = 0; i < pipeline->count; i++) {
		struct error err = {0};
		const enum status status = store_write_wait(pipeline->tickets[i], &err);
		if (life_accepts(life, status, &err)) {
			const enum life_kind kind = queue_entry(life, i, pipeline->count)->kind;
			if (!world->is_periodic) {
				life_write_made(life);
			}
			world->done[kind == LIFE_OBSERVE ? LIFE_SAMPLE : LIFE_WRITE]++;
		} else if (status == STATUS_READ_ONLY || life->is_over) {
			life->is_over = true;
		} else {
			world->queue_first++;
		}
	}
	if (!life->is_over && !world->is_periodic) {
		assert_int_equal(world->queue_first, world->queue_end);
		world->queue_end = 0; /* first: a queue that ends before it begins is empty, too */
		world->queue_first = 0;
	}
}

static void write_some(struct life *life)
{
	struct pipeline pipeline = {0};
	/* After a write was taken back the next one has its sequence: a cut would leave it open which of
	 * them is there. */
	const bool is_clear = life->disk->fault == DISK_SOUND || life->disk->cut_at == 0;
	const unsigned count = 1 + model_below(&life->model, is_clear ? PIPELINE_MAX : 1);
	for (unsigned i = 0; i < count && !life->is_over; i++) {
		const uint32_t what = model_below(&life->model, 10);
		if (what < 5) {
			submit_rows(life, &pipeline, LIFE_PUT);
		} else if (what < 7) {
			submit_rows(life, &pipeline, LIFE_DELETE);
		} else {
			submit_samples(life, &pipeline);
		}
	}
	await(life, &pipeline);
}

/* ---- the rest ---- */

static void merge(struct life *life)
{
	struct merge_result result;
	struct error err = {0};
	const enum status status = store_merge(life->scratch->store, NULL, &result, &err);
	if (life_accepts(life, status, &err)) {
		all_are_durable(life);
		life->world->done[LIFE_MERGE] += result.tables > 0;
	}
}

/* Whether the janitor has still to remove the loads of a release that was sealed. */
static bool has_spills_of_sealed(struct life *life)
{
	bool has = false;
	for (unsigned i = 0; i < MODEL_RELEASES; i++) {
		const struct release *release;
		char folder[PATH_MAX];
		if (life_now(life->world)->releases[i].state != LIFE_SEALED) {
			continue;
		}
		const struct snapshot *snapshot = snapshot_begin(life->scratch->store);
		if (snapshot_release(snapshot, model_release_name(i), &release, NULL) ==
			STATUS_OK) {
			store_release_folder(life->scratch->store, release->number, folder);
			has = has || scratch_count(folder, "spill-") > 0;
		}
		snapshot_end(life->scratch->store);
	}
	return has;
}

static bool is_at_rest(struct life *life)
{
	struct store *store = life->scratch->store;
	bool rests = true;
	uint64_t files;
	uint64_t bytes;
	janitor_waiting(store->janitor, &files, &bytes);
	const struct snapshot *snapshot = snapshot_begin(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			const struct table *table = release->tables[j];
			rests = rests &&
				(!table_wants_index(table, store->options.sizes.index_rows_min) ||
					(table_has_index(table) && !table_index_is_partial(table)));
		}
	}
	snapshot_end(store);
	return rests && files == 0 && !has_spills_of_sealed(life);
}

/* Waits for what runs in the background: a seed then makes the same calls again. */
static void rest(struct life *life)
{
	struct wait wait = {0};
	while (!life->world->is_threaded && atomic_load(&life->disk->faults) == 0 &&
		!is_at_rest(life)) {
		wait_busily(&wait);
		(void)poll(NULL, 0, 1);
	}
}

static void open_store(struct life *life)
{
	struct error err = {0};
	if (!life_accepts(life, scratch_try_open(life->scratch, &err), &err)) {
		life->is_over = true;
	} else {
		life_check(life);
		life->world->done[LIFE_START]++;
	}
}

static void step(struct life *life)
{
	const uint32_t what = model_below(&life->model, 100);
	const int sealed = find_release(life, LIFE_SEALED);
	const bool is_full = life->world->queue_end > LIFE_QUEUE - PIPELINE_MAX;
	if (is_full || what < 10) {
		merge(life);
	} else if (what < 50) {
		write_some(life);
	} else if (what < 96) {
		life_change(life);
	} else if (what < 98) {
		if (sealed >= 0 && life->world->queue_end == 0) {
			model_fetch(&life->model, (unsigned)sealed);
		}
	} else if (!life->world->is_threaded) {
		scratch_close(life->scratch);
		if (atomic_load(&life->disk->faults) == 0) {
			all_are_durable(life);
		}
		open_store(life);
	}
	if (!life->is_over) {
		rest(life);
	}
}

static void on_damage(void *arg, const struct verify_damage *damage)
{
	(void)arg;
	print_error("damaged: '%s': %s\n", damage->file, damage->what);
}

/* Every file is as its checksums say. */
static void verify(struct life *life)
{
	struct error err = {0};
	struct verify_result result;
	const struct verify_wish wish = {.found = on_damage};
	scratch_must(store_verify(life->scratch->store, &wish, NULL, &result, &err), &err);
	assert_int_equal(result.damaged, 0);
}

/* ---- threads ---- */

struct beside {
	struct life *life;
	pthread_t thread;
	_Atomic bool stop;
};

/* Merges again and again. */
static void *run_beside(void *arg)
{
	struct beside *beside = arg;
	grace_register();
	while (!beside->stop) {
		struct merge_result result;
		(void)store_merge(beside->life->scratch->store, NULL, &result, NULL);
		(void)poll(NULL, 0, 1);
	}
	grace_unregister();
	return NULL;
}

void life_run(struct life *life)
{
	life->model = (struct model){
		.scratch = life->scratch,
		.cells = &life->world->cells,
		.random = disk_mix(life->world->seed, life->world->life),
		.tables = LIFE_TABLES,
		.keys = LIFE_KEYS,
		.pool = LIFE_POOL,
	};
	model_init(&life->model, spec_of);
	open_store(life);
	if (!life->is_over) {
		rest(life);
	}
	struct beside beside = {.life = life};
	const bool is_beside = !life->is_over && life->world->is_threaded;
	if (is_beside) {
		assert_int_equal(pthread_create(&beside.thread, NULL, run_beside, &beside), 0);
	}
	for (unsigned i = 0; i < life->steps && !life->is_over; i++) {
		step(life);
	}
	beside.stop = true;
	if (is_beside) {
		assert_int_equal(pthread_join(beside.thread, NULL), 0);
	}
	if (life->verifies && !life->is_over) {
		life_check_files(life);
		verify(life);
	}
	scratch_close(life->scratch);
	disk_end_if_cut(life->disk);
	if (!life->is_over && atomic_load(&life->disk->faults) == 0) {
		all_are_durable(life);
	}
	model_fini(&life->model);
}
