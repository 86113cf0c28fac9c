/* follower.c - looks which rows have no image yet, makes images of them, and swaps them in. */
#include "daemon/store/indexing/follower.h"

#include "daemon/store/index/written.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/written_build.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/background.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/bell.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	LOOK_MS = 100, /* so often it looks, since no bell rings when rows are put */
	/* Fewer are scanned as fast as an image is looked into. It has all axes, whatever its rows are: with many of
	 * them it begins with more. */
	ROWS_MIN = 256,
	ROWS_MIN_MAX = 2048,
	AXES_A_ROW = 8, /* of which it begins with one */
	/* A new image takes in the one before that has at most so many times its places. */
	GROWTH = 2,
	/* All become one a millisecond for so many places after the last was made: a build takes some
	 * 3 us a row, so this is a tenth of the time. */
	PLACES_A_MS = 30,
	OF_GENERATION_MAX = WRITTEN_IMAGES_MAX / 2,
};

struct follower {
	struct store *store; /* borrowed */
	pthread_t thread;
	struct bell bell; /* rung at the end */
	_Atomic bool stop;
	_Atomic uint64_t made; /* images */
	_Atomic uint64_t rows; /* in these */
	_Atomic uint64_t ns;   /* that it took to make them */
};

/* The images of a memtable, as they are and as they are to be. */
struct following {
	struct follower *follower;
	const struct table *table;
	const struct index *index;
	struct memtable pinned;
	uint64_t visible;
	struct written_image *images[WRITTEN_IMAGES_MAX]; /* borrowed or in `made` */
	size_t count;
	struct written_image *made[2]; /* owned: of each generation one at most */
	size_t made_count;
};

/* How many places, from `from` on, hold what is visible. Those behind may still be taken back. */
static uint64_t visible_end(const struct generation *generation, uint64_t from, uint64_t visible)
{
	const uint64_t end = generation_written(generation);
	uint64_t place = from;
	while (place < end && generation_place(generation, place)->version->sequence <= visible) {
		place++;
	}
	return place;
}

/* The first place that no image has. */
static uint64_t behind(struct written_image *const *images, size_t count)
{
	return count == 0 ? 0 : images[count - 1]->end;
}

/* So many rows without an image get one. */
static uint64_t rows_min(const struct index *index)
{
	const uint64_t rows = index->balls.balls / AXES_A_ROW;
	if (rows < ROWS_MIN) {
		return ROWS_MIN;
	}
	return rows < ROWS_MIN_MAX ? rows : ROWS_MIN_MAX;
}

/* How many images stay as they are: the others, of places up to `end`, become one. */
static size_t count_kept(struct written_image *const *images, size_t count, uint64_t end,
	uint64_t least)
{
	size_t kept = count;
	uint64_t coming = end - behind(images, count);
	if (coming < least) {
		const uint64_t idle_ms =
			count == 0 ? 0
				   : (uint64_t)clock_monotonic_ms() - images[count - 1]->built_ms;
		const bool is_one = count == 0 || (count == 1 && coming == 0);
		return is_one || idle_ms < end / PLACES_A_MS ? count : 0;
	}
	while (kept > 0 && images[kept - 1]->end - images[kept - 1]->from <= GROWTH * coming) {
		kept--;
		coming = end - images[kept]->from;
	}
	return kept < OF_GENERATION_MAX ? kept : 0;
}

static void count_image(struct follower *follower, const struct written_image *image,
	uint64_t took_ns)
{
	atomic_fetch_add(&follower->rows, image->balls.rows);
	atomic_fetch_add(&follower->ns, took_ns);
	atomic_fetch_add(&follower->made, 1); /* last: who sees the image sees its rows */
}

/* Lists the images that a generation is to have, and makes one of them if need be. */
static enum status follow(struct following *following, const struct generation *generation)
{
	const struct written_images *before = atomic_load(&following->pinned.images);
	struct written_image **images = following->images + following->count;
	size_t count = 0;
	if (generation == NULL) {
		return STATUS_OK;
	}
	for (size_t i = 0; before != NULL && i < before->count; i++) {
		struct written_image *image = before->images[i];
		if (image->generation == generation->number &&
			image->axes == following->index->axes) {
			images[count++] = image;
		}
	}
	assert(count <= OF_GENERATION_MAX);
	const uint64_t from = behind(images, count);
	const uint64_t end = visible_end(generation, from, following->visible);
	const uint64_t least = rows_min(following->index);
	const size_t kept = count_kept(images, count, end, least);
	following->count += count;
	if (kept == count && end - from < least) {
		return STATUS_OK;
	}
	const struct written_job job = {
		.generation = generation,
		.from = behind(images, kept),
		.end = end,
		.visible = following->visible,
		.spec = &following->table->spec,
		.index = following->index,
		.parts = images + kept,
		.part_count = count - kept,
		.counted = &following->follower->store->usage.bytes,
		.stop = &following->follower->stop,
	};
	struct written_image **made = &following->made[following->made_count];
	const uint64_t began_ns = clock_monotonic_ns();
	const enum status status = written_build(&job, made);
	if (status == STATUS_OK) {
		count_image(following->follower, *made, clock_monotonic_ns() - began_ns);
		following->made_count++;
		images[kept] = *made;
		following->count -= count - kept - 1;
	}
	return status;
}

