/* upgrade_table.c - segment by segment: read, compared with its checksum, and laid out as today.
 *
 * Rows keep their order, and segments their prefixes. Files are cut as a seal cuts them. */
#include "daemon/store/upgrade/upgrade_table.h"

#include "daemon/store/base/base_files.h"
#include "daemon/store/base/segment_build.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/file.h"
#include "daemon/store/upgrade/old_segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* The sizes that a daemon works with. */
static const struct base_sizes sizes = {
	.segment_bytes = 32 << 20,
	.file_bytes = 1 << 30,
	.range_bytes = 96 << 20,
	.range_rows = 1000000,
};

/* What a segment of today may take more: 8 bytes for each page, and some columns that begin with a page. */
enum { PAGES_MORE = 8 };

uint64_t upgrade_table_bytes(const struct table *table)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < table_file_count(table); i++) {
		const struct base_file_info *file = table_file(table, i);
		bytes += file->bytes + file->bytes / 256 +
			 (file->segment_count + 1) * PAGES_MORE * SEGMENT_PAGE_BYTES;
	}
	return bytes;
}

bool upgrade_table_is_done(const struct table *table)
{
	return table->level_count > 0 && table_file(table, 0)->segments[0].head_bytes != 0;
}

struct upgrade {
	const struct base_owner *owner;
	const char *path; /* of the old file that is read */
	int fd;
	size_t number;    /* of the segment in it */
	uint8_t *data;    /* owned: of the old segment */
	uint64_t *hashes; /* owned: of its rows */
};

static enum status fail(const struct upgrade *upgrade, enum status status, const char *why,
	struct error *err)
{
	return error_set(err, status,
		"'%s': segment %zu: %s; nothing was changed: put the file back from a copy, or drop its "
		"release with repstored 0.1",
		upgrade->path, upgrade->number, why);
}

/* Hashes the keys of an old segment. False: a key is none, or they are not in order. */
static bool hash_keys(const struct segment *from, const struct segment_identity *identity,
	uint64_t *hashes)
{
	for (uint32_t row = 0; row < from->rows; row++) {
		const uint8_t *key;
		size_t len;
		if (!segment_key(from, row, &key, &len)) {
			return false;
		}
		hashes[row] = siphash(&from->seed, key, len);
	}
	/* A copy of the blob is one piece, which the first key begins. */
	return segment_hashes_fit(identity, hashes) &&
	       (from->key_offsets == NULL ||
		       (from->key_offsets[0] == 0 &&
			       from->key_offsets[from->rows] == from->blob_bytes));
}

static void copy_columns(const struct segment *from, const struct segment_space *space)
{
	const size_t rows = from->rows;
	if (from->keys != NULL) {
		memcpy(space->keys, from->keys, rows * 8);
	} else {
		memcpy(space->key_offsets, from->key_offsets, (rows + 1) * 4);
		memcpy(space->key_blob, from->key_blob, from->blob_bytes);
	}
	memcpy(space->row_data, from->row_data, rows * from->row_bytes);
	memcpy(space->times, from->times, rows * 8);
	if (from->tags != NULL) {
		memcpy(space->tags, from->tags, rows * 8);
	}
	if (from->scales != NULL) {
		memcpy(space->scales, from->scales, rows * 4);
	}
}

static enum status write_segment(struct upgrade *upgrade, const struct segment_identity *identity,
	const struct segment *from, struct base_files *files, struct error *err)
{
	struct segment_plan plan;
	struct segment_space space;
	uint8_t *data = NULL;
	if (!hash_keys(from, identity, upgrade->hashes)) {
		return fail(upgrade, STATUS_CORRUPT, "its keys are not in order", err);
	}
	segment_plan(&plan, &upgrade->owner->spec, identity, upgrade->hashes, from->blob_bytes);
	const enum status status = base_files_begin(files, &plan, &data, err);
	if (status != STATUS_OK) {
		return status;
	}
	segment_begin(&plan, upgrade->hashes, data, &space);
	copy_columns(from, &space);
	segment_end(&plan, data);
	return base_files_commit(files, &plan, err);
}

