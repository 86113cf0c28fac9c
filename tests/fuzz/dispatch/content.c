/* content.c - three releases, made by requests. */
#include "tests/fuzz/dispatch/content.h"

#include "schema/rpc.h"
#include "tests/fuzz/dispatch/peer.h"
#include "tests/fuzz/dispatch/world.h"

#include <stdlib.h>
#include <string.h>

const struct world_table world_tables[WORLD_TABLES] = {
	{"ur", "user", "ur", DTYPE_F32, 4, 1, false, 0},
	{"ir", "item", "ir", DTYPE_F32, 4, 1, false, 0},
	{"b", "user", "ur", DTYPE_I8, 4, 1, true, 0},
	{"bit", "item", "ir", DTYPE_BIT, 16, 1, false, 0},
	{"views", "user", "ur", DTYPE_F16, 4, 2, false, 0},
	{"sum@l", "user", "cr", DTYPE_F32, 4, 1, false, 0},
	{"items@l", "item", "cr", DTYPE_F32, 4, 1, true, 0},
	{"other@m", "user", "cr", DTYPE_F32, 3, 1, false, 0},
	{"past", "user", "ur", DTYPE_F32, 4, 1, false, 3},
};

static struct wire_writer request;

static void begin(const char *method, size_t pairs)
{
	wire_writer_clear(&request);
	rpc_write_request(&request, 1, method);
	wire_write_map(&request, pairs);
}

static void text(const char *name, const char *value)
{
	wire_write_str(&request, name);
	wire_write_str(&request, value);
}

static void number(const char *name, uint64_t value)
{
	wire_write_str(&request, name);
	wire_write_uint(&request, value);
}

static void end(void)
{
	REQUIRE(peer_ask(&request) == STATUS_OK);
}

static bool is_cross(const struct world_table *table)
{
	return strcmp(table->kind, "cr") == 0;
}

static void create_table(const char *release, const struct world_table *table)
{
	const bool is_past = table->history != 0;
	const bool is_plain = !is_cross(table) && !is_past;
	const bool has_index = strcmp(table->name, "ir") == 0;
	const bool is_narrow = strcmp(table->name, "other@m") == 0;
	begin("table.create", 8 + (is_plain ? 2 : 0) + (has_index ? 1 : 0) + (is_narrow ? 1 : 0) +
				      (is_past ? 1 : 0));
	text("release", release);
	text("table", table->name);
	text("entity", table->entity);
	text("kind", table->kind);
	text("dtype", dtype_name(table->dtype));
	number("dim", table->dim);
	number("views", table->views);
	text("key", table->has_byte_keys ? "bytes" : "u64");
	if (is_plain) {
		text("default", "zeros");
		wire_write_str(&request, "tags");
		wire_write_bool(&request, true);
	}
	if (has_index) {
		text("index", "balls");
	}
	if (is_narrow) {
		text("state", "f32");
	}
	if (is_past) {
		number("history", table->history);
	}
	end();
}

static void write_keys(const struct world_table *table)
{
	wire_write_str(&request, "keys");
	wire_write_array(&request, WORLD_ROWS);
	for (uint64_t key = 0; key < WORLD_ROWS; key++) {
		const uint8_t bytes[] = {'k', (uint8_t)('a' + key % 26), (uint8_t)('0' + key / 26)};
		if (table->has_byte_keys) {
			wire_write_bin(&request, bytes, key < 26 ? 2 : 3);
		} else {
			wire_write_uint(&request, key);
		}
	}
}

/* Rows that differ, so that an index has something to part. */
static void write_rows(const struct world_table *table)
{
	const size_t bytes = WORLD_ROWS * dtype_row_bytes(table->dtype, table->dim, table->views);
	wire_write_str(&request, "rows");
	uint8_t *space = wire_write_bin_space(&request, bytes);
	REQUIRE(space != NULL);
	for (size_t i = 0; i < bytes; i++) {
		space[i] = (uint8_t)(i * 7 + i / 16);
	}
	if (table->dtype == DTYPE_F32) {
		for (size_t i = 0; i < bytes / sizeof(float); i++) {
			const float value = (float)(i % 17) - (float)(i % 5) * 0.5f;
			memcpy(space + i * sizeof value, &value, sizeof value);
		}
	} else if (table->dtype == DTYPE_F16) {
		for (size_t i = 0; i < bytes / sizeof(uint16_t); i++) {
			const uint16_t value = dtype_f16_of_f32((float)(i % 13));
			memcpy(space + i * sizeof value, &value, sizeof value);
		}
	}
}

