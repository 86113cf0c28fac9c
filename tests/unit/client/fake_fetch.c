/* fake_fetch.c - the answers of fake_fetch.h. */
#include "tests/unit/client/fake_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void write_uint(struct wire_writer *out, const char *name, uint64_t value)
{
	wire_write_str(out, name);
	wire_write_uint(out, value);
}

/* A bin of `len` bytes, counting up. */
static void write_column(struct wire_writer *out, const char *name, size_t len)
{
	wire_write_str(out, name);
	uint8_t *space = wire_write_bin_space(out, len);
	for (size_t i = 0; i < len; i++) {
		space[i] = (uint8_t)(i + 1);
	}
}

/* Found are all keys but the second of each eight. */
static void write_found(struct wire_writer *out, size_t len)
{
	wire_write_str(out, "found");
	uint8_t *space = wire_write_bin_space(out, len);
	memset(space, 0xfd, len);
}

static bool asked(struct wire_value part, const char *name)
{
	bool value = false;
	return wire_bool(wire_get(part, name), &value) && value;
}

static void write_shape(struct wire_writer *out, const struct fake_fetch *daemon,
	enum damage damage, size_t n)
{
	size_t element = strcmp(daemon->dtype, "i8") == 0 ? 1 : 4;
	size_t stride = element * DIM * VIEWS;
	char longest[136];
	memset(longest, 't', sizeof longest);
	if (damage == LONG_TABLE) {
		wire_write_str(out, "table");
		wire_write_str_len(out, longest, sizeof longest);
	} else if (damage != NO_TABLE) {
		wire_write_str(out, "table");
		wire_write_str(out, daemon->table == NULL ? "ur" : daemon->table);
	}
	write_uint(out, "n", n - (damage == ONE_ROW_LESS));
	if (damage != NO_DIM) {
		write_uint(out, "dim",
			damage == DIM_ZERO ? 0 : (damage == DIM_HUGE ? UINT64_MAX : DIM));
	}
	write_uint(out, "views", damage == VIEWS_HUGE ? UINT32_MAX + UINT64_C(1) + VIEWS : VIEWS);
	write_uint(out, "stride",
		stride + (damage == STRIDE_WRONG) +
			(damage == STRIDE_HUGE ? UINT64_C(1) << 60 : 0));
	wire_write_str(out, "dtype");
	wire_write_str(out,
		damage == DTYPE_UNKNOWN ? "f8" : (damage == DTYPE_OTHER ? "bf16" : daemon->dtype));
}

static void write_part(struct wire_writer *out, const struct fake_fetch *daemon, enum damage damage,
	struct wire_value part)
{
	struct wire_bytes keys = {0};
	wire_bin(wire_get(part, "keys"), &keys);
	size_t n = keys.len / 8;
	bool i8 = strcmp(daemon->dtype, "i8") == 0;
	bool scales = i8 && damage != SCALES_MISSING;
	bool times = asked(part, "times") && damage != TIMES_MISSING;
	bool tags = asked(part, "tags") && !daemon->untagged;
	bool weights = asked(part, "weights") && damage != WEIGHTS_MISSING;
	bool why = asked(part, "why") && damage != WHY_MISSING;
	size_t rows_bytes = n * (i8 ? 1 : 4) * DIM * VIEWS;
	wire_write_map(out, 8 - (damage == NO_DIM) - (damage == NO_TABLE) + scales + times + tags +
				    weights + why);
	write_shape(out, daemon, damage, n);
	write_found(out, (n + 7) / 8 - (damage == FOUND_SHORT) + (damage == FOUND_LONG));
	if (damage == ROWS_ARE_STR) {
		wire_write_str(out, "rows");
		wire_write_str(out, "rows");
	} else {
		write_column(out, "rows",
			rows_bytes - (damage == ROWS_SHORT) + (damage == ROWS_LONG));
	}
	if (scales) {
		write_column(out, "scales", n * 4);
	}
	if (times) {
		write_column(out, "times", n * 8 - (damage == TIMES_SHORT));
	}
	if (tags) {
		write_column(out, "tags", n * 8 - (damage == TAGS_SHORT));
	}
	if (weights) {
		write_column(out, "weights", n * 8 + (damage == WEIGHTS_LONG));
	}
	if (why) {
		write_column(out, "why", n);
	}
	if (daemon->was_raw != NULL) {
		*daemon->was_raw = asked(part, "raw");
	}
}

void answer_fetch(struct fake_call *call, const void *arg)
{
	const struct fake_fetch *daemon = arg;
	enum damage damage = call->number == 0 ? daemon->damage : NO_DAMAGE;
	struct wire_writer *out = call->out;
	struct wire_value parts = wire_get(call->params, "parts");
	fake_result(call);
	if (damage == RESULT_IS_NIL) {
		wire_write_nil(out);
		return;
	}
	wire_write_map(out,
		3 - (damage == NO_PARTS) - (damage == NO_RELEASE) - (damage == NO_SEQUENCE));
	if (damage != NO_RELEASE) {
		char longest[100];
		memset(longest, 'r', sizeof longest);
		wire_write_str(out, "release");
		wire_write_str_len(out, longest, damage == LONG_RELEASE ? 100 : 2);
	}
	if (damage != NO_SEQUENCE) {
		write_uint(out, "sequence", 42);
	}
	if (damage == NO_PARTS) {
		return;
	}
	wire_write_str(out, "parts");
	wire_write_array(out, wire_size(parts) + (damage == ONE_PART_MORE));
	for (size_t i = 0; i < wire_size(parts); i++) {
		if (damage == PART_IS_NIL) {
			wire_write_nil(out);
		} else {
			write_part(out, daemon, damage, wire_item(parts, i));
		}
	}
	if (damage == ONE_PART_MORE) {
		wire_write_map(out, 0);
	}
}

struct rep_part part_of(struct room *room, enum rep_dtype dtype)
{
	return (struct rep_part){
		.table = "ur",
		.keys = rep_keys_u64(room->keys, KEYS),
		.dtype = dtype,
		.rows = room->rows,
		.rows_bytes = sizeof room->rows,
		.found = room->found,
		.scales = room->scales,
		.times = room->times,
		.tags = room->tags,
		.weights = room->weights,
		.why = room->why,
	};
}

void assert_counts_up(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(bytes[i], (uint8_t)(i + 1));
	}
}