/* Gives the memtable the images that were listed, if they are others. */
static void publish(struct following *following)
{
	const struct written_images *before = atomic_load(&following->pinned.images);
	const size_t count_before = before == NULL ? 0 : before->count;
	if (following->made_count == 0 && following->count == count_before) {
		return;
	}
	struct written_images *images =
		following->count == 0 ? NULL
				      : written_images_new(following->images, following->count);
	if (images == NULL && following->count > 0) {
		return; /* no memory; the next look tries again */
	}
	images = atomic_exchange(&following->table->memtable->images, images);
	grace_wait(); /* who is inside may have loaded their address */
	written_images_drop(images);
}

static enum status follow_table(struct follower *follower, const struct table *table)
{
	struct following following = {.follower = follower, .table = table};
	grace_enter();
	following.visible = atomic_load_explicit(&follower->store->visible, memory_order_acquire);
	memtable_pin(table->memtable, &following.pinned);
	struct index *index = table_index_hold(table);
	grace_leave();
	enum status status = STATUS_OK;
	if (index != NULL && index_is_sound(index)) {
		following.index = index;
		status = follow(&following, atomic_load(&following.pinned.frozen));
		if (status == STATUS_OK) {
			status = follow(&following, atomic_load(&following.pinned.active));
		}
	}
	if (status == STATUS_OK) {
		publish(&following);
	}
	for (size_t i = 0; i < following.made_count; i++) {
		written_image_drop(following.made[i]);
	}
	table_index_let_go(index);
	memtable_unpin(&following.pinned);
	return status;
}

/* ---- the thread ---- */

static bool is_followed(const struct table *table)
{
	return table->spec.index != INDEX_NONE &&
	       (!memtable_is_empty(table->memtable) ||
		       atomic_load(&table->memtable->images) != NULL);
}

/* Holds the tables that have rows without a base file, and an index. NULL: there is none, or no
 * memory. */
static struct table **hold_tables(struct store *store, size_t *count)
{
	struct table **tables = NULL;
	size_t most = 0;
	*count = 0;
	store_lock_admin(store);
	const struct snapshot *snapshot = store_current(store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		most += snapshot->releases[i]->table_count;
	}
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; j < release->table_count; j++) {
			struct table *table = release->tables[j];
			if (is_followed(table) && tables == NULL) {
				tables = malloc(most * sizeof(struct table *));
			}
			if (is_followed(table) && tables != NULL) {
				assert(table->refs > 0);
				table->refs++;
				tables[(*count)++] = table;
			}
		}
	}
	store_unlock_admin(store);
	return tables;
}

static void let_go(struct store *store, struct table **tables, size_t count)
{
	store_lock_admin(store);
	for (size_t i = 0; i < count; i++) {
		table_drop(tables[i]);
	}
	store_unlock_admin(store);
	free(tables);
}

static void *run(void *arg)
{
	struct follower *follower = arg;
	grace_register(); /* it reads rows of memtables */
	background_set_nice(follower->store, BACKGROUND_NICE);
	while (!atomic_load(&follower->stop)) {
		const uint64_t began_ms = (uint64_t)clock_monotonic_ms();
		size_t count;
		struct table **tables = hold_tables(follower->store, &count);
		for (size_t i = 0; i < count && !atomic_load(&follower->stop); i++) {
			(void)follow_table(follower,
				tables[i]); /* else the next look tries again */
		}
		if (tables != NULL) {
			let_go(follower->store, tables, count);
		}
		const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
		const uint64_t took_ms = now_ms - began_ms;
		bell_wait(&follower->bell, now_ms + (took_ms > LOOK_MS ? took_ms : LOOK_MS));
	}
	grace_unregister();
	return NULL;
}

enum status follower_start(struct store *store, struct follower **out, struct error *err)
{
	struct follower *follower = calloc(1, sizeof *follower);
	if (follower == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the follower");
	}
	follower->store = store;
	bell_init(&follower->bell);
	const enum status status = thread_start(&follower->thread, run, follower, "follow", err);
	if (status != STATUS_OK) {
		bell_fini(&follower->bell);
		free(follower);
		return status;
	}
	(void)pthread_setname_np(follower->thread, "follow");
	*out = follower;
	return STATUS_OK;
}

void follower_stop(struct follower *follower)
{
	if (follower == NULL) {
		return;
	}
	atomic_store(&follower->stop, true);
	bell_ring(&follower->bell);
	(void)pthread_join(follower->thread, NULL);
	bell_fini(&follower->bell);
	free(follower);
}

void follower_figures(const struct follower *follower, struct index_figures *out)
{
	if (follower != NULL) {
		out->written = atomic_load(&follower->made); /* first */
		out->written_rows = atomic_load(&follower->rows);
		out->written_ns = atomic_load(&follower->ns);
	}
}
