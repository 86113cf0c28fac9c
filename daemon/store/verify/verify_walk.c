/* verify_walk.c - reads the files of all releases and tells what is damaged. */
#include "daemon/store/verify/verify_walk.h"

#include "daemon/store/base/base_stream.h"
#include "daemon/store/index/index.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/tensor/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void verify_name(char out[VERIFY_NAME_BYTES], uint64_t release, const char *file)
{
	(void)snprintf(out, VERIFY_NAME_BYTES, "releases/%" PRIu64 "/%s", release, file);
}

/* ---- tell ---- */

static bool *seen_of(struct verify *verify, const char *file)
{
	const struct manifest_file *listed = manifest_find(&verify->manifest, file);
	return listed == NULL ? NULL : &verify->seen[listed - verify->manifest.files];
}

static void note_seen(struct verify *verify, const char *file)
{
	bool *seen = seen_of(verify, file);
	if (seen != NULL) {
		*seen = true;
	}
}

void verify_tell_all(struct verify *verify, const struct verify_damage *damage)
{
	note_seen(verify, damage->file);
	verify->result.damaged++;
	if (verify->wish->found != NULL) {
		verify->wish->found(verify->wish->arg, damage);
	}
}

void verify_tell(struct verify *verify, const char *file, const char *format, ...)
{
	char what[ERROR_TEXT_BYTES];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(what, sizeof what, format, args);
	va_end(args);
	verify_tell_all(verify, &(struct verify_damage){.file = file, .what = what});
}

/* ---- one file ---- */

/* A base file, or the file of a tensor. */
struct subject {
	char name[VERIFY_NAME_BYTES];
	const struct release *release;
	const char *table; /* or tensor */
	const struct base_file_info *info;
	struct base_set *bases;         /* of the file's level of a live table, or NULL */
	size_t first;                   /* the number of the file's first segment there */
	const struct base_owner *owner; /* NULL: a tensor */
};

static void tell_subject(struct verify *verify, const struct subject *subject, const char *what)
{
	const struct verify_damage damage = {
		.file = subject->name,
		.release = subject->release->id.text,
		.table = subject->table,
		.what = what,
	};
	verify_tell_all(verify, &damage);
}

static void tell_segment(struct verify *verify, const struct subject *subject, int fd, size_t i)
{
	const struct base_segment_info *info = &subject->info->segments[i];
	struct verify_keys keys;
	uint8_t *data = NULL;
	struct verify_damage damage = {
		.file = subject->name,
		.release = subject->release->id.text,
		.table = subject->table,
		.what = subject->owner != NULL ? "the segment is not what its checksum says"
					       : "the tensor is not what its checksum says",
		.has_segment = subject->owner != NULL,
		.segment = i,
		.rows = info->rows,
	};
	const int flags = fcntl(fd, F_GETFL);
	(void)fcntl(fd, F_SETFL, flags & ~O_DIRECT); /* a segment is not where a block begins */
	if (subject->owner != NULL && verify_read_keys(fd, subject->owner, info, verify->wish->keys,
					      &keys, &data) == STATUS_OK) {
		damage.keys = &keys;
	}
	if (subject->bases != NULL &&
		base_segment_check_again(subject->bases, subject->first + i) != BASE_DAMAGED) {
		damage.what = "the segment on the disk is not what its checksum says; what is in "
			      "memory is sound, and a full merge writes it anew";
	}
	verify_tell_all(verify, &damage);
	free(data);
}

static void compare_sum(struct verify *verify, const struct subject *subject,
	const struct base_sums *sums)
{
	const struct manifest_file *listed = manifest_find(&verify->manifest, subject->name);
	if (verify->manifest.kind != 0 && listed == NULL) {
		tell_subject(verify, subject, "the manifest does not name it");
	} else if (listed != NULL && (listed->sum != sums->sum || listed->bytes != sums->bytes)) {
		tell_subject(verify, subject, "it is another file than the manifest says");
	}
	note_seen(verify, subject->name);
}

/* Opens a file past the memory of the system, if its file system can do that. */
static int open_direct(const char *path)
{
	const int fd = file_open(path, O_RDONLY | O_DIRECT | O_NONBLOCK, 0);
	return fd < 0 && errno == EINVAL ? file_open(path, O_RDONLY | O_NONBLOCK, 0) : fd;
}

static void count(struct verify *verify, uint64_t bytes)
{
	verify->result.files++;
	verify->result.bytes += bytes;
	if (verify->done != NULL) {
		atomic_fetch_add(verify->done, bytes);
	}
}

