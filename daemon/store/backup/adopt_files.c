/* adopt_files.c - the base files and tensors of an adopted release.
 *
 * A foreign file is never opened by LMDB, whose pages have no checksums. Its segments stand where the record
 * says, and are put into files that are made here. A segment names its release by number, so that number is
 * written anew, and its checksum is another one.
 */
#include "daemon/store/backup/adopt_files.h"

#include "daemon/store/base/base.h"
#include "daemon/store/base/segment_build.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/tensor/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* A file of the exported release. */
struct foreign {
	int fd; /* owned */
	char path[PATH_MAX];
	const struct base_file_info *info;
};

/* Opens it, and checks that its parts, each of `least` bytes or more, can be where the record says. */
static enum status open_foreign(const struct adoption *adoption, const char *name,
	const struct base_file_info *info, uint64_t least, struct foreign *out, struct error *err)
{
	struct stat about = {0};
	uint64_t left = info->bytes;
	out->info = info;
	enum status status = file_path(out->path, adoption->from, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	out->fd = file_open(out->path, O_RDONLY | O_NONBLOCK, 0);
	if (out->fd < 0) {
		return error_set(err, errno == ENOENT ? STATUS_CORRUPT : status_of_errno(errno),
			"open '%s': %s", out->path, file_reason(errno));
	}
	bool fits = fstat(out->fd, &about) == 0 && S_ISREG(about.st_mode) &&
		    (uint64_t)about.st_size == info->bytes;
	for (size_t i = 0; fits && i < info->segment_count; i++) {
		fits = info->segments[i].bytes >= least && info->segments[i].bytes <= left;
		left -= fits ? info->segments[i].bytes : 0;
	}
	if (!fits) {
		close(out->fd);
		return error_set(err, STATUS_CORRUPT, "'%s': it is not the file that was exported",
			out->path);
	}
	return STATUS_OK;
}

static enum status wait_for_pace(struct adoption *adoption, uint64_t bytes, struct error *err)
{
	const enum status status = pass_wait(&adoption->pass, bytes);
	return status == STATUS_OK ? status : stop_check(adoption->pass.stop, err);
}

/* Copies one part into `space`, and compares the copy with its checksum. */
static enum status take(const struct foreign *file, size_t i, uint8_t *space, struct error *err)
{
	const struct base_segment_info *info = &file->info->segments[i];
	const enum status status = file_read_at(file->fd, space, info->bytes, info->offset);
	if (status == STATUS_OK && XXH3_64bits(space, info->bytes) == info->hash) {
		return STATUS_OK;
	}
	return status == STATUS_OK || status == STATUS_CORRUPT
		       ? error_set(err, STATUS_CORRUPT,
				 "'%s': segment %zu is damaged, or has changed since the export",
				 file->path, i)
		       : error_set(err, status, "read '%s': %s", file->path, status_name(status));
}

/* ---- base files ---- */

static enum status copy_segment(struct adoption *adoption, const struct foreign *file, size_t i,
	uint64_t release, struct base_writer *writer, struct error *err)
{
	enum { AT_RELEASE = 16 }; /* in a segment's header */
	const struct base_segment_info *info = &file->info->segments[i];
	const struct segment_plan plan = {
		.bytes = info->bytes,
		.head_bytes = info->head_bytes,
		.identity = {.prefix = info->prefix,
			.prefix_bits = info->prefix_bits,
			.rows = info->rows},
	};
	uint8_t *space = NULL;
	enum status status = base_writer_begin(writer, info->bytes, &space, err);
	if (status == STATUS_OK) {
		status = take(file, i, space, err);
	}
	if (status == STATUS_OK) {
		bytes_put_u64(space + AT_RELEASE, release);
		status = base_writer_commit(writer, &plan, err);
	}
	return status == STATUS_OK ? wait_for_pace(adoption, info->bytes, err) : status;
}

/* Makes a file of the open one's segments. */
static enum status copy_file(struct adoption *adoption, const struct foreign *file,
	uint64_t release, const char *name, struct base_file_info *out, struct error *err)
{
	char path[PATH_MAX];
	struct base_writer *writer = NULL;
	enum status status = file_path(path, adoption->to, name, err);
	if (status == STATUS_OK) {
		status = base_writer_open(path, file->info->bytes, &writer, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < file->info->segment_count; i++) {
		status = copy_segment(adoption, file, i, release, writer, err);
	}
	if (status != STATUS_OK) {
		base_writer_abort(writer);
		return status;
	}
	status = base_writer_finish(writer, out, err);
	out->number = file->info->number;
	out->delta = file->info->delta;
	out->deleted = file->info->deleted;
	out->hides = file->info->hides;
	return status;
}

static enum status copy_base(struct adoption *adoption, const struct table *given,
	const struct base_file_info *info, uint64_t release, struct table *table, struct error *err)
{
	char name[64];
	struct foreign file = {.fd = -1, .info = info};
	struct base_file_info made = {0};
	base_file_name(name, sizeof name, given->number, info->number);
	enum status status = open_foreign(adoption, name, info, SEGMENT_HEADER_BYTES, &file, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = copy_file(adoption, &file, release, name, &made, err);
	close(file.fd);
	if (status == STATUS_OK && table_add_file(table, &made) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "adopt: no memory");
	}
	return status;
}

/* ---- what is in them ---- */

/* Whether all keys of a segment can be read, and stand in the order of their hashes, as whoever merges or
 * walks relies on. */
static bool has_order(const struct segment *segment)
{
	uint64_t last = segment->prefix;
	for (uint32_t row = 0; row < segment->rows; row++) {
		const uint8_t *key;
		size_t len;
		if (!segment_key(segment, row, &key, &len)) {
			return false;
		}
		const uint64_t hash = siphash(&segment->seed, key, len);
		if (hash < last ||
			(segment->prefix_bits != 0 &&
				(hash ^ segment->prefix) >> (64 - segment->prefix_bits) != 0)) {
			return false;
		}
		last = hash;
	}
	return true;
}

static enum status check_level(struct adoption *adoption, const struct table *table,
	struct level *level, struct error *err)
{
	enum status status = STATUS_OK;
	uint64_t deleted = 0;
	for (size_t i = 0; status == STATUS_OK && i < level->set->segment_count; i++) {
		const struct segment *view = &level->set->segments[i]->view;
		if (base_segment_wait(level->set, i) != BASE_READY || !has_order(view)) {
			return error_set(err, STATUS_CORRUPT,
				"adopt: table '%s': segment %zu holds no rows of ours",
				table->spec.name.text, i);
		}
		for (uint32_t row = 0; row < view->rows; row++) {
			deleted += segment_is_deleted(view, row);
		}
		status = stop_check(adoption->pass.stop, err);
	}
	return status == STATUS_OK && deleted != level->deleted
		       ? error_set(err, STATUS_CORRUPT,
				 "adopt: table '%s': %" PRIu64 " rows are tombstones, its record "
				 "says %" PRIu64,
				 table->spec.name.text, deleted, level->deleted)
		       : status;
}

/* Opens what was written, reads it back, and looks at the rows' order. */
static enum status check_table(struct adoption *adoption, const struct release *release,
	struct table *table, struct error *err)
{
	enum status status = store_open_table(adoption->store, release, table, NULL, err);
	for (size_t i = 0; status == STATUS_OK && i < table->level_count; i++) {
		status = check_level(adoption, table, table->levels[i], err);
	}
	return status;
}

/* ---- tables and tensors ---- */

static enum status adopt_table(struct adoption *adoption, const struct table *given,
	struct release *out, struct error *err)
{
	struct table *table = table_new(&given->spec, given->number);
	enum status status = STATUS_OK;
	if (table == NULL || table_set_default(table, given->default_row) != STATUS_OK) {
		table_drop(table);
		return error_set(err, STATUS_NO_MEMORY, "adopt: no memory");
	}
	table->rows = given->rows;
	table->seed = out->seed;
	const size_t files = table_file_count(given);
	for (size_t i = 0; status == STATUS_OK && i < files; i++) {
		status = copy_base(adoption, given, table_file(given, i), out->number, table, err);
	}
	if (status == STATUS_OK) {
		status = file_sync_folder(adoption->to, err);
	}
	if (status == STATUS_OK) {
		status = check_table(adoption, out, table, err);
	}
	if (status != STATUS_OK) {
		table_drop(table);
		return status;
	}
	status = release_put(out, table);
	return status == STATUS_OK ? status : error_set(err, status, "adopt: no memory");
}

static enum status adopt_tensor(struct adoption *adoption, const struct tensor *given,
	struct release *out, struct error *err)
{
	char name[64];
	struct foreign file = {.fd = -1, .info = &given->file};
	const uint64_t bytes = given->file.segments[0].bytes;
	struct tensor *tensor = tensor_new(&given->spec, given->number);
	uint8_t *data = malloc(bytes + 1);
	tensor_file_name(name, sizeof name, given->number);
	enum status status = tensor == NULL || data == NULL
				     ? error_set(err, STATUS_NO_MEMORY, "adopt: no memory")
				     : open_foreign(adoption, name, &given->file, 1, &file, err);
	if (status == STATUS_OK) {
		status = take(&file, 0, data, err);
		close(file.fd);
	}
	if (status == STATUS_OK) {
		status = tensor_create(tensor, adoption->to, data, err);
	}
	if (status == STATUS_OK) {
		status = wait_for_pace(adoption, bytes, err);
	}
	free(data);
	if (status != STATUS_OK) {
		tensor_drop(tensor);
		return status;
	}
	status = release_put_tensor(out, tensor);
	return status == STATUS_OK ? status : error_set(err, status, "adopt: no memory");
}

enum status adopt_files(struct adoption *adoption, const struct release *given, struct release *out,
	struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < given->table_count; i++) {
		status = adopt_table(adoption, given->tables[i], out, err);
	}
	for (size_t i = 0; status == STATUS_OK && i < given->tensor_count; i++) {
		status = adopt_tensor(adoption, given->tensors[i], out, err);
	}
	return status == STATUS_OK ? file_sync_folder(adoption->to, err) : status;
}
