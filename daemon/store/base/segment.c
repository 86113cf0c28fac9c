/* segment.c - a segment's header and directory: checked before they are believed, and written. */
#include "daemon/store/base/segment.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/base/segment_pages.h"
#include "daemon/store/system/bytes.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const char segment_magic[8] = {'r', 'e', 'p', 's', 't', 's', 'e', 'g'};

static_assert(sizeof(struct segment_slot) == 8, "a slot is 8 bytes on disk");

/* Slots are filled to 70 %. A key that is found then costs about two slots, an absent one about
 * six. */
enum { HOMES_PER_TEN_ROWS_NUMERATOR = 10, HOMES_PER_TEN_ROWS_DENOMINATOR = 7 };

static uint64_t align_up(uint64_t value)
{
	return (value + SEGMENT_ALIGN - 1) & ~(uint64_t)(SEGMENT_ALIGN - 1);
}

/* The first byte at or behind `offset` that begins a page of the file. */
static uint64_t align_to_page(uint64_t offset)
{
	const uint64_t mask = SEGMENT_PAGE_BYTES - 1;
	return ((offset + SEGMENT_LEAD_BYTES + mask) & ~mask) - SEGMENT_LEAD_BYTES;
}

static uint64_t directory_end(uint32_t columns)
{
	return SEGMENT_HEADER_BYTES + (uint64_t)columns * SEGMENT_COLUMN_BYTES;
}

/* Bytes of the head of a segment of so many columns and pages: behind the directory stand the checksums of
 * the pages that hold one for each page. */
static uint64_t head_bytes(uint32_t columns, uint64_t pages)
{
	const uint64_t list_pages = (pages * 8 + SEGMENT_PAGE_BYTES - 1) / SEGMENT_PAGE_BYTES;
	return align_to_page(directory_end(columns) + list_pages * 8);
}

/* ---- open ---- */

static enum status check_header(const uint8_t *data, size_t len,
	const struct segment_identity *identity, struct error *err)
{
	if (len < SEGMENT_HEADER_BYTES || memcmp(data, segment_magic, sizeof segment_magic) != 0) {
		return error_set(err, STATUS_CORRUPT, "segment: no header");
	}
	if (bytes_get_u32(data + 8) != SEGMENT_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"segment: format version %" PRIu32
			", this build knows %d: take one that knows that version",
			bytes_get_u32(data + 8), SEGMENT_VERSION);
	}
	if (bytes_get_u64(data + 16) != identity->release ||
		bytes_get_u64(data + 24) != identity->table ||
		bytes_get_u64(data + 32) != identity->prefix ||
		bytes_get_u32(data + 40) != identity->prefix_bits ||
		bytes_get_u32(data + 44) != identity->rows) {
		return error_set(err, STATUS_CORRUPT,
			"segment: not the one that the catalog names");
	}
	if (bytes_get_u32(data + 60) != key_seed_check(&identity->seed)) {
		return error_set(err, STATUS_CORRUPT,
			"segment: made with another seed than its release has");
	}
	const uint32_t columns = bytes_get_u32(data + 12);
	if (bytes_get_u64(data + 48) != len || columns > SEGMENT_COLUMNS_MAX ||
		len < directory_end(columns) || len != align_to_page(len)) {
		return error_set(err, STATUS_CORRUPT,
			"segment: its size is not what its header says");
	}
	return STATUS_OK;
}

/* One entry of the directory. It was compared with the segment's end. */
struct column {
	uint32_t kind;
	uint32_t flags;
	uint32_t element_bytes;
	uint64_t offset;
	uint64_t bytes;
	const uint8_t *data;
};

static enum status read_column(const uint8_t *entry, const uint8_t *data, size_t len,
	struct column *out, struct error *err)
{
	const uint64_t offset = bytes_get_u64(entry + 8);
	*out = (struct column){
		.kind = bytes_get_u32(entry),
		.flags = bytes_get_u32(entry + 4),
		.offset = offset,
		.bytes = bytes_get_u64(entry + 16),
		.element_bytes = bytes_get_u32(entry + 24),
	};
	if (offset % SEGMENT_ALIGN != 0 || offset > len || out->bytes > len - offset) {
		return error_set(err, STATUS_CORRUPT, "segment: column %" PRIu32 " is outside it",
			out->kind);
	}
	out->data = data + offset;
	return STATUS_OK;
}

/* Takes a column into the view; false when its size is not what `rows` and the spec ask for.
 * Pointers are cast in place, since the block and every offset are aligned to 64. */
