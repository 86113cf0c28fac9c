/* disk_fixture.c - writes each head of the disk's formats with values that are all different, and
 * finds them again where the page says. */
#include "tests/unit/schema/disk_fixture.h"

#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/store/base/segment.h"
#include "daemon/store/base/segment_build.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo_file.h"
#include "daemon/store/spill/spill.h"
#include "tests/unit/store/scratch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEAD_BYTES_MAX = 128, NAME_BYTES = 64 };

char *disk_read_text(const char *path)
{
	struct scratch_file file = scratch_read(path);
	char *text = realloc(file.data, file.len + 1);
	assert_non_null(text);
	text[file.len] = '\0';
	return text;
}

void disk_fail(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fail_msg("%s", text);
	abort(); /* fail_msg does not return, which its declaration leaves out */
}

/* The first row behind the head of the table under a heading. */
static const char *first_row(const char *page, const char *heading, const char *columns)
{
	char line[NAME_BYTES + 8];
	(void)snprintf(line, sizeof line, "\n### %s\n", heading);
	const char *at = strstr(page, line);
	if (at == NULL) {
		disk_fail("'%s': no such heading on the page", heading);
	}
	const char *next = strstr(at + 1, "\n#");
	const char *table = strstr(at, columns);
	if (table == NULL || (next != NULL && next < table)) {
		disk_fail("'%s': no table '%s' under it", heading, columns + 1);
	}
	const char *dashes = strchr(table + 1, '\n');
	const char *row = dashes == NULL ? NULL : strchr(dashes + 1, '\n');
	if (row == NULL) {
		disk_fail("'%s': its table has no row", heading);
	}
	return row;
}

/* ---- tables of offsets ---- */

/* A row of a table of offsets. */
struct offset_row {
	uint64_t offset;
	uint64_t size;
	char name[NAME_BYTES];
	const char *end; /* where the next one begins */
};

/* "| 8 | 4 | `version` | meaning |"; false when it is none. */
static bool read_row(const char *row, struct offset_row *out)
{
	char *end;
	int len = 0;
	if (strncmp(row, "\n| ", 3) != 0) {
		return false;
	}
	out->offset = strtoull(row + 3, &end, 10);
	if (end == row + 3 || strncmp(end, " | ", 3) != 0) {
		return false;
	}
	out->size = strtoull(end + 3, &end, 10);
	out->end = strchr(row + 1, '\n');
	return sscanf(end, " | `%63[a-z_0-9]` | %n", out->name, &len) == 1 && len > 0 &&
	       out->end != NULL;
}

static uint64_t number_at(const uint8_t *data, size_t size)
{
	uint64_t value = 0;
	for (size_t i = 0; i < size && i < 8; i++) {
		value |= (uint64_t)data[i] << 8 * i;
	}
	return value;
}

static void check_field(const struct disk_layout *layout, const struct disk_field *field,
	const uint8_t *data, size_t size)
{
	static const uint8_t zeros[HEAD_BYTES_MAX];
	const bool is_zero = strcmp(field->name, "zero") == 0;
	if (strcmp(field->name, "magic") == 0 && layout->magic != NULL) {
		assert_int_equal(size, strlen(layout->magic));
		assert_memory_equal(data, layout->magic, size);
	} else if (is_zero) {
		assert_memory_equal(data, zeros, size);
	} else if (strcmp(field->name, "checksum") == 0) {
		assert_int_not_equal(number_at(data, size), 0);
	} else if (number_at(data, size) != field->value) {
		disk_fail("'%s': %s has %" PRIx64 " where the page says, %" PRIx64 " was written",
			layout->heading, field->name, number_at(data, size), field->value);
	}
}

