/* spill_read.c - finds the runs of a load's file, and tells a torn end from damage. */
#include "daemon/store/spill/spill.h"

#include "daemon/store/spill/spill_head.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* Reads the frame at spill->bytes. AGAIN: there is no whole one. */
static enum status read_frame(struct spill *spill, int fd, uint64_t file_bytes)
{
	uint8_t head[SPILL_HEAD_BYTES];
	uint32_t kind;
	struct spill_run run;
	if (spill->bytes + SPILL_HEAD_BYTES > file_bytes) {
		return STATUS_AGAIN;
	}
	const enum status status = file_read_at(fd, head, sizeof head, spill->bytes);
	if (status != STATUS_OK) {
		return status;
	}
	if (!spill_frame_read(head, spill->salt, &kind, &run)) {
		return STATUS_AGAIN;
	}
	run.body_offset = spill->bytes + SPILL_HEAD_BYTES;
	if (run.body_bytes > file_bytes - run.body_offset) {
		return STATUS_AGAIN;
	}
	if (kind == SPILL_FRAME_END) {
		spill->ended = true;
		spill->bytes = run.body_offset;
		return STATUS_OK;
	}
	struct spill_layout layout;
	if (kind != SPILL_FRAME_RUN || run.rows > UINT32_MAX || run.blob_bytes > UINT32_MAX ||
		run.chunk_count > run.body_bytes / CHUNK_CONTENT_BYTES) {
		return STATUS_CORRUPT;
	}
	spill_layout(&layout, &spill->owner.spec, &run);
	if (layout.bytes != run.body_bytes) {
		return STATUS_CORRUPT;
	}
	spill->bytes = run.body_offset + run.body_bytes;
	return spill_add_run(spill, &run);
}

/* Whether the last run's body is all there. No other body can be torn, since a run is synced before
 * the next one is written. */
static enum status check_last_body(const struct spill *spill, int fd, bool *whole)
{
	assert(spill->run_count > 0);
	const struct spill_run *run = &spill->runs[spill->run_count - 1];
	uint8_t *body = malloc(run->body_bytes + 1);
	if (body == NULL) {
		return STATUS_NO_MEMORY;
	}
	const enum status status = file_read_at(fd, body, run->body_bytes, run->body_offset);
	*whole = status == STATUS_OK && XXH3_64bits(body, run->body_bytes) == run->body_hash;
	free(body);
	return status;
}

/* Whether a good frame stands anywhere behind the bad one at spill->bytes. If so, the bad one was
 * synced before, and what damaged it was no crash. */
static enum status find_later_frame(const struct spill *spill, int fd, uint64_t file_bytes,
	bool *found)
{
	enum { STEP = SEGMENT_ALIGN };
	uint8_t head[SPILL_HEAD_BYTES];
	uint32_t kind;
	struct spill_run run;
	*found = false;
	for (uint64_t at = spill->bytes + STEP; at + SPILL_HEAD_BYTES <= file_bytes && !*found;
		at += STEP) {
		const enum status status = file_read_at(fd, head, sizeof head, at);
		if (status != STATUS_OK) {
			return status;
		}
		*found = spill_frame_read(head, spill->salt, &kind, &run);
	}
	return STATUS_OK;
}

/* What the disk cannot read is damaged. */
static enum status damage_or(enum status status)
{
	return status == STATUS_IO ? STATUS_CORRUPT : status;
}

static enum status read_frames(struct spill *spill, int fd, struct error *err)
{
	struct stat about;
	if (fstat(fd, &about) != 0) {
		return error_set(err, STATUS_IO, "spill: %s", strerror(errno));
	}
	const uint64_t file_bytes = (uint64_t)about.st_size;
	enum status status = STATUS_OK;
	while (status == STATUS_OK && spill->bytes < file_bytes && !spill->ended) {
		status = read_frame(spill, fd, file_bytes);
	}
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		return error_set(err, damage_or(status), "spill: frame at %" PRIu64 ": %s",
			spill->bytes, status_name(status));
	}
	status = STATUS_OK;
	if (spill->run_count > 0 && !spill->ended) {
		bool whole = false;
		status = check_last_body(spill, fd, &whole);
		if (status != STATUS_OK) {
			return error_set(err, damage_or(status), "spill: last run: %s",
				status_name(status));
		}
		if (!whole) {
			spill->run_count--;
			spill->bytes = spill->runs[spill->run_count].body_offset - SPILL_HEAD_BYTES;
		}
	}
	bool damaged = false;
	if (spill->bytes < file_bytes && !spill->ended) {
		status = find_later_frame(spill, fd, file_bytes, &damaged);
	}
	if (status != STATUS_OK || damaged) {
		return error_set(err, damaged ? STATUS_CORRUPT : damage_or(status),
			"spill: the frame at %" PRIu64 " is damaged", spill->bytes);
	}
	if (spill->bytes < file_bytes && spill_cut(spill, fd) != STATUS_OK) {
		return error_set(err, STATUS_IO, "spill: cut a torn frame: %s", strerror(errno));
	}
	return STATUS_OK;
}

