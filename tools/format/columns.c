/* columns.c - finds the columns of an import among npy files, or in one npz file. */
#include "tools/format/columns.h"

#include "tools/format/source.h"
#include "tools/format/zip.h"

#include <inttypes.h>
#include <string.h>

/* What a file may inflate to, so that a small one does not keep the command and the daemon busy for
 * hours: as much as files of that size hold in earnest, and at least INFLATED_BYTES. */
enum { INFLATED_TIMES = 100 };
static const uint64_t inflated_bytes = UINT64_C(1) << 30;

enum status columns_open_npy(const struct source_options *options, struct columns *out,
	struct error *err)
{
	const char *const paths[COLUMNS] = {
		[COLUMN_KEYS] = options->keys,
		[COLUMN_ROWS] = options->rows,
		[COLUMN_TIMES] = options->times,
		[COLUMN_SCALES] = options->scales,
		[COLUMN_TAGS] = options->tags,
		[COLUMN_WEIGHTS] = options->weights,
		[COLUMN_COUNTS] = options->counts,
		[COLUMN_HISTORY_TIMES] = options->history_times,
	};
	enum status status = STATUS_OK;
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		if (paths[i] != NULL) {
			status = array_open_npy(&out->arrays[i], paths[i], err);
		}
	}
	return status;
}

void columns_close(struct columns *columns)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		array_close(&columns->arrays[i]);
	}
	mapping_close(&columns->archive);
}

/* ---- npz ---- */

/* np.savez adds .npy to the name of an array. */
static enum column column_of(const struct zip_member *member)
{
	static const char ending[] = ".npy";
	const size_t ending_len = sizeof ending - 1;
	size_t len = member->name_len;
	if (len > ending_len && memcmp(member->name + len - ending_len, ending, ending_len) == 0) {
		len -= ending_len;
	}
	return column_find(member->name, len);
}

/* Members that share bytes are no work of a program that saves arrays. */
static bool overlaps(const struct zip_member *a, const struct zip_member *b)
{
	return a->name != NULL && a->at < b->end && b->at < a->end;
}

/* Finds the columns among the members. One that is not there has no name. */
static enum status find_members(struct zip *zip, struct zip_member members[COLUMNS],
	struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	for (;;) {
		struct zip_member each = {0};
		bool more = false;
		const enum status status = zip_next(zip, &each, &more, err);
		if (status != STATUS_OK || !more) {
			return status;
		}
		const enum column column = column_of(&each);
		error_quote(quoted, each.name, each.name_len);
		if (column == COLUMNS) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': '%s' is no column of a table: " COLUMN_NAMES
				" are: np.savez(FILE, keys=..., rows=...)",
				zip->name, quoted);
		}
		if (members[column].name != NULL) {
			return error_set(err, STATUS_BAD_REQUEST, "'%s': '%s' is in it twice",
				zip->name, quoted);
		}
		for (size_t i = 0; i < COLUMNS; i++) {
			if (overlaps(&members[i], &each)) {
				return error_set(err, STATUS_BAD_REQUEST,
					"'%s': '%s' and '%s' share bytes; it is damaged", zip->name,
					column_name((enum column)i), quoted);
			}
		}
		members[column] = each;
	}
}

/* Checks that what is needed is there, and that it is not too much. */
static enum status check_members(const char *name, size_t file_len,
	const struct zip_member members[COLUMNS], struct error *err)
{
	uint64_t most = (uint64_t)file_len * INFLATED_TIMES;
	most = most > inflated_bytes ? most : inflated_bytes;
	uint64_t inflated = 0;
	for (size_t i = 0; i < COLUMNS; i++) {
		if (members[i].name == NULL && (i == COLUMN_KEYS || i == COLUMN_ROWS)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': there is no array '%s' in it: np.savez(FILE, keys=..., rows=...)",
				name, column_name((enum column)i));
		}
		if (members[i].name != NULL && members[i].method == ZIP_DEFLATED &&
			__builtin_add_overflow(inflated, members[i].bytes, &inflated)) {
			inflated = UINT64_MAX;
		}
	}
	if (inflated > most) {
		return error_set(err, STATUS_TOO_LARGE,
			"'%s': its arrays inflate to %" PRIu64
			" bytes; of a compressed file of this size %" PRIu64
			" are read, of one that np.savez saves as many as there are",
			name, inflated, most);
	}
	return STATUS_OK;
}

enum status columns_read_npz(const uint8_t *file, size_t len, const char *name, struct columns *out,
	struct error *err)
{
	struct zip zip;
	struct zip_member members[COLUMNS] = {0};
	enum status status = zip_open(file, len, name, &zip, err);
	if (status == STATUS_OK) {
		status = find_members(&zip, members, err);
	}
	if (status == STATUS_OK) {
		status = check_members(name, len, members, err);
	}
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		if (members[i].name != NULL) {
			status = array_open_member(&out->arrays[i], name,
				column_name((enum column)i), &members[i], err);
		}
	}
	return status;
}

enum status columns_open_npz(const char *path, struct columns *out, struct error *err)
{
	static const uint8_t none[1];
	enum status status = mapping_open(path, &out->archive, err);
	if (status == STATUS_OK) {
		const uint8_t *data = out->archive.data != NULL ? out->archive.data : none;
		status = columns_read_npz(data, out->archive.len, path, out, err);
	}
	return status == STATUS_OK || mapping_check(err) == STATUS_OK ? status : STATUS_BAD_REQUEST;
}