/* The row of a field that begins at `at`. */
static void check_row(const struct disk_layout *layout, const struct disk_field *field,
	const struct offset_row *row, size_t at)
{
	char magic[NAME_BYTES];
	(void)snprintf(magic, sizeof magic, "| `%s` |", layout->magic == NULL ? "" : layout->magic);
	if (layout->magic != NULL && strcmp(field->name, "magic") == 0 &&
		strncmp(row->end - strlen(magic), magic, strlen(magic)) != 0) {
		disk_fail("'%s': its magic is '%s'", layout->heading, layout->magic);
	}
	if (strcmp(row->name, field->name) != 0) {
		disk_fail("'%s': the page has %s, %s expected", layout->heading, row->name,
			field->name);
	}
	if (row->offset != at || row->size == 0 || row->size > layout->bytes - at) {
		disk_fail("'%s': %s is at %" PRIu64 " with %" PRIu64
			  " bytes, what is before it ends at %zu",
			layout->heading, row->name, row->offset, row->size, at);
	}
}

void disk_check_layout(const char *page, const struct disk_layout *layout)
{
	uint8_t data[HEAD_BYTES_MAX];
	struct offset_row row;
	size_t at = 0;
	memset(data, 0xee, sizeof data);
	layout->write(data);
	const char *text =
		first_row(page, layout->heading, "\n| offset | size | field | meaning |");
	for (size_t i = 0; i < DISK_FIELDS_MAX && layout->fields[i].name != NULL; i++) {
		if (!read_row(text, &row)) {
			disk_fail("'%s': no row for %s", layout->heading, layout->fields[i].name);
		}
		check_row(layout, &layout->fields[i], &row, at);
		check_field(layout, &layout->fields[i], data + at, row.size);
		at += row.size;
		text = row.end;
	}
	if (at != layout->bytes || read_row(text, &row)) {
		disk_fail("'%s': its rows are not %zu bytes", layout->heading, layout->bytes);
	}
}

static const struct table_spec spec = {
	.name = {"t@l"},
	.entity = ENTITY_USER,
	.kind = KIND_CR,
	.dtype = DTYPE_F32,
	.key_type = KEY_BYTES,
	.dim = 7,
	.views = 3,
	.tags = true,
	.reading = READING_SUM,
	.state = STATE_F32X2,
	.default_kind = DEFAULT_ROW,
};

