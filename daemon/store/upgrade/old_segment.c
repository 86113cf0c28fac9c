/* old_segment.c - finds the columns of an old segment. */
#include "daemon/store/upgrade/old_segment.h"

#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char segment_magic[8] = {'r', 'e', 'p', 's', 't', 's', 'e', 'g'};

static enum status check_header(const uint8_t *data, size_t len,
	const struct segment_identity *identity, struct error *err)
{
	if (len < SEGMENT_HEADER_BYTES || memcmp(data, segment_magic, sizeof segment_magic) != 0) {
		return error_set(err, STATUS_CORRUPT, "no header");
	}
	const uint32_t version = bytes_get_u32(data + 8);
	if (version != OLD_SEGMENT_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"format version %" PRIu32 ", repstored 0.1 wrote %d; no release wrote it, "
			"so it cannot be upgraded",
			version, OLD_SEGMENT_VERSION);
	}
	if (bytes_get_u64(data + 16) != identity->release ||
		bytes_get_u64(data + 24) != identity->table ||
		bytes_get_u64(data + 32) != identity->prefix ||
		bytes_get_u32(data + 40) != identity->prefix_bits ||
		bytes_get_u32(data + 44) != identity->rows) {
		return error_set(err, STATUS_CORRUPT, "not the one that the catalog names");
	}
	if (bytes_get_u32(data + 60) != key_seed_check(&identity->seed)) {
		return error_set(err, STATUS_CORRUPT,
			"made with another seed than its release has");
	}
	const uint32_t columns = bytes_get_u32(data + 12);
	if (bytes_get_u64(data + 48) != len || columns > SEGMENT_COLUMNS_MAX ||
		len < SEGMENT_HEADER_BYTES + (size_t)columns * SEGMENT_COLUMN_BYTES) {
		return error_set(err, STATUS_CORRUPT, "its size is not what its header says");
	}
	return STATUS_OK;
}

/* Takes a column into the view; false when its size is not what rows and spec ask for. Offsets are multiples of
 * 64, so pointers are cast in place. */
static bool take_column(uint32_t kind, const void *column, uint64_t bytes,
	const struct table_spec *spec, struct segment *segment)
{
	const uint64_t rows = segment->rows;
	switch ((enum segment_column)kind) {
	case COLUMN_SLOTS: /* they are found anew */
		return true;
	case COLUMN_KEYS:
		segment->keys = column;
		return spec->key_type == KEY_U64 && bytes == rows * 8;
	case COLUMN_KEY_OFFSETS:
		segment->key_offsets = column;
		return spec->key_type == KEY_BYTES && bytes == (rows + 1) * 4;
	case COLUMN_KEY_BLOB:
		segment->key_blob = column;
		segment->blob_bytes = bytes;
		return spec->key_type == KEY_BYTES;
	case COLUMN_ROWS:
		segment->row_data = column;
		return bytes == rows * segment->row_bytes;
	case COLUMN_TIMES:
		segment->times = column;
		return bytes == rows * 8;
	case COLUMN_TAGS:
		segment->tags = column;
		return spec->tags && bytes == rows * 8;
	case COLUMN_SCALES:
		segment->scales = column;
		return spec->dtype == DTYPE_I8 && bytes == rows * 4;
	case COLUMN_WEIGHTS:
	case COLUMN_LOWS:
	case COLUMN_PAGES:
	case COLUMN_DELETED:
		return false; /* 0.1 wrote none */
	}
	return false;
}

static bool is_complete(const struct segment *segment, const struct table_spec *spec)
{
	const bool has_keys = spec->key_type == KEY_U64
				      ? segment->keys != NULL
				      : segment->key_offsets != NULL && segment->key_blob != NULL;
	return has_keys && segment->row_data != NULL && segment->times != NULL &&
	       (segment->tags != NULL) == spec->tags &&
	       (segment->scales != NULL) == (spec->dtype == DTYPE_I8);
}

enum status old_segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err)
{
	assert((uintptr_t)data % 8 == 0);
	const enum status status = check_header(data, len, identity, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct segment segment = {
		.seed = identity->seed,
		.prefix = identity->prefix,
		.prefix_bits = identity->prefix_bits,
		.rows = identity->rows,
		.row_bytes = spec_row_bytes(spec),
	};
	const uint32_t columns = bytes_get_u32(data + 12);
	for (uint32_t i = 0; i < columns; i++) {
		const uint8_t *entry =
			data + SEGMENT_HEADER_BYTES + (size_t)i * SEGMENT_COLUMN_BYTES;
		const uint32_t kind = bytes_get_u32(entry);
		const uint64_t offset = bytes_get_u64(entry + 8);
		const uint64_t bytes = bytes_get_u64(entry + 16);
		if (offset % SEGMENT_ALIGN != 0 || offset > len || bytes > len - offset ||
			!take_column(kind, data + offset, bytes, spec, &segment)) {
			return error_set(err, STATUS_CORRUPT,
				"column %" PRIu32 " does not fit its table", kind);
		}
	}
	if (!is_complete(&segment, spec)) {
		return error_set(err, STATUS_CORRUPT, "a column is missing");
	}
	*out = segment;
	return STATUS_OK;
}