static bool take_column(const struct column *column, const struct table_spec *spec,
	struct segment *segment)
{
	const uint64_t rows = segment->rows;
	const bool byte_keys = spec->key_type == KEY_BYTES;
	const void *data = column->data;
	switch ((enum segment_column)column->kind) {
	case COLUMN_SLOTS:
		segment->slots = data;
		segment->slot_count = (uint32_t)(column->bytes / 8);
		return column->element_bytes == 8 && column->bytes % 8 == 0 &&
		       column->bytes / 8 <= UINT32_MAX;
	case COLUMN_KEYS:
		segment->keys = data;
		return !byte_keys && column->element_bytes == 8 && column->bytes == rows * 8;
	case COLUMN_KEY_OFFSETS:
		segment->key_offsets = data;
		return byte_keys && column->element_bytes == 4 && column->bytes == (rows + 1) * 4;
	case COLUMN_KEY_BLOB:
		segment->key_blob = data;
		segment->blob_bytes = column->bytes;
		return byte_keys && column->element_bytes == 1;
	case COLUMN_ROWS:
		segment->row_data = data;
		return column->element_bytes == segment->row_bytes &&
		       column->bytes == rows * segment->row_bytes;
	case COLUMN_TIMES:
		segment->times = data;
		return column->element_bytes == 8 && column->bytes == rows * 8;
	case COLUMN_TAGS:
		segment->tags = data;
		return spec->tags && column->element_bytes == 8 && column->bytes == rows * 8;
	case COLUMN_SCALES:
		segment->scales = data;
		return spec->dtype == DTYPE_I8 && column->element_bytes == 4 &&
		       column->bytes == rows * 4;
	case COLUMN_LOWS:
		segment->lows = data;
		return segment->low_bytes > 0 && column->element_bytes == segment->low_bytes &&
		       column->bytes == rows * segment->low_bytes;
	case COLUMN_PAGES:
		segment->page_sums = data;
		segment->page_count = (uint32_t)(column->bytes / 8);
		segment->head_bytes = column->offset;
		return column->element_bytes == 8;
	case COLUMN_DELETED:
		segment->deleted = data;
		return column->element_bytes == 1 && column->bytes == rows;
	case COLUMN_WEIGHTS:
		return false;
	}
	return false;
}

static bool is_known(uint32_t kind)
{
	return kind >= COLUMN_SLOTS && kind <= COLUMN_DELETED && kind != COLUMN_WEIGHTS;
}

/* Finds the checksums of the pages' list, behind the directory; false: head and list are not of a segment of
 * `len` bytes. */
static bool find_list(struct segment *segment, const uint8_t *data, size_t len, uint32_t columns)
{
	const uint64_t pages = (len + SEGMENT_LEAD_BYTES) / SEGMENT_PAGE_BYTES;
	/* aligned to 8, as header and entries are */
	segment->list_sums = (const void *)(data + directory_end(columns));
	return segment->page_sums != NULL && segment->page_count == pages &&
	       segment->head_bytes == head_bytes(columns, pages);
}

static bool is_complete(const struct segment *segment, const struct table_spec *spec)
{
	const bool has_keys = spec->key_type == KEY_U64
				      ? segment->keys != NULL
				      : segment->key_offsets != NULL && segment->key_blob != NULL;
	return has_keys && segment->slots != NULL && segment->row_data != NULL &&
	       segment->times != NULL && (segment->tags != NULL) == spec->tags &&
	       (segment->scales != NULL) == (spec->dtype == DTYPE_I8) &&
	       (segment->lows != NULL) == (segment->low_bytes > 0) &&
	       segment->slot_count > segment->homes && segment->homes > 0;
}

