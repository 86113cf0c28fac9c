/* spill.c - appends runs to a bulk load's file, and finds them again. */
#include "daemon/store/spill/spill.h"

#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char spill_magic[8] = {'r', 'e', 'p', 's', 't', 's', 'p', 'l'};

enum { HASH_OFFSET = SPILL_HEAD_BYTES - 8, SEED_CHECK_OFFSET = HASH_OFFSET - 4 };

static void seal_head(uint8_t *head)
{
	bytes_put_u64(head + HASH_OFFSET, XXH3_64bits(head, HASH_OFFSET));
}

static bool head_is_whole(const uint8_t *head)
{
	return bytes_get_u64(head + HASH_OFFSET) == XXH3_64bits(head, HASH_OFFSET);
}

/* Where a column of so many bytes begins; *end moves behind it. */
static uint64_t place(uint64_t *end, uint64_t bytes)
{
	const uint64_t at = *end;
	*end = (at + bytes + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
	return at;
}

void spill_layout(struct spill_layout *layout, const struct table_spec *spec, uint64_t rows,
	uint64_t blob_bytes)
{
	uint64_t end = 0;
	layout->hashes = place(&end, rows * 8);
	layout->keys = place(&end, rows * (spec->key_type == KEY_U64 ? 8 : 4));
	layout->blob = place(&end, blob_bytes);
	layout->rows = place(&end, rows * spec_row_bytes(spec));
	layout->scales = place(&end, spec->dtype == DTYPE_I8 ? rows * 4 : 0);
	layout->times = place(&end, rows * 8);
	layout->tags = place(&end, spec->tags ? rows * 8 : 0);
	layout->bytes = end;
}

/* ---- the file's head ---- */

static void write_file_head(uint8_t *head, const struct base_owner *owner, int64_t default_time_ms)
{
	memset(head, 0, SPILL_HEAD_BYTES);
	memcpy(head, spill_magic, sizeof spill_magic);
	bytes_put_u32(head + 8, SPILL_VERSION);
	bytes_put_u32(head + 12, (uint32_t)owner->spec.key_type);
	bytes_put_u64(head + 16, owner->release);
	bytes_put_u64(head + 24, owner->table);
	bytes_put_u32(head + 32, (uint32_t)owner->spec.dtype);
	bytes_put_u32(head + 36, owner->spec.dim);
	bytes_put_u32(head + 40, owner->spec.views);
	bytes_put_u32(head + 44, owner->spec.tags ? 1 : 0);
	bytes_put_u64(head + 48, (uint64_t)default_time_ms);
	bytes_put_u32(head + SEED_CHECK_OFFSET, key_seed_check(&owner->seed));
	seal_head(head);
}

static enum status check_file_head(const uint8_t *head, struct spill *spill, const char *name,
	struct error *err)
{
	if (memcmp(head, spill_magic, sizeof spill_magic) != 0 || !head_is_whole(head)) {
		return error_set(err, STATUS_CORRUPT, "'%s': its head is damaged", name);
	}
	if (bytes_get_u32(head + 8) != SPILL_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s': format version %" PRIu32 ", this build knows %d", name,
			bytes_get_u32(head + 8), SPILL_VERSION);
	}
	uint8_t expected[SPILL_HEAD_BYTES];
	spill->default_time_ms = (int64_t)bytes_get_u64(head + 48);
	write_file_head(expected, &spill->owner, spill->default_time_ms);
	if (memcmp(head, expected, sizeof expected) != 0) {
		return error_set(err, STATUS_CORRUPT, "'%s': made for another table", name);
	}
	return STATUS_OK;
}

enum status spill_create(const char *folder, const char *name, const struct base_owner *owner,
	int64_t default_time_ms, struct spill *out, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = (struct spill){
		.owner = *owner,
		.default_time_ms = default_time_ms,
		.fd = file_open(path, O_RDWR | O_CREAT | O_EXCL, 0640),
		.bytes = SPILL_HEAD_BYTES,
	};
	if (out->fd < 0) {
		return error_set(err, status_of_errno(errno), "create '%s': %s", path,
			strerror(errno));
	}
	uint8_t head[SPILL_HEAD_BYTES];
	write_file_head(head, owner, default_time_ms);
	status = file_write_at(out->fd, head, sizeof head, 0);
	if (status == STATUS_OK && fdatasync(out->fd) != 0) {
		status = status_of_errno(errno);
	}
	if (status != STATUS_OK) {
		error_set(err, status, "write '%s': %s", path, strerror(errno));
	} else {
		status = file_sync_folder(folder, err);
	}
	if (status != STATUS_OK) {
		spill_close(out);
		(void)file_remove(path);
	}
	return status;
}

void spill_close(struct spill *spill)
{
	if (spill->fd >= 0) {
		close(spill->fd);
	}
	free(spill->runs);
	*spill = (struct spill){.fd = -1};
}

/* ---- frames ---- */

