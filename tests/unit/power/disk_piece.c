/* disk_piece.c - decides which pieces of a file are on the disk. */
#include "tests/unit/power/disk_piece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a power cut does to a file, by the seed. */
enum loss { LOSS_NONE, LOSS_ALL, LOSS_MIXED, LOSS_MIXED_SIZES, LOSSES };

static void make_room(struct disk_bytes *file, uint64_t bytes)
{
	if (bytes > file->capacity) {
		const uint64_t capacity = bytes * 2;
		file->data = realloc(file->data, capacity);
		assert_non_null(file->data);
		memset(file->data + file->capacity, 0, capacity - file->capacity);
		file->capacity = capacity;
	}
}

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity) {
		return array;
	}
	*capacity = count * 2 + 16;
	void *grown = realloc(array, *capacity * size);
	assert_non_null(grown);
	return grown;
}

static bool is_write(const struct disk_record *record)
{
	return record->event == DISK_WRITE || record->event == DISK_WRITE_SYNCED;
}

/* The bytes that an event changes. */
static uint64_t begin_of(const struct disk_record *event)
{
	return event->at;
}

static uint64_t end_of(const struct disk_record *event)
{
	return is_write(event) ? event->at + event->len : UINT64_MAX;
}

static bool touches(const struct disk_record *event, uint64_t from, uint64_t to)
{
	return begin_of(event) < to && end_of(event) > from;
}

/* Does to bytes [from, to) of the file what the event did to them. */
static void apply(struct disk_bytes *file, const struct disk_record *event, uint64_t from,
	uint64_t to)
{
	const uint64_t begin = begin_of(event) > from ? begin_of(event) : from;
	const uint64_t end = end_of(event) < to ? end_of(event) : to;
	if (begin >= end) {
		return;
	}
	if (is_write(event)) {
		memcpy(file->data + begin, (const uint8_t *)(event + 1) + (begin - event->at),
			end - begin);
	} else {
		memset(file->data + begin, 0, end - begin);
	}
}

static uint64_t size_after(uint64_t size, const struct disk_record *event)
{
	if (!is_write(event)) {
		return event->at;
	}
	return event->at + event->len > size ? event->at + event->len : size;
}

