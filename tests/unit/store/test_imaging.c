/* test_imaging.c - what making an image takes is known before, and counts until it is made; without room for that, none is
 * made.
 */
#include "daemon/store/imaging/imaging.h"

#include "daemon/store/imaging/written_build.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/index/written.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/state.h"
#include "daemon/store/state/store_new.h"
#include "daemon/store/system/grace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/retrieval/building/balls_build.h"
#include "tests/unit/alloc_fail.h"

enum {
	INDEXED = 4000, /* rows that the axes are of */
	ROWS = 3000,    /* that are written */
	DIM_MAX = 300,
	FIRST = 1000, /* of these, those that an image has already */
	/* All allocations may be so much larger than was asked for: one that is mapped has whole pages. */
	ROUNDED = 24 * 4096,
};

/* A store with one table, whose rows are in memory, and the index of others. */
struct world {
	struct store *store;
	struct snapshot *snapshot;
	struct table *table; /* its release's */
	struct index index;
	struct indexes *indexes; /* of it alone */
	void *image;             /* owned: of the index */
	float *values;           /* owned: [INDEXED, dim] */
	uint32_t dim;
	struct imaging imaging;
	_Atomic bool stop;
};

/* What the wrapped function has seen; NULL: it does not look. */
static struct looked {
	_Atomic uint64_t *usage;
	uint64_t bytes; /* in it when an image was begun */
} looked;

enum status __real_balls_plan(const struct balls_source *source,
	const struct balls_options *options, struct balls_plan **out);
enum status __wrap_balls_plan(const struct balls_source *source,
	const struct balls_options *options, struct balls_plan **out);

enum status __wrap_balls_plan(const struct balls_source *source,
	const struct balls_options *options, struct balls_plan **out)
{
	if (looked.usage != NULL) {
		looked.bytes = atomic_load(looked.usage);
	}
	return __real_balls_plan(source, options, out);
}

static void put_rows(struct world *world, uint32_t from, uint32_t end)
{
	const uint32_t dim = world->table->spec.dim;
	for (uint32_t i = from; i < end; i++) {
		const uint64_t key = i;
		const struct memtable_change change = {
			.spec = &world->table->spec,
			.usage = &world->store->usage,
			.sequence = i + 1,
		};
		const struct frame_row row = {
			.key = (const uint8_t *)&key,
			.key_len = sizeof key,
			.data = (const uint8_t *)(world->values + (size_t)i * dim),
		};
		const uint64_t hash = siphash_u64(&world->table->seed, key);
		assert_int_equal(memtable_put(world->table->memtable, &change, hash, &row),
			STATUS_OK);
	}
	atomic_store(&world->store->visible, end);
}

static void read_values(void *arg, uint32_t first, uint32_t count, float *out)
{
	const struct world *world = arg;
	memcpy(out, world->values + (size_t)first * world->dim,
		(size_t)count * world->dim * sizeof *out);
}

static void make_index(struct world *world, uint32_t dim)
{
	static const float no_query[DIM_MAX]; /* there is no calibration with it as the only one */
	const struct balls_options options = {.seed = 5, .query_count = 1, .queries = no_query};
	const struct balls_source source = {.rows = INDEXED,
		.dim = dim,
		.read = read_values,
		.arg = world};
	struct balls_plan *plan = NULL;
	uint64_t random = 5;
	world->dim = dim;
	world->values = malloc((size_t)INDEXED * dim * sizeof *world->values);
	assert_non_null(world->values);
	for (size_t i = 0; i < (size_t)INDEXED * dim; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		world->values[i] = (float)(random >> 40) - (float)(1 << 23);
	}
	assert_int_equal(balls_plan(&source, &options, &plan), STATUS_OK);
	const size_t bytes = balls_plan_bytes(plan);
	world->image = aligned_alloc(64, bytes);
	assert_non_null(world->image);
	assert_int_equal(balls_write(plan, world->image), STATUS_OK);
	balls_plan_close(plan);
	assert_int_equal(balls_open(world->image, bytes, INDEXED, dim, &world->index.balls, NULL),
		STATUS_OK);
	world->index.axes = index_hash_axes(&world->index.balls);
	atomic_init(&world->index.refs, 2); /* it is never closed */
	atomic_init(&world->index.state, INDEX_READY);
}

static void world_make(struct world *world, uint32_t dim)
{
	const struct store_options options = {.folder = "/nowhere"};
	const struct table_spec spec = {.name = {"t"},
		.kind = KIND_IR,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = dim,
		.views = 1,
		.index = INDEX_BALLS};
	struct error err;
	memset(world, 0, sizeof *world);
	make_index(world, dim);
	assert_int_equal(store_new(&options, &world->store, &err), STATUS_OK);
	struct release *release = release_copy(NULL);
	world->snapshot = calloc(1, sizeof *world->snapshot);
	world->table = table_new(&spec, 1);
	assert_true(release != NULL && world->snapshot != NULL && world->table != NULL);
	assert_int_equal(release_put(release, world->table), STATUS_OK);
	assert_int_equal(snapshot_put(world->snapshot, release), STATUS_OK);
	struct index *const of[] = {&world->index};
	world->indexes = indexes_new(of, 1, NULL);
	assert_non_null(world->indexes);
	atomic_store(&world->table->index, world->indexes);
	atomic_store(&world->store->current, world->snapshot);
	world->imaging.store = world->store;
	world->imaging.stop = &world->stop;
	put_rows(world, 0, ROWS);
}