static enum status add_run(struct spill *spill, const struct spill_run *run)
{
	if (spill->run_count == spill->run_capacity) {
		const size_t capacity = spill->run_capacity * 2 + 16;
		struct spill_run *grown = realloc(spill->runs, capacity * sizeof *grown);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		spill->runs = grown;
		spill->run_capacity = capacity;
	}
	spill->runs[spill->run_count++] = *run;
	return STATUS_OK;
}

/* Reads the frame at spill->bytes. AGAIN: there is no whole one. */
static enum status read_frame(struct spill *spill, uint64_t file_bytes)
{
	uint8_t head[SPILL_HEAD_BYTES];
	if (spill->bytes + SPILL_HEAD_BYTES > file_bytes) {
		return STATUS_AGAIN;
	}
	const enum status status = file_read_at(spill->fd, head, sizeof head, spill->bytes);
	if (status != STATUS_OK) {
		return status;
	}
	if (bytes_get_u32(head) != SPILL_FRAME_MAGIC || !head_is_whole(head)) {
		return STATUS_AGAIN;
	}
	const struct spill_run run = {
		.body_bytes = bytes_get_u64(head + 8),
		.sequence = bytes_get_u64(head + 16),
		.first_chunk = bytes_get_u64(head + 24),
		.chunk_count = bytes_get_u64(head + 32),
		.rows = bytes_get_u64(head + 40),
		.blob_bytes = bytes_get_u64(head + 48),
		.body_hash = bytes_get_u64(head + 56),
		.body_offset = spill->bytes + SPILL_HEAD_BYTES,
	};
	if (run.body_bytes > file_bytes - run.body_offset) {
		return STATUS_AGAIN;
	}
	if (bytes_get_u32(head + 4) == SPILL_FRAME_END) {
		spill->ended = true;
		spill->bytes = run.body_offset;
		return STATUS_OK;
	}
	struct spill_layout layout;
	if (bytes_get_u32(head + 4) != SPILL_FRAME_RUN || run.rows > UINT32_MAX ||
		run.blob_bytes > UINT32_MAX) {
		return STATUS_CORRUPT;
	}
	spill_layout(&layout, &spill->owner.spec, run.rows, run.blob_bytes);
	if (layout.bytes != run.body_bytes) {
		return STATUS_CORRUPT;
	}
	spill->bytes = run.body_offset + run.body_bytes;
	return add_run(spill, &run);
}

/* Whether the last run's body is all there. No other body can be torn, since a run is synced before
 * the next one is written. */
static enum status check_last_body(struct spill *spill, bool *whole)
{
	assert(spill->run_count > 0);
	const struct spill_run *run = &spill->runs[spill->run_count - 1];
	uint8_t *body = malloc(run->body_bytes + 1);
	if (body == NULL) {
		return STATUS_NO_MEMORY;
	}
	const enum status status = file_read_at(spill->fd, body, run->body_bytes, run->body_offset);
	*whole = status == STATUS_OK && XXH3_64bits(body, run->body_bytes) == run->body_hash;
	free(body);
	return status;
}

/* Whether a good frame stands anywhere behind the bad one at spill->bytes. If so, the bad one was
 * synced before, and what damaged it was no crash. */
static enum status find_later_frame(struct spill *spill, uint64_t file_bytes, bool *found)
{
	enum { STEP = SEGMENT_ALIGN };
	uint8_t head[SPILL_HEAD_BYTES];
	*found = false;
	for (uint64_t at = spill->bytes + STEP; at + SPILL_HEAD_BYTES <= file_bytes && !*found;
		at += STEP) {
		const enum status status = file_read_at(spill->fd, head, sizeof head, at);
		if (status != STATUS_OK) {
			return status;
		}
		*found = bytes_get_u32(head) == SPILL_FRAME_MAGIC && head_is_whole(head);
	}
	return STATUS_OK;
}

/* Cuts off what is behind the last good frame. */
static enum status cut(struct spill *spill)
{
	assert(spill->bytes >= SPILL_HEAD_BYTES);
	if (ftruncate(spill->fd, (off_t)spill->bytes) != 0 || fdatasync(spill->fd) != 0) {
		return STATUS_IO;
	}
	return STATUS_OK;
}

static enum status read_frames(struct spill *spill, struct error *err)
{
	struct stat about;
	if (fstat(spill->fd, &about) != 0) {
		return error_set(err, STATUS_IO, "spill: %s", strerror(errno));
	}
	const uint64_t file_bytes = (uint64_t)about.st_size;
	enum status status = STATUS_OK;
	while (status == STATUS_OK && spill->bytes < file_bytes && !spill->ended) {
		status = read_frame(spill, file_bytes);
	}
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		return error_set(err, status, "spill: frame at %" PRIu64 ": %s", spill->bytes,
			status_name(status));
	}
	status = STATUS_OK;
	if (spill->run_count > 0 && !spill->ended) {
		bool whole = false;
		status = check_last_body(spill, &whole);
		if (status != STATUS_OK) {
			return error_set(err, status, "spill: last run: %s", status_name(status));
		}
		if (!whole) {
			spill->run_count--;
			spill->bytes = spill->runs[spill->run_count].body_offset - SPILL_HEAD_BYTES;
		}
	}
	bool damaged = false;
	if (spill->bytes < file_bytes && !spill->ended) {
		status = find_later_frame(spill, file_bytes, &damaged);
	}
	if (status != STATUS_OK || damaged) {
		return error_set(err, damaged ? STATUS_CORRUPT : status,
			"spill: the frame at %" PRIu64 " is damaged", spill->bytes);
	}
	if (spill->bytes < file_bytes && cut(spill) != STATUS_OK) {
		return error_set(err, STATUS_IO, "spill: cut a torn frame: %s", strerror(errno));
	}
	return STATUS_OK;
}