/* How far anything that happened to the file reaches. */
static uint64_t extent_of(const struct disk_bytes *file)
{
	uint64_t extent = file->size;
	for (size_t i = 0; i < file->event_count; i++) {
		const uint64_t size = size_after(0, file->events[i]);
		extent = size > extent ? size : extent;
	}
	return (extent + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES * DISK_PAGE_BYTES;
}

/* The first event that counts for the bytes: what came before is on the disk. */
static size_t first_event(const struct disk_bytes *file, uint64_t from)
{
	size_t first = 0;
	for (size_t i = 0; i < file->floor_count; i++) {
		const struct disk_floor *floor = &file->floors[i];
		if (floor->from <= from && from < floor->to && floor->event > first) {
			first = floor->event;
		}
	}
	return first;
}

void disk_bytes_forget(struct disk_bytes *file)
{
	file->event_count = 0;
	file->floor_count = 0;
	if (file->capacity > 0) {
		memset(file->data + file->size, 0, file->capacity - file->size);
	}
}

/* ---- all of it ---- */

static void sync_all(struct disk_bytes *file)
{
	make_room(file, extent_of(file) + 1);
	for (size_t i = 0; i < file->event_count; i++) {
		apply(file, file->events[i], 0, file->capacity);
		file->size = size_after(file->size, file->events[i]);
	}
	disk_bytes_forget(file);
}

/* A write that is synced by itself takes its pages along, as they are by now. */
static void sync_pages(struct disk_bytes *file, const struct disk_record *write)
{
	const uint64_t from = write->at / DISK_PAGE_BYTES * DISK_PAGE_BYTES;
	const uint64_t to =
		(write->at + write->len + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES * DISK_PAGE_BYTES;
	make_room(file, extent_of(file) + 1);
	for (size_t i = 0; i < file->event_count; i++) {
		apply(file, file->events[i], from, to);
	}
	if (write->at + write->len > file->size) {
		file->size = write->at + write->len;
	}
	file->floors = realloc(file->floors, (file->floor_count + 1) * sizeof *file->floors);
	assert_non_null(file->floors);
	file->floors[file->floor_count++] = (struct disk_floor){from, to, file->event_count};
}

/* ---- some of it ---- */

/* How many of `count` events the piece has seen on the disk. */
static size_t seen(enum loss loss, uint64_t draw, size_t count)
{
	switch (loss) {
	case LOSS_NONE:
		return count;
	case LOSS_ALL:
		return 0;
	case LOSS_MIXED:
	case LOSS_MIXED_SIZES:
	case LOSSES:
		break;
	}
	const uint64_t way = draw % 8;
	return way < 3 ? count : way < 6 ? 0 : draw / 8 % (count + 1);
}

/* Blocks that a file was given, and that nothing was written into, hold what another file had there. */
static void leave_garbage(struct disk_bytes *file, uint64_t from, uint64_t to, uint64_t seed)
{
	for (uint64_t at = from > file->size ? from : file->size; at < to; at++) {
		file->data[at] = (uint8_t)disk_mix(seed, at);
	}
}

static void cut_piece(struct disk_bytes *file, uint64_t from, enum loss loss, uint64_t seed)
{
	const uint64_t to = from + DISK_PIECE_BYTES;
	const size_t first = first_event(file, from);
	size_t count = 0;
	for (size_t i = first; i < file->event_count; i++) {
		count += touches(file->events[i], from, to);
	}
	size_t left = count == 0 ? 0 : seen(loss, disk_mix(seed, from), count);
	if (count > 0 && left == 0 && seed % 4 == 0) {
		leave_garbage(file, from, to, seed);
	}
	for (size_t i = first; i < file->event_count && left > 0; i++) {
		if (touches(file->events[i], from, to)) {
			apply(file, file->events[i], from, to);
			left--;
		}
	}
}

static uint64_t cut_size(const struct disk_bytes *file, enum loss loss, uint64_t draw)
{
	/* Most file systems write the size last; so it is the newest, or the oldest, more often than not. */
	const size_t count =
		loss == LOSS_MIXED ? file->event_count : seen(loss, draw, file->event_count);
	uint64_t size = file->size;
	for (size_t i = 0; i < count; i++) {
		size = size_after(size, file->events[i]);
	}
	for (size_t i = 0; i < file->event_count; i++) {
		/* What was synced by itself is there, unless the file was made shorter since. */
		const struct disk_record *event = file->events[i];
		if (i >= count && event->event == DISK_WRITE_SYNCED) {
			size = size_after(size, event);
		}
	}
	return size;
}

void disk_bytes_cut(struct disk_bytes *file, uint64_t seed)
{
	if (file->event_count == 0) {
		return;
	}
	const uint64_t extent = extent_of(file);
	const enum loss loss = (enum loss)(disk_mix(seed, file->event_count) % LOSSES);
	const uint64_t size = cut_size(file, loss, disk_mix(seed, UINT64_MAX));
	make_room(file, extent + DISK_PAGE_BYTES);
	for (uint64_t from = 0; from < extent; from += DISK_PIECE_BYTES) {
		cut_piece(file, from, loss, seed);
	}
	file->size = size;
	disk_bytes_forget(file);
}

/* ---- records ---- */

void disk_bytes_take(struct disk_bytes *file, const struct disk_record *record, uint64_t seed)
{
	if (record->event == DISK_SYNC) {
		sync_all(file);
		return;
	}
	if (record->event == DISK_SYNC_FAILED) {
		disk_bytes_cut(file, disk_mix(seed, record->call));
		return;
	}
	file->events =
		grow(file->events, file->event_count, &file->event_capacity, sizeof *file->events);
	file->events[file->event_count++] = record;
	if (record->event == DISK_WRITE_SYNCED) {
		sync_pages(file, record);
	}
}

void disk_bytes_set(struct disk_bytes *file, const uint8_t *data, uint64_t size)
{
	make_room(file, size + 1);
	memcpy(file->data, data, size);
	file->size = size;
}

void disk_bytes_fini(struct disk_bytes *file)
{
	free(file->data);
	free(file->events);
	free(file->floors);
	*file = (struct disk_bytes){0};
}