/* What a file is, apart from damage. */
static enum status stopped(const struct verify *verify, enum status status, struct error *err)
{
	const enum status stop = stop_check(verify->pass.stop, err);
	return stop != STATUS_OK ? stop : error_set(err, status, "verify: %s", status_name(status));
}

/* Reads an open file of at least info->bytes, and tells each damaged part of it. */
static enum status read_subject(struct verify *verify, const struct subject *subject, int fd,
	struct error *err)
{
	struct base_stream *stream = NULL;
	struct base_sums sums;
	enum status status = base_stream_open(subject->info, &stream);
	if (status == STATUS_OK) {
		status = pass_read(&verify->pass, fd, subject->info->bytes, stream, -1);
	}
	if (status == STATUS_IO || status == STATUS_CORRUPT) {
		tell_subject(verify, subject, "the disk cannot read it");
		status = STATUS_OK;
	} else if (status != STATUS_OK) {
		status = stopped(verify, status, err);
	} else {
		base_stream_end(stream, &sums);
		for (size_t i = 0; i < subject->info->segment_count; i++) {
			if (sums.segments[i]) {
				tell_segment(verify, subject, fd, i);
			}
		}
		if (sums.outside_damaged) {
			tell_subject(verify, subject, "it is damaged outside its segments");
		}
		if (base_sums_are_sound(&sums)) {
			compare_sum(verify, subject, &sums);
		}
	}
	base_stream_close(stream);
	return status;
}

static enum status verify_subject(struct verify *verify, const struct subject *subject,
	struct error *err)
{
	char path[PATH_MAX];
	struct stat about;
	enum status status = file_path(path, verify->folder, subject->name, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = open_direct(path);
	if (fd < 0 && status_of_errno(errno) == STATUS_NO_MEMORY) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s': %s", path, file_reason(errno));
	}
	if (fd < 0 || fstat(fd, &about) != 0) {
		tell_subject(verify, subject, file_reason(errno));
	} else if (!S_ISREG(about.st_mode) || (uint64_t)about.st_size != subject->info->bytes) {
		tell_subject(verify, subject, "it has not the size that it was written with");
	} else {
		status = read_subject(verify, subject, fd, err);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	count(verify, subject->info->bytes);
	return status;
}

/* ---- indexes ---- */

/* Whether a file is an index of the table, with nothing between its head and its image. */
static enum status check_index(const char *folder, const char *path,
	const struct index_owner *owner, struct error *err)
{
	uint8_t head[INDEX_IMAGE_OFFSET];
	struct index *index = NULL;
	const enum status status = index_open(folder, owner, &index, err);
	index_close(index);
	const int fd = status == STATUS_OK ? file_open(path, O_RDONLY, 0) : -1;
	if (fd < 0) {
		return status;
	}
	const bool read = file_read_at(fd, head, sizeof head, 0) == STATUS_OK;
	(void)close(fd);
	for (size_t i = INDEX_HEAD_BYTES; read && i < sizeof head; i++) {
		if (head[i] != 0) {
			return error_set(err, STATUS_CORRUPT, "'%s': damaged behind its head",
				path);
		}
	}
	return STATUS_OK;
}

/* An index is derived, so its damage is mended by itself, but told. One of a live store may be written
 * just now, which is over when it is looked at again. */
static enum status verify_index(struct verify *verify, const struct release *release,
	const struct table *table, const struct index_owner *owner, struct error *err)
{
	enum { LOOKS = 3, PAUSE_NS = 50000000 };
	char file[64];
	char name[VERIFY_NAME_BYTES];
	char folder[PATH_MAX];
	char path[PATH_MAX];
	struct error reason = {0};
	index_file_name(file, sizeof file, owner->table, owner->file->number);
	verify_name(name, release->number, file);
	enum status status = file_path(path, verify->folder, name, err);
	if (status != STATUS_OK || !file_exists(path)) {
		return status;
	}
	memcpy(folder, path, sizeof folder);
	*strrchr(folder, '/') = '\0';
	for (unsigned i = 0; i < LOOKS; i++) {
		status = check_index(folder, path, owner, &reason);
		if (status == STATUS_OK || !verify->is_live) {
			break;
		}
		const struct timespec pause = {.tv_nsec = PAUSE_NS};
		(void)nanosleep(&pause, NULL);
	}
	if (status == STATUS_NO_MEMORY) {
		return error_set(err, status, "%s", reason.text);
	}
	/* One of other files, as older builds have made them of several, is no damage: it is built anew. */
	if (status != STATUS_OK && status != STATUS_NOT_FOUND && status != STATUS_CONFLICT) {
		const struct verify_damage damage = {
			.file = name,
			.release = release->id.text,
			.table = table->spec.name.text,
			.what = owner->file->delta == 0
					? "the index of a file is damaged; searches go through its rows "
					  "until it is built again"
					: "the image of a delta is damaged; searches go through its rows "
					  "until it is built again",
		};
		verify_tell_all(verify, &damage);
	}
	verify->result.files++;
	return STATUS_OK;
}

static enum status verify_indexes(struct verify *verify, const struct release *release,
	const struct table *table, struct error *err)
{
	const size_t levels = table_indexed_levels(table, verify->index_rows_min);
	enum status status = STATUS_OK;
	for (size_t i = 0; i < levels; i++) {
		for (size_t j = 0; status == STATUS_OK && j < table->levels[i]->file_count; j++) {
			const struct index_owner owner =
				table_index_owner(table, i, j, release->number);
			if (table_wants_image(table, i, j)) {
				status = verify_index(verify, release, table, &owner, err);
			}
		}
	}
	return status;
}

/* ---- releases ---- */

static enum status verify_level(struct verify *verify, const struct table *table,
	const struct level *level, struct subject *subject, struct error *err)
{
	enum status status = STATUS_OK;
	subject->bases = level->set;
	subject->first = 0;
	for (size_t i = 0; status == STATUS_OK && i < level->file_count; i++) {
		char file[64];
		base_file_name(file, sizeof file, table->number, level->files[i].number);
		verify_name(subject->name, subject->release->number, file);
		subject->info = &level->files[i];
		status = verify_subject(verify, subject, err);
		subject->first += level->files[i].segment_count;
	}
	return status;
}

static enum status verify_table(struct verify *verify, const struct release *release,
	const struct table *table, struct error *err)
{
	const struct base_owner owner = {
		.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec,
	};
	struct subject subject = {
		.release = release,
		.table = table->spec.name.text,
		.owner = &owner,
	};
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < table->level_count; i++) {
		status = verify_level(verify, table, table->levels[i], &subject, err);
	}
	return status == STATUS_OK ? verify_indexes(verify, release, table, err) : status;
}