/* Whether the file grew, but its head never reached the disk. */
static bool is_zero(const uint8_t *head)
{
	static const uint8_t zero[SPILL_HEAD_BYTES];
	return memcmp(head, zero, sizeof zero) == 0;
}

enum status spill_open(const char *folder, const char *name, const struct base_owner *owner,
	struct spill *out, struct error *err)
{
	char path[PATH_MAX];
	enum status status = file_path(path, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = (struct spill){
		.owner = *owner,
		.fd = file_open(path, O_RDWR, 0),
		.bytes = SPILL_HEAD_BYTES,
	};
	if (out->fd < 0) {
		return error_set(err, STATUS_IO, "open '%s': %s", path, file_reason(errno));
	}
	uint8_t head[SPILL_HEAD_BYTES];
	status = file_read_at(out->fd, head, sizeof head, 0);
	if (status == STATUS_CORRUPT || (status == STATUS_OK && is_zero(head))) {
		spill_close(out);
		return file_remove(path) == 0 ? STATUS_AGAIN
					      : error_set(err, STATUS_IO, "remove '%s': %s", path,
							strerror(errno));
	}
	if (status != STATUS_OK) {
		error_set(err, status, "'%s': its head cannot be read", path);
	} else {
		status = check_file_head(head, out, path, err);
	}
	if (status == STATUS_OK) {
		status = read_frames(out, err);
	}
	if (status != STATUS_OK) {
		spill_close(out);
	}
	return status;
}

static enum status append(struct spill *spill, enum spill_frame_kind kind,
	const struct spill_run *run, const uint8_t *body, struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES] = {0};
	assert(!spill->ended);
	assert(spill->bytes % SEGMENT_ALIGN == 0); /* so that columns are aligned in the file */
	bytes_put_u32(head, SPILL_FRAME_MAGIC);
	bytes_put_u32(head + 4, kind);
	bytes_put_u64(head + 8, run->body_bytes);
	bytes_put_u64(head + 16, run->sequence);
	bytes_put_u64(head + 24, run->first_chunk);
	bytes_put_u64(head + 32, run->chunk_count);
	bytes_put_u64(head + 40, run->rows);
	bytes_put_u64(head + 48, run->blob_bytes);
	bytes_put_u64(head + 56, run->body_hash);
	seal_head(head);
	enum status status =
		file_write_at(spill->fd, body, run->body_bytes, spill->bytes + SPILL_HEAD_BYTES);
	if (status == STATUS_OK) {
		status = file_write_at(spill->fd, head, sizeof head, spill->bytes);
	}
	if (status == STATUS_OK && fdatasync(spill->fd) != 0) {
		status = status_of_errno(errno);
	}
	if (status != STATUS_OK) {
		error_set(err, status, "load: the rows could not be written: %s", strerror(errno));
		if (cut(spill) != STATUS_OK) {
			error_set(err, STATUS_IO,
				"load: neither written nor cut back; its file is left to the next start");
			return STATUS_IO;
		}
	}
	return status;
}

enum status spill_append(struct spill *spill, struct spill_run *run, const uint8_t *body,
	struct error *err)
{
	struct spill_layout layout;
	spill_layout(&layout, &spill->owner.spec, run->rows, run->blob_bytes);
	run->body_offset = spill->bytes + SPILL_HEAD_BYTES;
	run->body_bytes = layout.bytes;
	run->body_hash = XXH3_64bits(body, layout.bytes);
	/* It is remembered first: a run that was written must not be forgotten for want of memory. */
	enum status status = add_run(spill, run);
	if (status != STATUS_OK) {
		return error_set(err, status, "load: run %zu", spill->run_count);
	}
	status = append(spill, SPILL_FRAME_RUN, run, body, err);
	if (status != STATUS_OK) {
		spill->run_count--;
		return status;
	}
	spill->bytes = run->body_offset + run->body_bytes;
	assert(spill->bytes % SEGMENT_ALIGN == 0);
	return STATUS_OK;
}

enum status spill_end(struct spill *spill, struct error *err)
{
	const struct spill_run nothing = {0};
	const enum status status = append(spill, SPILL_FRAME_END, &nothing, NULL, err);
	if (status == STATUS_OK) {
		spill->bytes += SPILL_HEAD_BYTES;
		spill->ended = true;
	}
	return status;
}