static void load_table(const char *release, const struct world_table *table)
{
	const bool has_scales = table->dtype == DTYPE_I8;
	begin("load", 6 + (has_scales ? 1 : 0));
	text("release", release);
	text("table", table->name);
	text("load", "x");
	number("chunk", 0);
	write_keys(table);
	write_rows(table);
	if (has_scales) {
		wire_write_str(&request, "scales");
		uint8_t *space = wire_write_bin_space(&request, WORLD_ROWS * sizeof(float));
		REQUIRE(space != NULL);
		for (size_t i = 0; i < WORLD_ROWS; i++) {
			const float scale = 0.25f;
			memcpy(space + i * sizeof scale, &scale, sizeof scale);
		}
	}
	end();
}

static void end_load(const char *release, const struct world_table *table)
{
	begin("load.end", 5);
	text("release", release);
	text("table", table->name);
	text("load", "x");
	number("chunks", 1);
	number("rows", WORLD_ROWS);
	end();
}

/* Two vectors of each key. */
static void append(const char *release, const struct world_table *table)
{
	for (unsigned i = 0; i < 2; i++) {
		begin("append", 5);
		text("release", release);
		text("table", table->name);
		write_keys(table);
		write_rows(table);
		wire_write_str(&request, "times");
		uint8_t *space = wire_write_bin_space(&request, WORLD_ROWS * sizeof(int64_t));
		REQUIRE(space != NULL);
		for (size_t row = 0; row < WORLD_ROWS; row++) {
			const int64_t time = WORLD_TIME_MS + i;
			memcpy(space + row * sizeof time, &time, sizeof time);
		}
		end();
	}
}

static void put_tensor(const char *release, const char *name, unsigned rows, unsigned columns)
{
	begin("tensor.put", 5);
	text("release", release);
	text("tensor", name);
	text("dtype", "f32");
	wire_write_str(&request, "shape");
	wire_write_array(&request, columns == 0 ? 1 : 2);
	wire_write_uint(&request, rows);
	if (columns != 0) {
		wire_write_uint(&request, columns);
	}
	wire_write_str(&request, "data");
	const size_t count = (size_t)rows * (columns == 0 ? 1 : columns);
	uint8_t *space = wire_write_bin_space(&request, count * sizeof(float));
	REQUIRE(space != NULL);
	for (size_t i = 0; i < count; i++) {
		const float value = (float)i * 0.25f - 1;
		memcpy(space + i * sizeof value, &value, sizeof value);
	}
	end();
}

/* All that a release has before it is sealed. */
static void fill_release(const char *release)
{
	begin("release.create", 3);
	text("release", release);
	text("model", "m");
	text("checkpoint", "c");
	end();
	for (size_t i = 0; i < WORLD_TABLES; i++) {
		create_table(release, &world_tables[i]);
		if (world_tables[i].history == 0) {
			load_table(release, &world_tables[i]);
		}
	}
	put_tensor(release, "square.weight", 4, 4);
	put_tensor(release, "square.bias", 4, 0);
	put_tensor(release, "wide.weight", 8, 4);
}

static void seal(const char *release)
{
	for (size_t i = 0; i < WORLD_TABLES; i++) {
		if (world_tables[i].history == 0) {
			end_load(release, &world_tables[i]);
		}
	}
	begin("release.seal", 1);
	text("release", release);
	end();
	for (size_t i = 0; i < WORLD_TABLES; i++) {
		if (world_tables[i].history != 0) {
			append(release, &world_tables[i]);
		}
	}
}

void content_make(void)
{
	world_give_role(ROLE_ADMIN);
	fill_release("second");
	seal("second");
	fill_release("first");
	seal("first");
	fill_release("open");
	begin("release.publish", 1);
	text("release", "second");
	end();
	begin("release.publish", 1);
	text("release", "first");
	end();
	wire_writer_fini(&request);
	request = (struct wire_writer){0};
}