/* Writes the head and the last frame again in place, and syncs them and the folder. A process that was killed, or a
 * sync that failed, may have left them in the system's memory alone, where they look as if they were on the
 * disk; and who loads goes on behind them. What is before was synced when they were begun. */
static enum status settle(const struct spill *spill, int fd, const char *folder, struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES];
	const struct spill_run *last =
		spill->run_count > 0 ? &spill->runs[spill->run_count - 1] : NULL;
	const uint64_t tail = spill->ended   ? spill->bytes - SPILL_HEAD_BYTES
			      : last == NULL ? spill->bytes
					     : last->body_offset - SPILL_HEAD_BYTES;
	const size_t len = (size_t)(spill->bytes - tail);
	uint8_t *frame = malloc(len + 1);
	if (frame == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "spill: its last %zu bytes", len);
	}
	enum status status = file_read_at(fd, head, sizeof head, 0);
	if (status == STATUS_OK) {
		status = file_read_at(fd, frame, len, tail);
	}
	if (status == STATUS_OK) {
		status = file_write_at(fd, head, sizeof head, 0);
	}
	if (status == STATUS_OK) {
		status = file_write_at(fd, frame, len, tail);
	}
	if (status == STATUS_DISK_FULL) {
		status =
			STATUS_OK; /* of a file system that copies; a full disk keeps nobody from reading */
	}
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = status_of_errno(errno);
	}
	free(frame);
	return status == STATUS_OK ? file_sync_folder(folder, err)
				   : error_set(err, status, "'%s' cannot be written again: %s",
					     spill->path, strerror(errno));
}

/* Whether the head never reached the disk, though the file grew, or was torn on its way. It is synced before anything is
 * written behind it. */
static bool is_unused(const uint8_t *head, uint64_t file_bytes)
{
	static const uint8_t zero[SPILL_HEAD_BYTES];
	return memcmp(head, zero, sizeof zero) == 0 ||
	       (file_bytes <= SPILL_HEAD_BYTES && !spill_head_is_whole(head));
}

static enum status read_file(struct spill *spill, int fd, struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES];
	struct stat about;
	if (fstat(fd, &about) != 0) {
		return error_set(err, STATUS_IO, "'%s': %s", spill->path, strerror(errno));
	}
	enum status status = file_read_at(fd, head, sizeof head, 0);
	if (status == STATUS_CORRUPT ||
		(status == STATUS_OK && is_unused(head, (uint64_t)about.st_size))) {
		return file_remove(spill->path) == 0 ? STATUS_AGAIN
						     : error_set(err, STATUS_IO, "remove '%s': %s",
							       spill->path, file_reason(errno));
	}
	if (status != STATUS_OK) {
		/* The disk cannot read it. What is in it is lost, as of a file that was cut. */
		return error_set(err, STATUS_CORRUPT, "'%s': its head cannot be read", spill->path);
	}
	status = spill_head_read(head, spill, spill->path, err);
	return status == STATUS_OK ? read_frames(spill, fd, err) : status;
}

/* Reads the run that was found last, and compares it with its checksum. */
static enum status check_body(const struct spill *spill, int fd)
{
	bool whole = true;
	const enum status status =
		spill->run_count == 0 ? STATUS_OK : check_last_body(spill, fd, &whole);
	return status == STATUS_OK && !whole ? STATUS_CORRUPT : status;
}

enum status spill_verify(int fd, uint64_t bytes, const char *name, const struct base_owner *owner,
	struct error *err)
{
	uint8_t head[SPILL_HEAD_BYTES];
	struct spill spill = {.owner = *owner, .bytes = SPILL_HEAD_BYTES};
	enum status status = file_read_at(fd, head, sizeof head, 0);
	if (status == STATUS_OK) {
		status = spill_head_read(head, &spill, name, NULL);
	}
	while (status == STATUS_OK && spill.bytes < bytes) {
		const size_t runs = spill.run_count;
		status = spill.ended ? STATUS_CORRUPT : read_frame(&spill, fd, bytes);
		if (status == STATUS_OK && spill.run_count > runs) {
			status = check_body(&spill, fd);
		}
	}
	free(spill.runs);
	status = status == STATUS_AGAIN ? STATUS_CORRUPT : status;
	return status == STATUS_OK ? status
				   : error_set(err, status, "the frame at %" PRIu64 ": %s",
					     spill.bytes, status_name(status));
}

enum status spill_open(const char *folder, const char *name, const struct base_owner *owner,
	struct spill *out, struct error *err)
{
	enum status status = spill_init(out, folder, name, owner, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = spill_file(out, O_RDWR);
	if (fd < 0) {
		status = error_set(err, status_of_errno(errno), "open '%s': %s", out->path,
			file_reason(errno));
	} else {
		status = read_file(out, fd, err);
		status = status == STATUS_OK ? settle(out, fd, folder, err) : status;
		close(fd);
	}
	if (status != STATUS_OK) {
		spill_close(out);
	}
	return status;
}