static enum status take_segment(struct upgrade *upgrade, const struct base_segment_info *info,
	struct base_files *files, struct error *err)
{
	const struct segment_identity identity = {
		.release = upgrade->owner->release,
		.table = upgrade->owner->table,
		.seed = upgrade->owner->seed,
		.prefix = info->prefix,
		.prefix_bits = info->prefix_bits,
		.rows = info->rows,
	};
	struct segment from;
	struct error reason;
	upgrade->data = malloc(info->bytes + 1);
	upgrade->hashes = malloc(((size_t)info->rows + 1) * sizeof *upgrade->hashes);
	if (upgrade->data == NULL || upgrade->hashes == NULL) {
		return fail(upgrade, STATUS_NO_MEMORY, "no memory for it", err);
	}
	enum status status = file_read_at(upgrade->fd, upgrade->data, info->bytes, info->offset);
	if (status == STATUS_OK && XXH3_64bits(upgrade->data, info->bytes) != info->hash) {
		status = STATUS_CORRUPT;
	}
	if (status != STATUS_OK) {
		return fail(upgrade, status,
			status == STATUS_CORRUPT ? "it is damaged" : status_name(status), err);
	}
	status = old_segment_open(upgrade->data, info->bytes, &upgrade->owner->spec, &identity,
		&from, &reason);
	return status == STATUS_OK ? write_segment(upgrade, &identity, &from, files, err)
				   : fail(upgrade, status, reason.text, err);
}

static enum status take_file(const char *folder, const struct base_file_info *info,
	const struct base_owner *owner, struct base_files *files, struct error *err)
{
	char name[64];
	char path[PATH_MAX];
	base_file_name(name, sizeof name, owner->table, info->number);
	enum status status = file_path(path, folder, name, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct upgrade upgrade = {.owner = owner, .path = path};
	upgrade.fd = file_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (upgrade.fd < 0) {
		return error_set(err, errno == ENOENT ? STATUS_CORRUPT : status_of_errno(errno),
			"open '%s': %s", path, file_reason(errno));
	}
	for (size_t i = 0; status == STATUS_OK && i < info->segment_count; i++) {
		upgrade.number = i;
		status = take_segment(&upgrade, &info->segments[i], files, err);
		free(upgrade.data);
		free(upgrade.hashes);
		upgrade.data = NULL;
		upgrade.hashes = NULL;
	}
	(void)close(upgrade.fd);
	return status;
}

/* Opens what was written, and compares all of it with its checksums. */
static enum status read_back(const char *folder, const struct base_owner *owner,
	const struct base_files *files, uint64_t rows, struct error *err)
{
	struct base_set *set = NULL;
	struct error damage = {0};
	enum status status =
		base_set_open(folder, owner, files->files, files->file_count, &set, &damage);
	if (status == STATUS_OK) {
		status = damage.status; /* a file that cannot be opened fails no set */
	}
	for (size_t i = 0; status == STATUS_OK && i < set->segment_count; i++) {
		status = base_segment_wait(set, i) == BASE_READY ? STATUS_OK : STATUS_CORRUPT;
	}
	if (status == STATUS_OK && files->rows != rows) {
		status = STATUS_CORRUPT;
	}
	base_set_close(set);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "table '%s': its new files cannot be read back: %s",
				 owner->spec.name.text,
				 damage.text[0] != '\0' ? damage.text : status_name(status));
}

/* The files are the table's from now on. */
static enum status give(struct table *table, struct base_files *files, struct error *err)
{
	level_drop(table->levels[0]);
	table->level_count = 0;
	table->rows = 0;
	table->bytes = 0;
	const enum status status = table_add_level(table, 0, files->files, files->file_count);
	files->files = NULL;
	files->file_count = 0;
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "table '%s': no memory", table->spec.name.text);
}

enum status upgrade_table(const char *folder, const struct release *release, struct table *table,
	struct error *err)
{
	const struct base_owner owner = {.release = release->number,
		.table = table->number,
		.seed = table->seed,
		.spec = table->spec};
	const struct base_extent extent = {
		.bytes = upgrade_table_bytes(table),
		.rows = table->rows,
		.is_indexed = table->spec.index != INDEX_NONE,
	};
	_Atomic uint64_t next_file = table->next_file;
	struct base_files files = {
		.folder = folder,
		.owner = &owner,
		.sizes = sizes,
		.next_file = &next_file,
		.range_bits = base_range_bits(&sizes, &extent),
	};
	files.expected_bytes = base_range_expected(extent.bytes, files.range_bits);
	assert(table->level_count == 1 && !upgrade_table_is_done(table)); /* 0.1 had no deltas */
	enum status status = STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < table_file_count(table); i++) {
		status = take_file(folder, table_file(table, i), &owner, &files, err);
	}
	if (status == STATUS_OK) {
		status = base_files_finish(&files, err);
	}
	if (status == STATUS_OK) {
		status = file_sync_folder(folder, err);
	}
	if (status == STATUS_OK) {
		status = read_back(folder, &owner, &files, table->rows, err);
	}
	if (status == STATUS_OK) {
		table->next_file = next_file;
		status = give(table, &files, err);
	}
	base_files_fini(&files, status == STATUS_OK ? BASE_FILES_KEEP : BASE_FILES_REMOVE);
	return status;
}