static enum status verify_tensor(struct verify *verify, const struct release *release,
	const struct tensor *tensor, struct error *err)
{
	char file[64];
	struct subject subject = {
		.release = release,
		.table = tensor->spec.name.text,
		.info = &tensor->file,
	};
	tensor_file_name(file, sizeof file, tensor->number);
	verify_name(subject.name, release->number, file);
	return verify_subject(verify, &subject, err);
}

enum status verify_releases(struct verify *verify, const struct snapshot *snapshot,
	struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		for (size_t j = 0; status == STATUS_OK && j < release->table_count; j++) {
			status = verify_table(verify, release, release->tables[j], err);
		}
		for (size_t j = 0; status == STATUS_OK && j < release->tensor_count; j++) {
			status = verify_tensor(verify, release, release->tensors[j], err);
		}
	}
	return status;
}

enum status verify_listed(struct verify *verify, const struct manifest_file *file,
	struct error *err)
{
	char path[PATH_MAX];
	struct stat about;
	struct base_stream *stream = NULL;
	struct base_sums sums = {0};
	enum status status = file_path(path, verify->folder, file->name, err);
	const int fd = status == STATUS_OK ? open_direct(path) : -1;
	if (status != STATUS_OK) {
		return status;
	}
	if (fd < 0 || fstat(fd, &about) != 0) {
		verify_tell(verify, file->name, "%s", file_reason(errno));
	} else if ((uint64_t)about.st_size != file->bytes) {
		verify_tell(verify, file->name, "it has %lld bytes, the manifest says %" PRIu64,
			(long long)about.st_size, file->bytes);
	} else {
		status = base_stream_open(NULL, &stream);
		if (status == STATUS_OK) {
			status = pass_read(&verify->pass, fd, file->bytes, stream, -1);
		}
		if (status == STATUS_OK) {
			base_stream_end(stream, &sums);
		}
		if (status == STATUS_IO || status == STATUS_CORRUPT) {
			verify_tell(verify, file->name, "the disk cannot read it");
			status = STATUS_OK;
		} else if (status != STATUS_OK) {
			status = stopped(verify, status, err);
		} else if (sums.sum != file->sum) {
			verify_tell(verify, file->name,
				"it is another file than the manifest says");
		}
		base_stream_close(stream);
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	count(verify, file->bytes);
	return status;
}
