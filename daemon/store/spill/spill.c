/* spill.c - appends runs to a bulk load's file. */
#include "daemon/store/spill/spill.h"

#include "daemon/store/spill/spill_head.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>

/* Where a column of so many bytes begins; *end moves behind it. */
static uint64_t place(uint64_t *end, uint64_t bytes)
{
	const uint64_t at = *end;
	*end = (at + bytes + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
	return at;
}

void spill_layout(struct spill_layout *layout, const struct table_spec *spec,
	const struct spill_run *run)
{
	uint64_t end = 0;
	layout->hashes = place(&end, run->rows * 8);
	layout->keys = place(&end, run->rows * (spec->key_type == KEY_U64 ? 8 : 4));
	layout->blob = place(&end, run->blob_bytes);
	layout->rows = place(&end, run->rows * spec_stored_bytes(spec));
	layout->scales = place(&end, spec->dtype == DTYPE_I8 ? run->rows * 4 : 0);
	layout->times = place(&end, run->rows * 8);
	layout->tags = place(&end, spec->tags ? run->rows * 8 : 0);
	layout->contents = place(&end, run->chunk_count * CHUNK_CONTENT_BYTES);
	layout->bytes = end;
}

int spill_file(const struct spill *spill, int flags)
{
	assert(spill->path != NULL);
	return file_open(spill->path, flags, 0);
}

static enum status fail(const struct spill *spill, const char *what, struct error *err)
{
	const int number = errno;
	return error_set(err, status_of_errno(number), "%s '%s': %s", what, spill->path,
		file_reason(number));
}

static enum status begin_file(const struct spill *spill, int fd, const char *folder,
	struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES];
	spill_head_write(head, spill);
	enum status status = file_write_at(fd, head, sizeof head, 0);
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = status_of_errno(errno);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "write '%s': %s", spill->path, strerror(errno));
	}
	return file_sync_folder(folder, err);
}

enum status spill_init(struct spill *spill, const char *folder, const char *name,
	const struct base_owner *owner, struct error *err)
{
	char path[PATH_MAX];
	*spill = (struct spill){.owner = *owner, .bytes = SPILL_HEAD_BYTES};
	const enum status status = file_path(path, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	spill->path = strdup(path);
	return spill->path == NULL ? error_set(err, STATUS_NO_MEMORY, "open '%s'", path)
				   : STATUS_OK;
}

enum status spill_create(const char *folder, const char *name, const struct base_owner *owner,
	int64_t default_time_ms, struct spill *out, struct error *err)
{
	enum status status = spill_init(out, folder, name, owner, err);
	if (status != STATUS_OK) {
		return status;
	}
	out->default_time_ms = default_time_ms;
	if (getrandom(&out->salt, sizeof out->salt, 0) != (ssize_t)sizeof out->salt) {
		spill_close(out);
		return error_set(err, STATUS_IO, "load: no random number");
	}
	const int fd = file_open(out->path, O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0) {
		status = fail(out, "create", err);
		spill_close(out);
		return status;
	}
	status = begin_file(out, fd, folder, err);
	close(fd);
	if (status != STATUS_OK) {
		(void)file_remove(out->path);
		spill_close(out);
	}
	return status;
}

void spill_close(struct spill *spill)
{
	free(spill->path);
	free(spill->runs);
	*spill = (struct spill){0};
}

/* ---- append ---- */

enum status spill_add_run(struct spill *spill, const struct spill_run *run)
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

enum status spill_cut(const struct spill *spill, int fd)
{
	assert(spill->bytes >= SPILL_HEAD_BYTES);
	if (ftruncate(fd, (off_t)spill->bytes) != 0 || fdatasync(fd) != 0) {
		return STATUS_IO;
	}
	return STATUS_OK;
}

static enum status append(struct spill *spill, enum spill_frame_kind kind,
	const struct spill_run *run, const uint8_t *body, struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES];
	assert(!spill->ended);
	assert(spill->bytes % SEGMENT_ALIGN == 0); /* so that columns are aligned in the file */
	const int fd = spill_file(spill, O_RDWR);
	if (fd < 0) {
		return fail(spill, "open", err);
	}
	spill_frame_write(head, kind, run, spill->salt);
	enum status status =
		file_write_at(fd, body, run->body_bytes, spill->bytes + SPILL_HEAD_BYTES);
	if (status == STATUS_OK) {
		status = file_write_at(fd, head, sizeof head, spill->bytes);
	}
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = status_of_errno(errno);
	}
	if (status != STATUS_OK) {
		error_set(err, status, "load: the rows could not be written: %s", strerror(errno));
		if (spill_cut(spill, fd) != STATUS_OK) {
			status = error_set(err, STATUS_IO,
				"load: neither written nor cut back; its file is left to the next start");
		}
	}
	close(fd);
	return status;
}

enum status spill_append(struct spill *spill, struct spill_run *run, const uint8_t *body,
	struct error *err)
{
	struct spill_layout layout;
	spill_layout(&layout, &spill->owner.spec, run);
	run->body_offset = spill->bytes + SPILL_HEAD_BYTES;
	run->body_bytes = layout.bytes;
	run->body_hash = XXH3_64bits(body, layout.bytes);
	/* It is remembered first: a run that was written must not be forgotten for want of memory. */
	enum status status = spill_add_run(spill, run);
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

/* ---- contents ---- */

/* The run that has a chunk. */
static const struct spill_run *run_of(const struct spill *spill, uint64_t chunk)
{
	size_t low = 0;
	size_t high = spill->run_count;
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (spill->runs[middle].first_chunk <= chunk) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return &spill->runs[low];
}

enum status spill_content(const struct spill *spill, uint64_t chunk, struct chunk_content *out,
	struct error *err)
{
	struct spill_layout layout;
	uint8_t data[CHUNK_CONTENT_BYTES];
	assert(spill->run_count > 0);
	const struct spill_run *run = run_of(spill, chunk);
	if (chunk < run->first_chunk || chunk - run->first_chunk >= run->chunk_count) {
		/* The numbers of runs come from the disk. */
		return error_set(err, STATUS_CORRUPT,
			"load: chunk %" PRIu64 " is missing; abort the load and send it again",
			chunk);
	}
	spill_layout(&layout, &spill->owner.spec, run);
	const int fd = spill_file(spill, O_RDONLY);
	if (fd < 0) {
		return fail(spill, "open", err);
	}
	const enum status status = file_read_at(fd, data, sizeof data,
		run->body_offset + layout.contents +
			(chunk - run->first_chunk) * CHUNK_CONTENT_BYTES);
	close(fd);
	if (status != STATUS_OK) {
		return error_set(err, status, "read '%s': %s", spill->path, status_name(status));
	}
	out->low = bytes_get_u64(data);
	out->high = bytes_get_u64(data + 8);
	return STATUS_OK;
}
