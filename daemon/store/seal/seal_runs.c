/* seal_runs.c - maps the spills of a table, finds their columns and checks them. */
#include "daemon/store/seal/seal_runs.h"

#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

struct run_map {
	void *data;
	size_t len;
	struct mapfault *watch;
};

/* Whether the ends of byte-string keys grow and stay in the blob: keys are read by them. */
static bool ends_are_sound(const struct run *run)
{
	uint32_t before = 0;
	for (uint64_t i = 0; run->ends != NULL && i < run->rows; i++) {
		if (run->ends[i] <= before || run->ends[i] > run->blob_bytes ||
			run->ends[i] - before > LIMIT_KEY_BYTES) {
			return false;
		}
		before = run->ends[i];
	}
	return true;
}

enum status run_check(const struct run *run, struct error *err)
{
	const struct spill_run *source = run->source;
	if (XXH3_64bits(run->body, source->body_bytes) != source->body_hash ||
		!ends_are_sound(run)) {
		return error_set(err, STATUS_CORRUPT,
			"load: chunks %" PRIu64 "..%" PRIu64
			" are damaged on disk; abort the load and send it again",
			source->first_chunk, source->first_chunk + source->chunk_count - 1);
	}
	return STATUS_OK;
}

static void add_run(const struct spill *spill, const struct spill_run *of,
	const struct run_map *map, struct runs *runs)
{
	const struct table_spec *spec = &spill->owner.spec;
	const uint8_t *body = (const uint8_t *)map->data + of->body_offset;
	struct spill_layout layout;
	spill_layout(&layout, spec, of);
	const bool byte_keys = spec->key_type == KEY_BYTES;
	/* Spills are opened by spill_open, or were written by this process: their runs are sound. */
	assert(of->body_bytes == layout.bytes);
	assert(of->body_offset + of->body_bytes <= map->len);
	assert(of->body_offset % SEGMENT_ALIGN == 0); /* so are the columns */
	const struct run run = {
		.source = of,
		.rows = of->rows,
		.body = body,
		.hashes = (const void *)(body + layout.hashes),
		.keys = byte_keys ? NULL : (const void *)(body + layout.keys),
		.ends = byte_keys ? (const void *)(body + layout.keys) : NULL,
		.blob = body + layout.blob,
		.blob_bytes = of->blob_bytes,
		.row_data = body + layout.rows,
		.scales = spec->dtype == DTYPE_I8 ? (const void *)(body + layout.scales) : NULL,
		.times = (const void *)(body + layout.times),
		.tags = spec->tags ? (const void *)(body + layout.tags) : NULL,
	};
	runs->runs[runs->count++] = run;
	runs->rows += run.rows;
	runs->blob_bytes += run.blob_bytes;
}

static enum status map_spill(const struct spill *spill, struct runs *runs, struct error *err)
{
	struct run_map *map = &runs->maps[runs->map_count];
	map->len = spill->bytes;
	const int fd = spill_file(spill, O_RDONLY);
	map->data = fd < 0 ? MAP_FAILED : mmap(NULL, map->len, PROT_READ, MAP_SHARED, fd, 0);
	const int number = errno;
	if (fd >= 0) {
		close(fd);
	}
	if (map->data == MAP_FAILED) {
		return error_set(err, status_of_errno(number), "map a load's file: %s",
			file_reason(number));
	}
	runs->map_count++;
	const enum status status =
		mapfault_watch(map->data, map->len, &runs->damaged, 1, &map->watch);
	if (status != STATUS_OK) {
		return error_set(err, status, "map a load's file");
	}
	for (size_t i = 0; i < spill->run_count; i++) {
		add_run(spill, &spill->runs[i], map, runs);
	}
	return STATUS_OK;
}

static int by_sequence(const void *a, const void *b)
{
	const struct run *left = a;
	const struct run *right = b;
	return left->source->sequence < right->source->sequence
		       ? -1
		       : left->source->sequence > right->source->sequence;
}

enum status runs_open(const struct seal_source *sources, size_t count, struct runs *out,
	struct error *err)
{
	size_t run_count = 0;
	for (size_t i = 0; i < count; i++) {
		run_count += sources[i].spill->run_count;
	}
	memset(out, 0, sizeof *out);
	out->runs = calloc(run_count + 1, sizeof *out->runs);
	out->maps = calloc(count + 1, sizeof *out->maps);
	if (out->runs == NULL || out->maps == NULL) {
		runs_close(out);
		return error_set(err, STATUS_NO_MEMORY, "open %zu runs", run_count);
	}
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		status = map_spill(sources[i].spill, out, err);
	}
	if (status != STATUS_OK) {
		runs_close(out);
		return status;
	}
	assert(out->count == run_count);
	assert(out->map_count == count);
	qsort(out->runs, out->count, sizeof *out->runs, by_sequence);
	return STATUS_OK;
}

void runs_close(struct runs *runs)
{
	for (size_t i = 0; runs->maps != NULL && i < runs->map_count; i++) {
		mapfault_forget(runs->maps[i].watch);
		munmap(runs->maps[i].data, runs->maps[i].len);
	}
	free(runs->maps);
	free(runs->runs);
	runs->maps = NULL;
	runs->runs = NULL;
	runs->count = 0;
	runs->map_count = 0;
}

uint64_t run_lower_bound(const struct run *run, uint64_t hash)
{
	uint64_t low = 0;
	uint64_t high = run->rows;
	while (low < high) {
		const uint64_t middle = low + (high - low) / 2;
		if (run->hashes[middle] < hash) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}