static void world_free(struct world *world)
{
	atomic_store(&world->table->index, NULL);
	indexes_close(world->indexes);
	snapshot_drop(world->snapshot);
	assert_int_equal(atomic_load(&world->store->usage.bytes), 0);
	store_free(world->store);
	free(world->image);
	free(world->values);
}

static uint64_t usage_of(const struct world *world)
{
	return atomic_load(&world->store->usage.bytes);
}

/* ---- what is said beforehand ---- */

/* Builds an image; returns the most that it took at a time. */
static uint64_t build(struct world *world, uint32_t from, struct written_image **part,
	struct written_image **out)
{
	const struct written_job job = {
		.generation = atomic_load(&world->table->memtable->active),
		.from = from,
		.end = part == NULL ? from + FIRST : ROWS,
		.visible = ROWS,
		.spec = &world->table->spec,
		.index = &world->index,
		.parts = part,
		.part_count = part == NULL ? 0 : 1,
		.counted = &world->store->usage.bytes,
		.stop = &world->stop,
	};
	const uint64_t places = job.end - job.from;
	const uint64_t image_bytes = written_image_bytes(&world->index, places);
	const uint64_t bytes = image_bytes + written_build_bytes(&world->index, places);
	alloc_most_begin();
	assert_int_equal(written_build(&job, out), STATUS_OK);
	const uint64_t most = alloc_most_end();
	assert_in_range((*out)->bytes, image_bytes / 2, image_bytes);
	assert_in_range(most, bytes / 2, bytes + ROUNDED);
	return most;
}

static void what_an_image_takes_is_known_before(void **state)
{
	static const uint32_t dims[] = {8, 64, 300};
	(void)state;
	for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
		struct world world;
		struct written_image *first = NULL;
		struct written_image *all = NULL;
		world_make(&world, dims[i]);
		const uint64_t rows_bytes = usage_of(&world);
		const uint64_t most = build(&world, 0, NULL, &first);
		assert_true(build(&world, 0, &first, &all) > most);
		assert_int_equal(usage_of(&world), rows_bytes + first->bytes + all->bytes);
		written_image_drop(first);
		written_image_drop(all);
		world_free(&world);
	}
}

/* ---- the bound ---- */

/* Half of the bound is for images, with what making them takes. */
static void an_image_is_made_where_there_is_room_to_make_it(void **state)
{
	(void)state;
	struct world world;
	world_make(&world, 64);
	const uint64_t before = usage_of(&world);
	const uint64_t beside = written_build_bytes(&world.index, ROWS);
	const uint64_t needed = written_image_bytes(&world.index, ROWS) + beside;
	world.imaging.memory_max = (before + needed) * 2;
	(void)imaging_look(&world.imaging);
	assert_int_equal(atomic_load(&world.imaging.made), 0);
	assert_int_equal(usage_of(&world), before);

	world.imaging.memory_max += 2;
	looked.usage = &world.store->usage.bytes;
	alloc_most_begin();
	(void)imaging_look(&world.imaging);
	const uint64_t most = alloc_most_end();
	looked.usage = NULL;
	assert_int_equal(atomic_load(&world.imaging.made), 1);
	assert_int_equal(atomic_load(&world.imaging.rows), ROWS);
	assert_in_range(most, 1, needed + ROUNDED);
	/* What was made is what counts, now that it is made. */
	const struct written_images *images = atomic_load(&world.table->memtable->images);
	assert_non_null(images);
	assert_int_equal(images->count, 1);
	const uint64_t image_bytes = images->images[0]->bytes;
	assert_int_equal(usage_of(&world), before + image_bytes);
	/* While it was made, that counted, too: the lists of its rows were there by then. */
	assert_in_range(looked.bytes, before + beside + 1, world.imaging.memory_max / 2);
	world_free(&world);
}

static void what_could_not_be_made_counts_no_more(void **state)
{
	(void)state;
	struct world world;
	world_make(&world, 8);
	const uint64_t before = usage_of(&world);
	world.imaging.memory_max = UINT64_C(1) << 30;
	looked.usage = &world.store->usage.bytes;
	atomic_store(&world.stop, true); /* a look goes through no table then */
	(void)imaging_look(&world.imaging);
	assert_int_equal(usage_of(&world), before);
	atomic_store(&world.stop, false);
	alloc_fail_arm(2); /* the list of tables, the image, and its rows */
	(void)imaging_look(&world.imaging);
	assert_true(alloc_fail_disarm());
	looked.usage = NULL;
	assert_int_equal(atomic_load(&world.imaging.made), 0);
	assert_int_equal(usage_of(&world), before);
	world_free(&world);
}

static void without_a_bound_nothing_is_counted_beside_an_image(void **state)
{
	(void)state;
	struct world world;
	world_make(&world, 8);
	const uint64_t before = usage_of(&world);
	looked.usage = &world.store->usage.bytes;
	(void)imaging_look(&world.imaging);
	looked.usage = NULL;
	assert_int_equal(atomic_load(&world.imaging.made), 1);
	assert_in_range(looked.bytes, before + 1, before + written_image_bytes(&world.index, ROWS));
	world_free(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_image_takes_is_known_before),
		cmocka_unit_test(an_image_is_made_where_there_is_room_to_make_it),
		cmocka_unit_test(what_could_not_be_made_counts_no_more),
		cmocka_unit_test(without_a_bound_nothing_is_counted_beside_an_image),
	};
	grace_register();
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	grace_unregister();
	return failed;
}