enum status segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err)
{
	assert((uintptr_t)data % SEGMENT_ALIGN == 0);
	enum status status = check_header(data, len, identity, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct segment segment = {
		.seed = identity->seed,
		.prefix = identity->prefix,
		.prefix_bits = identity->prefix_bits,
		.rows = identity->rows,
		.homes = bytes_get_u32(data + 56),
		.row_bytes = spec_row_bytes(spec),
		.low_bytes = spec_low_bytes(spec),
	};
	uint32_t seen = 0;
	const uint32_t columns = bytes_get_u32(data + 12);
	for (uint32_t i = 0; i < columns; i++) {
		struct column column;
		status = read_column(data + SEGMENT_HEADER_BYTES + (size_t)i * SEGMENT_COLUMN_BYTES,
			data, len, &column, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (!is_known(column.kind)) {
			if ((column.flags & COLUMN_OPTIONAL) != 0) {
				continue;
			}
			return error_set(err, STATUS_UNSUPPORTED,
				"segment: column %" PRIu32
				" is of a newer format: take a build that knows it",
				column.kind);
		}
		if ((seen & 1u << column.kind) != 0 || !take_column(&column, spec, &segment)) {
			return error_set(err, STATUS_CORRUPT,
				"segment: column %" PRIu32 " does not fit its table", column.kind);
		}
		seen |= 1u << column.kind;
	}
	if (!find_list(&segment, data, len, columns)) {
		return error_set(err, STATUS_CORRUPT,
			"segment: its checksums are not those of its pages");
	}
	if (!is_complete(&segment, spec)) {
		return error_set(err, STATUS_CORRUPT, "segment: a column is missing");
	}
	*out = segment;
	return STATUS_OK;
}

/* ---- build ---- */

/* Adds a column at the end of what is planned; `begin` says where it may begin. */
typedef uint64_t begin_fn(uint64_t offset);

static void plan_column(struct segment_plan *plan, begin_fn *begin, enum segment_column kind,
	uint32_t element_bytes, uint64_t elements)
{
	assert(plan->column_count < SEGMENT_COLUMNS_MAX);
	const uint64_t bytes = elements * element_bytes;
	const uint64_t offset = begin(plan->bytes);
	plan->columns[plan->column_count].kind = kind;
	plan->columns[plan->column_count].element_bytes = element_bytes;
	plan->columns[plan->column_count].offset = offset;
	plan->columns[plan->column_count].bytes = bytes;
	plan->column_count++;
	plan->bytes = align_up(offset + bytes);
}

/* How many slots linear probing uses for these hashes, in their order, with one empty slot at the
 * end. */
static uint32_t count_slots(const struct segment *shape, const uint64_t *hashes)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < shape->rows; i++) {
		const uint32_t home = segment_home(shape, hashes[i]);
		next = (home > next ? home : next) + 1;
	}
	return (next > shape->homes ? next : shape->homes) + 1;
}

/* Whether a hash is below the end of the segment's range. */
static bool is_within(const struct segment_identity *identity, uint64_t hash)
{
	return identity->prefix_bits == 0 ||
	       hash >> (64 - identity->prefix_bits) ==
		       identity->prefix >> (64 - identity->prefix_bits);
}

bool segment_hashes_fit(const struct segment_identity *identity, const uint64_t *hashes)
{
	for (uint32_t i = 0; i < identity->rows; i++) {
		if (hashes[i] < identity->prefix || !is_within(identity, hashes[i]) ||
			(i > 0 && hashes[i] < hashes[i - 1])) {
			return false;
		}
	}
	return true;
}

/* Places the columns behind a head and a list for `pages` pages. What a probe needs comes first, and then the
 * keys' bytes and the rows, which begin with a page: a row of 256 bytes is on one. */
static void plan_columns(struct segment_plan *plan, const struct table_spec *spec,
	uint64_t blob_bytes, uint32_t pages)
{
	const uint64_t rows = plan->identity.rows;
	const uint32_t low_bytes = (uint32_t)spec_low_bytes(spec);
	const bool byte_keys = spec->key_type == KEY_BYTES;
	const bool has_deleted = plan->identity.deleted > 0;
	const uint32_t columns = 5u + (has_deleted ? 1u : 0u) + (byte_keys ? 1u : 0u) +
				 (spec->tags ? 1u : 0u) + (spec->dtype == DTYPE_I8 ? 1u : 0u) +
				 (low_bytes > 0 ? 1u : 0u);
	plan->column_count = 0;
	plan->head_bytes = head_bytes(columns, pages);
	plan->bytes = plan->head_bytes;
	plan_column(plan, align_up, COLUMN_PAGES, 8, pages);
	plan_column(plan, align_to_page, COLUMN_SLOTS, 8, plan->slot_count);
	if (byte_keys) {
		plan_column(plan, align_up, COLUMN_KEY_OFFSETS, 4, rows + 1);
	} else {
		plan_column(plan, align_up, COLUMN_KEYS, 8, rows);
	}
	plan_column(plan, align_up, COLUMN_TIMES, 8, rows);
	if (spec->tags) {
		plan_column(plan, align_up, COLUMN_TAGS, 8, rows);
	}
	if (spec->dtype == DTYPE_I8) {
		plan_column(plan, align_up, COLUMN_SCALES, 4, rows);
	}
	if (has_deleted) {
		plan_column(plan, align_up, COLUMN_DELETED, 1, rows);
	}
	if (byte_keys) {
		plan_column(plan, align_up, COLUMN_KEY_BLOB, 1, blob_bytes);
	}
	plan_column(plan, align_to_page, COLUMN_ROWS, (uint32_t)spec_row_bytes(spec), rows);
	if (low_bytes > 0) {
		plan_column(plan, align_to_page, COLUMN_LOWS, low_bytes, rows);
	}
	assert(plan->column_count == columns);
	plan->bytes = align_to_page(plan->bytes);
}

void segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes)
{
	const uint64_t rows = identity->rows;
	assert(identity->prefix_bits <= SEGMENT_PREFIX_BITS_MAX);
	assert(spec->key_type == KEY_BYTES || blob_bytes == 0);
	/* The first and the last hash have the prefix, so all in between do. */
	assert(rows == 0 || hashes[0] >= identity->prefix);
	assert(rows == 0 || is_within(identity, hashes[rows - 1]));
	*plan = (struct segment_plan){
		.identity = *identity,
		.homes = (uint32_t)(rows * HOMES_PER_TEN_ROWS_NUMERATOR /
					    HOMES_PER_TEN_ROWS_DENOMINATOR +
				    1),
		.blob_bytes = blob_bytes,
	};
	const struct segment shape = {
		.prefix_bits = identity->prefix_bits,
		.rows = identity->rows,
		.homes = plan->homes,
	};
	plan->slot_count = count_slots(&shape, hashes);
	assert(plan->slot_count > plan->homes); /* segment_open asks for that */
	/* The list has a checksum for each of its own pages too, so its length is found step by step. */
	uint32_t pages = 1;
	for (uint32_t before = 0; pages != before;) {
		before = pages;
		plan_columns(plan, spec, blob_bytes, pages);
		pages = segment_page_of(plan->bytes);
		assert(pages >= before);
	}
}

static void write_header(const struct segment_plan *plan, uint8_t *data)
{
	memset(data, 0, plan->head_bytes);
	memcpy(data, segment_magic, sizeof segment_magic);
	bytes_put_u32(data + 8, SEGMENT_VERSION);
	bytes_put_u32(data + 12, plan->column_count);
	bytes_put_u64(data + 16, plan->identity.release);
	bytes_put_u64(data + 24, plan->identity.table);
	bytes_put_u64(data + 32, plan->identity.prefix);
	bytes_put_u32(data + 40, plan->identity.prefix_bits);
	bytes_put_u32(data + 44, plan->identity.rows);
	bytes_put_u64(data + 48, plan->bytes);
	bytes_put_u32(data + 56, plan->homes);
	bytes_put_u32(data + 60, key_seed_check(&plan->identity.seed));
	for (uint32_t i = 0; i < plan->column_count; i++) {
		uint8_t *entry = data + SEGMENT_HEADER_BYTES + (size_t)i * SEGMENT_COLUMN_BYTES;
		bytes_put_u32(entry, plan->columns[i].kind);
		bytes_put_u64(entry + 8, plan->columns[i].offset);
		bytes_put_u64(entry + 16, plan->columns[i].bytes);
		bytes_put_u32(entry + 24, plan->columns[i].element_bytes);
	}
}

static void write_slots(const struct segment_plan *plan, const uint64_t *hashes,
	struct segment_slot *slots)
{
	const struct segment shape = {
		.prefix_bits = plan->identity.prefix_bits,
		.homes = plan->homes,
	};
	memset(slots, 0, (size_t)plan->slot_count * sizeof *slots);
	uint32_t next = 0;
	for (uint32_t i = 0; i < plan->identity.rows; i++) {
		const uint32_t home = segment_home(&shape, hashes[i]);
		next = home > next ? home : next;
		slots[next] =
			(struct segment_slot){.row_plus_one = i + 1, .tag = (uint32_t)hashes[i]};
		next++;
	}
	assert(next < plan->slot_count); /* the last slot stays empty, so every probe ends */
}

void segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space)
{
	write_header(plan, data);
	*space = (struct segment_space){0};
	for (uint32_t i = 0; i < plan->column_count; i++) {
		uint8_t *at = data + plan->columns[i].offset;
		const uint64_t end = plan->columns[i].offset + plan->columns[i].bytes;
		const uint64_t next =
			i + 1 < plan->column_count ? plan->columns[i + 1].offset : plan->bytes;
		assert(end <= next);
		assert(next <= plan->bytes);
		memset(data + end, 0, next - end);
		void *column = at;
		switch ((enum segment_column)plan->columns[i].kind) {
		case COLUMN_SLOTS:
			space->slots = column;
			break;
		case COLUMN_KEYS:
			space->keys = column;
			break;
		case COLUMN_KEY_OFFSETS:
			space->key_offsets = column;
			break;
		case COLUMN_KEY_BLOB:
			space->key_blob = at;
			break;
		case COLUMN_ROWS:
			space->row_data = at;
			break;
		case COLUMN_TIMES:
			space->times = column;
			break;
		case COLUMN_TAGS:
			space->tags = column;
			break;
		case COLUMN_SCALES:
			space->scales = column;
			break;
		case COLUMN_LOWS:
			space->lows = at;
			break;
		case COLUMN_DELETED:
			space->deleted = at;
			break;
		case COLUMN_PAGES: /* segment_end fills it */
		case COLUMN_WEIGHTS:
			break;
		}
	}
	assert(space->slots != NULL);
	assert(space->row_data != NULL);
	assert(space->times != NULL);
	write_slots(plan, hashes, space->slots);
}