static void write_log_head(uint8_t *out)
{
	char folder[] = "/tmp/repstore-disk-XXXXXX";
	char path[PATH_MAX];
	const struct redo_head head = {.number = 0x1101, .first_sequence = 0x1102, .salt = 0x1103};
	int fd;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(redo_file_create(folder, &head, &fd, NULL), STATUS_OK);
	assert_int_equal(pread(fd, out, REDO_HEAD_BYTES, 0), REDO_HEAD_BYTES);
	close(fd);
	(void)snprintf(path, sizeof path, "%s/%d.log", folder, 0x1101);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static const struct disk_layout log_head = {"Log file head", "repstlog", REDO_HEAD_BYTES,
	write_log_head,
	{{"magic", 0}, {"version", REDO_VERSION}, {"zero", 0}, {"number", 0x1101},
		{"first_sequence", 0x1102}, {"salt", 0x1103}, {"zero", 0}, {"checksum", 0}}};

/* A frame of one part with 16 bytes of rows. */
static size_t write_frame(uint8_t *out)
{
	struct frame_head head = {.parts = 1,
		.sequence = 0x2102,
		.release = 0x2104,
		.clock_ms = 0x2105};
	const struct frame_part part = {.kind = FRAME_DELETE, .rows = 0x2201, .table = 0x2202};
	frame_end(out,
		frame_end_part(out + FRAME_HEAD_BYTES,
			out + FRAME_HEAD_BYTES + FRAME_PART_BYTES + 16, &part),
		&head);
	frame_seal(out, 0x2101, 0x2106);
	return head.bytes;
}

static void write_frame_head(uint8_t *out)
{
	assert_int_equal(write_frame(out), FRAME_BYTES_MIN + 16);
}

static void write_part_head(uint8_t *out)
{
	uint8_t frame[HEAD_BYTES_MAX] = {0};
	(void)write_frame(frame);
	memcpy(out, frame + FRAME_HEAD_BYTES, FRAME_PART_BYTES);
}

static const struct disk_layout frame_head = {"Frame head", "rfrm", FRAME_HEAD_BYTES,
	write_frame_head,
	{{"magic", 0}, {"bytes", FRAME_BYTES_MIN + 16}, {"version", FRAME_VERSION}, {"parts", 1},
		{"zero", 0}, {"sequence", 0x2102}, {"first", 0x2101}, {"release", 0x2104},
		{"clock_ms", 0x2105}, {"checksum", 0}}};

static const struct disk_layout part_head = {"Part head", NULL, FRAME_PART_BYTES, write_part_head,
	{{"kind", FRAME_DELETE}, {"zero", 0}, {"rows", 0x2201}, {"table", 0x2202},
		{"bytes", FRAME_PART_BYTES + 16}}};

enum { SEGMENT_ROWS = 3, SEGMENT_HOMES = SEGMENT_ROWS * 10 / 7 + 1 };

/* A page each: the head, the list of pages, what comes before the rows, rows, low parts. */
enum {
	SEGMENT_SLOTS_AT = 2 * SEGMENT_PAGE_BYTES - SEGMENT_LEAD_BYTES,
	SEGMENT_OFFSETS_AT = SEGMENT_SLOTS_AT + 64,
	SEGMENT_BYTES = 5 * SEGMENT_PAGE_BYTES - SEGMENT_LEAD_BYTES,
};

/* A seed, and its check as OpenSSL gives it. */
#define SEED                                                                                       \
	{                                                                                          \
		{                                                                                  \
			1, 2                                                                       \
		}                                                                                  \
	}
#define SEED_CHECK 0x805663a0

/* Copies a piece of a segment of three rows. */
static void write_segment(uint8_t *out, size_t offset, size_t bytes)
{
	const uint64_t hashes[SEGMENT_ROWS] = {0xa000000031310001, 0xa800000031310002,
		0xb000000031310003};
	const struct segment_identity identity = {.release = 0x3101,
		.seed = SEED,
		.table = 0x3102,
		.prefix = UINT64_C(0xa) << 60,
		.prefix_bits = 3,
		.rows = SEGMENT_ROWS};
	_Alignas(SEGMENT_ALIGN) uint8_t data[SEGMENT_BYTES];
	struct segment_plan plan;
	struct segment_space space;
	segment_plan(&plan, &spec, &identity, hashes, 5);
	assert_int_equal(plan.bytes, sizeof data);
	segment_begin(&plan, hashes, data, &space);
	memcpy(out, data + offset, bytes);
}

static void write_segment_header(uint8_t *out)
{
	write_segment(out, 0, SEGMENT_HEADER_BYTES);
}

/* The third one, of key offsets. */
static void write_column_entry(uint8_t *out)
{
	write_segment(out, SEGMENT_HEADER_BYTES + 2 * SEGMENT_COLUMN_BYTES, SEGMENT_COLUMN_BYTES);
}

/* That of row 0, at its home. */
static void write_slot(uint8_t *out)
{
	write_segment(out, SEGMENT_SLOTS_AT, sizeof(struct segment_slot));
}

static const struct disk_layout segment_header = {"Segment header", "repstseg",
	SEGMENT_HEADER_BYTES, write_segment_header,
	{{"magic", 0}, {"version", SEGMENT_VERSION}, {"columns", 8}, {"release", 0x3101},
		{"table", 0x3102}, {"prefix", UINT64_C(0xa) << 60}, {"prefix_bits", 3},
		{"rows", SEGMENT_ROWS}, {"bytes", SEGMENT_BYTES}, {"homes", SEGMENT_HOMES},
		{"seed_check", SEED_CHECK}}};

static const struct disk_layout column_entry = {"Column entry", NULL, SEGMENT_COLUMN_BYTES,
	write_column_entry,
	{{"kind", COLUMN_KEY_OFFSETS}, {"flags", 0}, {"offset", SEGMENT_OFFSETS_AT},
		{"bytes", (SEGMENT_ROWS + 1) * UINT64_C(4)}, {"element_bytes", 4}, {"zero", 0}}};

static const struct disk_layout slot = {"Slot", NULL, sizeof(struct segment_slot), write_slot,
	{{"row_plus_one", 1}, {"tag", 0x31310001}}};

static void write_index_head(uint8_t *out)
{
	const struct index_head head = {.base_hash = 0x5101,
		.rows = 0x5102,
		.bytes = 0x5103,
		.hash = 0x5104,
		.build_ms = 0x5105,
		.changed = 0x5106};
	index_head_write(&head, out);
}

static const struct disk_layout index_head = {"Index file head", "repstidx", INDEX_HEAD_BYTES,
	write_index_head,
	{{"magic", 0}, {"version", INDEX_VERSION}, {"kind", INDEX_BALLS}, {"base_hash", 0x5101},
		{"rows", 0x5102}, {"bytes", 0x5103}, {"hash", 0x5104}, {"build_ms", 0x5105},
		{"changed", 0x5106}, {"checksum", 0}}};

static const struct balls_shape shape =
	{.dim = 66, .rows = 0x5202, .prefix = 64, .balls = 5, .blocks = 7, .loose = 9, .first = 12};

static void write_balls_header(uint8_t *out)
{
	struct balls_layout layout;
	balls_layout(&shape, &layout);
	balls_write_header(&shape, out);
	balls_write_queries(0x5203, out);
	/* So that the number is known here. */
	assert_int_equal(number_at(out + 40, 8), layout.bytes);
	memset(out + 40, 0x42, 8);
}

static const struct disk_layout balls_header = {"Balls header", "repballs", BALLS_HEADER_BYTES,
	write_balls_header,
	{{"magic", 0}, {"version", BALLS_VERSION}, {"dim", 66}, {"rows", 0x5202}, {"prefix", 64},
		{"balls", 5}, {"blocks", 7}, {"loose", 9}, {"has_basis", 0},
		{"bytes", 0x4242424242424242}, {"first", 12}, {"queries", 0x5203}, {"zero", 0}}};

/* A spill file with one run of one row, from `offset` on. */
static void write_spill(uint8_t *out, off_t offset)
{
	char folder[] = "/tmp/repstore-disk-XXXXXX";
	char path[PATH_MAX];
	const struct base_owner owner = {.release = 0x6101,
		.table = 0x6102,
		.seed = SEED,
		.spec = spec};
	struct spill spill;
	struct spill_layout layout;
	struct spill_run run = {.sequence = 0x6201,
		.first_chunk = 0x6202,
		.chunk_count = 3,
		.rows = 1,
		.blob_bytes = 2};
	spill_layout(&layout, &spec, &run);
	uint8_t *body = calloc(1, layout.bytes);
	assert_non_null(body);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(spill_create(folder, "s", &owner, 0x6103, &spill, NULL), STATUS_OK);
	assert_int_equal(spill_append(&spill, &run, body, NULL), STATUS_OK);
	const int fd = spill_file(&spill, O_RDONLY);
	assert_int_equal(pread(fd, out, SPILL_HEAD_BYTES, offset), SPILL_HEAD_BYTES);
	close(fd);
	if (offset == 0) {
		assert_int_equal(number_at(out + 56, 8), spill.salt);
		memset(out + 56, 0x43, 8); /* the same */
	} else {
		/* So that the number is known here. */
		assert_int_equal(number_at(out + 56, 8), run.body_hash);
		memset(out + 56, 0x43, 8);
	}
	spill_close(&spill);
	free(body);
	(void)snprintf(path, sizeof path, "%s/s", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void write_spill_head(uint8_t *out)
{
	write_spill(out, 0);
}

static void write_spill_frame(uint8_t *out)
{
	write_spill(out, SPILL_HEAD_BYTES);
}

static const struct disk_layout spill_head = {"Spill file head", "repstspl", SPILL_HEAD_BYTES,
	write_spill_head,
	{{"magic", 0}, {"version", SPILL_VERSION}, {"key_type", KEY_BYTES}, {"release", 0x6101},
		{"table", 0x6102}, {"dtype", DTYPE_F32}, {"dim", 7}, {"views", 3}, {"tags", 1},
		{"default_time_ms", 0x6103}, {"salt", 0x4343434343434343}, {"zero", 0},
		{"seed_check", SEED_CHECK}, {"checksum", 0}}};

/* Hash, end, blob, row of 7 x 3 + 1 f32, time, tags and contents of 3 chunks, each in 64 bytes but
 * for the row. */
static const struct disk_layout spill_frame = {"Spill frame head", NULL, SPILL_HEAD_BYTES,
	write_spill_frame,
	{{"magic", SPILL_FRAME_MAGIC}, {"kind", SPILL_FRAME_RUN}, {"body_bytes", 6 * 64 + 192},
		{"sequence", 0x6201}, {"first_chunk", 0x6202}, {"chunk_count", 3}, {"rows", 1},
		{"blob_bytes", 2}, {"body_hash", 0x4343434343434343}, {"zero", 0},
		{"checksum", 0}}};

const struct disk_layout *const disk_layouts[] = {&log_head, &frame_head, &part_head,
	&disk_samples_head, &segment_header, &column_entry, &slot, &disk_current_head,
	&disk_visible_head, &disk_visible_copy, &index_head, &balls_header, &spill_head,
	&spill_frame, &disk_served_head, &disk_served_frame};
const size_t disk_layout_count = sizeof disk_layouts / sizeof disk_layouts[0];

/* ---- tables of fields ---- */

static void check_record(const char *page, const char *heading, struct wire_writer *writer)
{
	struct wire_message *message = NULL;
	assert_int_equal(writer->status, STATUS_OK);
	assert_int_equal(wire_open(writer->data, writer->len, &message), STATUS_OK);
	const struct wire_value map = wire_root(message);
	const char *row = first_row(page, heading, "\n| field | type | meaning |");
	char name[NAME_BYTES];
	for (size_t i = 0; i < wire_size(map); i++) {
		struct wire_bytes field;
		assert_true(wire_str(wire_map_key(map, i), &field));
		if (sscanf(row, "\n| `%63[a-z_]` |", name) != 1 || strlen(name) != field.len ||
			memcmp(name, field.data, field.len) != 0) {
			disk_fail("'%s': the page has '%.30s', '%.*s' was written", heading,
				row + 1, (int)field.len, (const char *)field.data);
		}
		row = strchr(row + 1, '\n');
	}
	if (sscanf(row, "\n| `%63[a-z_]` |", name) == 1) {
		disk_fail("'%s': the page has '%s', which is not written", heading, name);
	}
	wire_close(message);
	wire_writer_clear(writer);
}

void disk_check_records(const char *page)
{
	struct wire_writer writer = {0};
	const struct snapshot snapshot = {.next_release = 1};
	struct release *release = release_copy(NULL);
	struct table *table = table_new(&spec, 1);
	const struct tensor_spec tensor_spec = {.name = {"w"}, .dtype = TENSOR_F32};
	struct tensor *tensor = tensor_new(&tensor_spec, 1);
	const struct base_file_info file = {.number = 1, .delta = 1};
	assert_true(release != NULL && table != NULL && tensor != NULL);
	record_write_state(&writer, &snapshot);
	check_record(page, "State record", &writer);
	record_write_release(&writer, release);
	check_record(page, "Release record", &writer);
	const float zeros[21] = {0};
	const struct default_row row = {.dtype = DTYPE_F32,
		.bytes = sizeof zeros,
		.row = (const uint8_t *)zeros};
	assert_int_equal(table_set_default(table, &row), STATUS_OK);
	record_write_table(&writer, table);
	check_record(page, "Table record", &writer);
	record_write_file(&writer, &file);
	check_record(page, "File record", &writer);
	record_write_tensor(&writer, tensor);
	check_record(page, "Tensor record", &writer);
	wire_writer_fini(&writer);
	release_drop(release);
	table_drop(table);
	tensor_drop(tensor);
}
