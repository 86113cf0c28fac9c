/* imaging.c - looks which rows have no image yet, makes images of them, and swaps them in. */
#include "daemon/store/imaging/imaging.h"

#include "daemon/store/imaging/written_build.h"
#include "daemon/store/index/indexes.h"
#include "daemon/store/index/written.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/memtable/memtable_pin.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/grace.h"

#include <assert.h>
#include <stdlib.h>

enum {
	LOOK_MS = 100,  /* between two looks, since no bell rings when rows are put */
	REST_MS = 1000, /* and while no search wants images */
	/* Images are made for so long after a search has wanted some. */
	WANTED_MS = 60 * 1000,
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

/* What is done with the images of a table. */
enum turn {
	GIVE_UP, /* all of them */
	KEEP,    /* those that are of use; none is made */
	MAKE,
};

/* The images of a memtable, as they are and as they are to be. */
struct following {
	struct imaging *imaging;
	const struct table *table;
	enum turn turn;
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

static void count_image(struct imaging *imaging, const struct written_image *image,
	uint64_t took_ns)
{
	atomic_fetch_add(&imaging->rows, image->balls.rows);
	atomic_fetch_add(&imaging->ns, took_ns);
	atomic_fetch_add(&imaging->made, 1); /* last: who sees the image sees its rows */
}

/* Whether there is room for an image of so many places, and for what making it takes. */
static bool has_room(const struct imaging *imaging, const struct index *index, uint64_t places)
{
	const uint64_t most = imaging->memory_max / 2;
	const uint64_t bytes = atomic_load(&imaging->store->usage.bytes);
	return imaging->memory_max == 0 ||
	       (bytes < most &&
		       written_image_bytes(index, places) + written_build_bytes(index, places) <
			       most - bytes);
}

/* Makes an image. Where memory is bounded, what that takes counts until it is made, so that rows which are written
 * meanwhile do not come on top of it. */
static enum status build(struct imaging *imaging, const struct written_job *job,
	struct written_image **out)
{
	_Atomic uint64_t *counted = &imaging->store->usage.bytes;
	const uint64_t bytes = imaging->memory_max == 0
				       ? 0
				       : written_build_bytes(job->index, job->end - job->from);
	const uint64_t began_ns = clock_monotonic_ns();
	atomic_fetch_add(counted, bytes);
	const enum status status = written_build(job, out);
	atomic_fetch_sub(counted, bytes);
	if (status == STATUS_OK) {
		count_image(imaging, *out, clock_monotonic_ns() - began_ns);
	}
	return status;
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
	following->count += count;
	/* Before all rows without an image are looked at. */
	if (following->turn != MAKE || !has_room(following->imaging, following->index, 0)) {
		return STATUS_OK;
	}
	const uint64_t from = behind(images, count);
	const uint64_t end = visible_end(generation, from, following->visible);
	const uint64_t least = rows_min(following->index);
	const size_t kept = count_kept(images, count, end, least);
	if ((kept == count && end - from < least) ||
		!has_room(following->imaging, following->index, end - behind(images, kept))) {
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
		.counted = &following->imaging->store->usage.bytes,
		.stop = following->imaging->stop,
	};
	struct written_image **made = &following->made[following->made_count];
	const enum status status = build(following->imaging, &job, made);
	if (status == STATUS_OK) {
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

static bool is_wanted(const struct table *table, int64_t now_ms)
{
	const int64_t wanted_ms = table_counts_images_wanted(table->counts);
	return wanted_ms != 0 && now_ms - wanted_ms < WANTED_MS;
}

static enum turn turn_of(const struct imaging *imaging, const struct table *table)
{
	const uint64_t bytes = atomic_load(&imaging->store->usage.bytes);
	if (imaging->memory_max != 0 && bytes > imaging->memory_max / 4 * 3) {
		return GIVE_UP;
	}
	return imaging->of == IMAGING_OF_ALL || is_wanted(table, clock_monotonic_ms()) ? MAKE
										       : KEEP;
}

static void follow_table(struct imaging *imaging, const struct table *table)
{
	struct following following = {.imaging = imaging, .table = table};
	following.turn = turn_of(imaging, table);
	grace_enter();
	following.visible = atomic_load_explicit(&imaging->store->visible, memory_order_acquire);
	memtable_pin(table->memtable, &following.pinned);
	struct indexes *indexes = table_index_hold(table);
	grace_leave();
	enum status status = STATUS_OK;
	following.index = indexes_lead(indexes);
	if (following.index != NULL && following.turn != GIVE_UP) {
		status = follow(&following, atomic_load(&following.pinned.frozen));
		if (status == STATUS_OK) {
			status = follow(&following, atomic_load(&following.pinned.active));
		}
	}
	if (status == STATUS_OK) { /* else the next look tries again */
		publish(&following);
	}
	for (size_t i = 0; i < following.made_count; i++) {
		written_image_drop(following.made[i]);
	}
	table_index_let_go(indexes);
	memtable_unpin(&following.pinned);
}

/* ---- a look ---- */

static bool is_followed(const struct imaging *imaging, const struct table *table, int64_t now_ms)
{
	/* Those that there are go when their generation has gone. */
	const bool has_images = atomic_load(&table->memtable->images) != NULL;
	const bool may_have = !memtable_is_empty(table->memtable) &&
			      (imaging->of == IMAGING_OF_ALL || is_wanted(table, now_ms));
	return table->spec.index != INDEX_NONE && (has_images || may_have);
}

/* Holds the tables that have an index, and rows without a base file, or images. NULL: there is none, or no
 * memory. */
static struct table **hold_tables(const struct imaging *imaging, size_t *count)
{
	struct store *store = imaging->store;
	const int64_t now_ms = clock_monotonic_ms();
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
			const bool is = is_followed(imaging, table, now_ms);
			if (is && tables == NULL) {
				tables = malloc(most * sizeof(struct table *));
			}
			if (is && tables != NULL) {
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

uint64_t imaging_look(struct imaging *imaging)
{
	const int64_t began_ms = clock_monotonic_ms();
	size_t count;
	struct table **tables = hold_tables(imaging, &count);
	for (size_t i = 0; i < count && !atomic_load(imaging->stop); i++) {
		follow_table(imaging, tables[i]);
	}
	if (tables != NULL) {
		let_go(imaging->store, tables, count);
	}
	const uint64_t took_ms = (uint64_t)(clock_monotonic_ms() - began_ms);
	const uint64_t least_ms =
		count == 0 && imaging->of == IMAGING_OF_SEARCHED ? REST_MS : LOOK_MS;
	return took_ms > least_ms ? took_ms : least_ms;
}
