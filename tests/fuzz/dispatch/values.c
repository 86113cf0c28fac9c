/* values.c - values for the params of methods. */
#include "tests/fuzz/dispatch/values.h"

#include "daemon/method/call/method.h"
#include "tests/fuzz/dispatch/grammar.h"
#include "tests/fuzz/dispatch/world.h"

#include <math.h>
#include <string.h>

const char *const values_query_names[] = {"table", "keys", "max_age_ms", "missing", "dim", "views",
	"dtype", "rows", "scales", NULL};

enum { KEYS_MAX = 200, SOME_BYTES = 64 };

/* ---- lists ---- */

static void write_one_of(struct choices *choices, const char *const *list, size_t count,
	struct wire_writer *out)
{
	wire_write_str(out, list[choose_below(choices, count)]);
}

#define ONE_OF(choices, list, out) write_one_of(choices, list, sizeof(list) / sizeof(list)[0], out)

static void write_number(struct choices *choices, struct wire_writer *out)
{
	static const uint64_t numbers[] = {1, 0, 2, 3, 4, 7, 8, 16, 50, 64, 255, 256, 1000, 4096,
		5000, 65536, 1u << 20, (1u << 20) + 1, INT32_MAX, UINT32_MAX, UINT64_C(1) << 32,
		(UINT64_C(1) << 53) - 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX,
		600000, 86400000, 16725225600000, 1700000000000};
	const uint8_t which = choose(choices);
	if (which < 0xe0) {
		wire_write_uint(out, numbers[which % (sizeof numbers / sizeof numbers[0])]);
	} else if (which < 0xf0) {
		wire_write_int(out, -(int64_t)choose(choices));
	} else {
		wire_write_float(out, (double)choose(choices));
	}
}

static void write_real(struct choices *choices, struct wire_writer *out)
{
	static const double numbers[] = {0.5, 1, 0.99, 0, -1, 2, 1e-9, 1e30, 1e300, 5e-324};
	const uint8_t which = choose(choices);
	if (which >= 0xf0) {
		wire_write_float(out, which % 2 == 0 ? (double)NAN : (double)-INFINITY);
	} else {
		wire_write_float(out, numbers[which % (sizeof numbers / sizeof numbers[0])]);
	}
}

static void write_text(struct choices *choices, struct wire_writer *out)
{
	uint8_t text[SOME_BYTES];
	const size_t len = choose_below(choices, sizeof text);
	for (size_t i = 0; i < len; i++) {
		text[i] = choose(choices);
	}
	wire_write_str_len(out, text, len);
}

/* ---- columns ---- */

/* So many bytes, now and then a few more or less: a few numbers of `size` bytes, again and again, of which the first
 * may be anything. */
static void write_column(struct choices *choices, size_t bytes, const void *numbers, size_t size,
	size_t count, struct wire_writer *out)
{
	const uint8_t how = choose(choices);
	const uint8_t first = choose(choices);
	if (how >= 0xf0) {
		const size_t few = how % 8u + 1;
		bytes = how < 0xf8 ? bytes + few : bytes > few ? bytes - few : 0;
	}
	uint8_t *space = wire_write_bin_space(out, bytes);
	for (size_t at = 0; space != NULL && at < bytes; at += size) {
		const uint8_t *number =
			(const uint8_t *)numbers + (first + at / size) % count * size;
		memcpy(space + at, number, bytes - at < size ? bytes - at : size);
	}
	for (size_t at = 0; space != NULL && first >= 0xc0 && at < size && at < bytes; at++) {
		space[at] = choose(choices);
	}
}

static void write_keys(struct choices *choices, struct subject *subject, struct wire_writer *out)
{
	static const uint64_t first_keys[] = {0, 1, WORLD_ROWS - 2, 1000000, UINT64_MAX - 3};
	const uint8_t how = choose(choices);
	const uint64_t first = first_keys[choose_below(choices, 5)];
	const bool is_packed = how % 2 == 0;
	const bool has_bytes = subject->has_byte_keys != (how >= 0xf0);
	subject->keys = how < 0xe0 ? 1 + how % 8u : choose_below(choices, KEYS_MAX);
	if (!is_packed) {
		wire_write_array(out, subject->keys);
	}
	uint8_t *space =
		!is_packed ? NULL : wire_write_bin_space(out, subject->keys * (has_bytes ? 3 : 8));
	for (size_t i = 0; i < subject->keys; i++) {
		const uint64_t key = first + i;
		const uint8_t bytes[3] = {2, 'k', (uint8_t)('a' + key % 26)};
		if (!is_packed && has_bytes) {
			wire_write_bin(out, bytes + 1, 2);
		} else if (!is_packed) {
			wire_write_uint(out, key);
		} else if (space != NULL) {
			memcpy(space + i * (has_bytes ? 3 : 8),
				has_bytes ? (const void *)bytes : (const void *)&key,
				has_bytes ? 3 : 8);
		}
	}
}

static size_t row_bytes(const struct subject *subject)
{
	return dtype_row_bytes(subject->dtype, subject->dim, 1);
}

static void write_rows(struct choices *choices, const struct subject *subject, size_t rows,
	struct wire_writer *out)
{
	static const float numbers[] = {1, 0.5f, -2, 0, 3, 1e-3f, 1e20f, -1};
	write_column(choices, rows * row_bytes(subject), numbers, sizeof numbers[0], 8, out);
}

static void write_floats(struct choices *choices, const struct subject *subject,
	struct wire_writer *out)
{
	static const float numbers[] = {1, 0.25f, 3};
	write_column(choices, subject->keys * sizeof numbers[0], numbers, sizeof numbers[0], 3,
		out);
}

/* Times and tags. */
static void write_words(struct choices *choices, const struct subject *subject, int64_t word,
	struct wire_writer *out)
{
	const int64_t words[] = {word, word + 1, word - 1000, 0};
	write_column(choices, subject->keys * sizeof word, words, sizeof word, 4, out);
}

/* ---- names of the world ---- */

static bool writes_to_open(const char *method)
{
	static const char *const methods[] = {"load", "load.end", "load.abort", "table.create",
		"release.seal", "release.drop", "release.create"};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (strcmp(method, methods[i]) == 0) {
			return true;
		}
	}
	return false;
}

static void write_release(struct choices *choices, const struct subject *subject,
	struct wire_writer *out)
{
	static const char *const releases[] = {"live", "first", "second", "open", "made", "adopted",
		"gone", ""};
	static const char *const open[] = {"open", "made", "live", "first", "second", "adopted",
		"gone", "."};
	static const char *const made[] = {"made", "open", "live", "adopted"};
	if (strcmp(subject->method, "release.create") == 0 ||
		strcmp(subject->method, "release.adopt") == 0) {
		ONE_OF(choices, made, out);
	} else if (subject->is_open) {
		ONE_OF(choices, open, out);
	} else {
		ONE_OF(choices, releases, out);
	}
}

static void write_table(struct choices *choices, struct subject *subject, struct wire_writer *out)
{
	static const char *const made[] = {"made", "made@l", "t2", "ur", "bad name", "@", "made@"};
	if (strcmp(subject->method, "table.create") == 0) {
		ONE_OF(choices, made, out);
		return;
	}
	const uint8_t which = choose(choices);
	if (which >= 0xe8) {
		ONE_OF(choices, made, out);
		return;
	}
	const struct world_table *table = &world_tables[which % WORLD_TABLES];
	subject->dtype = table->dtype;
	subject->dim = table->dim * table->views;
	subject->has_byte_keys = table->has_byte_keys;
	wire_write_str(out, table->name);
}

static void write_dtype(struct choices *choices, struct subject *subject, struct wire_writer *out)
{
	static const char *const names[] = {"f32", "f16", "bf16", "i8", "bit", "f64", "i64", "u8",
		"none", ""};
	const char *name = names[choose_below(choices, sizeof names / sizeof names[0])];
	const enum dtype dtype = dtype_of_name(name, strlen(name));
	const size_t width = strspn(name, "bfiu");
	subject->dtype = dtype != DTYPE_NONE ? dtype : subject->dtype;
	subject->element_bytes = name[width] == '6'   ? 8
				 : name[width] == '3' ? 4
				 : name[width] == '1' ? 2
						      : 1;
	wire_write_str(out, name);
}

static void write_shape(struct choices *choices, struct subject *subject, struct wire_writer *out)
{
	const size_t dims = choose_below(choices, 12) % 10;
	size_t elements = 1;
	wire_write_array(out, dims);
	for (size_t i = 0; i < dims; i++) {
		const uint8_t dim = choose(choices);
		if (dim >= 0xf8) {
			write_number(choices, out);
		} else {
			wire_write_uint(out, 1 + dim % 4u);
			elements *= 1 + dim % 4u;
		}
	}
	subject->data_bytes = elements * subject->element_bytes;
}

static void write_layers(struct choices *choices, struct wire_writer *out)
{
	static const char *const steps[] = {"square", "relu", "gate:square", "silu", "sigmoid",
		"tanh", "wide", "none", "gate:wide", ""};
	const size_t count = choose_below(choices, 18);
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		ONE_OF(choices, steps, out);
	}
}

static void write_tables(struct choices *choices, struct wire_writer *out)
{
	const size_t count = choose_below(choices, 9);
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		wire_write_str(out, world_tables[choose_below(choices, WORLD_TABLES)].name);
	}
}

static void write_shard(struct choices *choices, struct wire_writer *out)
{
	wire_write_array(out, 2);
	const size_t of = 1 + choose_below(choices, 8);
	wire_write_uint(out, choose_below(choices, 9));
	wire_write_uint(out, of);
}

static void write_weights(struct choices *choices, const struct subject *subject,
	struct wire_writer *out)
{
	static const double weights[] = {1, 0.25, 1e9, 0};
	if (subject->is_put) {
		write_column(choices, subject->keys * sizeof weights[0], weights, sizeof weights[0],
			4, out);
		return;
	}
	const size_t count = choose_below(choices, 4);
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		write_real(choices, out);
	}
}

static void write_method_name(struct choices *choices, struct wire_writer *out)
{
	wire_write_str(out, method_table[choose_below(choices, method_count)].name);
}

/* ---- by name ---- */

/* Texts that are one of a few. The first is the usual one. */
static const struct {
	const char *name;
	const char *texts[8];
} lists[] = {
	{"layer", {"l", "m", "none", "bad name", ""}},
	{"tensor", {"square.weight", "square.bias", "wide.weight", "made", "none", "@"}},
	{"load", {"x", "y", "bad name", ""}},
	{"entity", {"user", "item", "x"}},
	{"kind", {"ur", "ir", "cr", "x"}},
	{"key", {"u64", "bytes", "x"}},
	{"index", {"none", "balls", "x"}},
	{"read", {"sum", "mean", "layer_norm", "x"}},
	{"state", {"f32x2", "f32", "x"}},
	{"default", {"none", "zeros", "mean", "row", "x"}},
	{"missing", {"default", "zero", "refuse", "x"}},
	{"metric", {"inner_product", "cosine", "l2", "tanimoto", "dice", "hamming", "x"}},
	{"in", {"ir", "ur", "views", "bit", "b", "sum@l", "none"}},
	{"source", {"s", "t", "none", "bad name", ""}},
	{"dir", {"a", "b", "c", "../x", "/", "a/b", ".", ""}},
	{"as", {"user:1001", "tcp:loopback", "cert:CN=x", "cert:URI=spiffe://a/b", "user:0",
		       "group:0", "user:65534", "x"}},
	{"client", {"fuzz", ""}},
	{"trace", {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x\" y=\n", ""}},
	{"model", {"m", "\xc3\xa9", "\n"}},
	{"checkpoint", {"c", "\xff", ""}},
};

static bool write_listed(struct choices *choices, const char *name, struct wire_writer *out)
{
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		size_t count = 1;
		if (strcmp(name, lists[i].name) != 0) {
			continue;
		}
		while (count < 8 && lists[i].texts[count] != NULL) {
			count++;
		}
		const uint8_t which = choose(choices);
		if (which >= 0xf8) {
			write_text(choices, out);
		} else {
			wire_write_str(out, lists[i].texts[which % count]);
		}
		return true;
	}
	return false;
}

static bool is_one_of(const char *name, const char *const *names)
{
	size_t i = 0;
	while (names[i] != NULL && strcmp(name, names[i]) != 0) {
		i++;
	}
	return names[i] != NULL;
}

static bool is_number(const char *name)
{
	static const char *const names[] = {"k", "n", "limit", "cursor", "chunk", "chunks",
		"position", "oldest", "dim", "views", "ttl_ms", "half_life_ms", "history",
		"max_age_ms", "timeout_ms", "tags_any", "tags_all", "tags_none", NULL};
	return is_one_of(name, names);
}

static bool is_real(const char *name)
{
	static const char *const names[] = {"approximate", "min_score", "decay_events",
		"default_scale", NULL};
	return is_one_of(name, names);
}

/* Columns, which the rows of a write and of a question have. */
static bool write_columns(struct choices *choices, const char *name, struct subject *subject,
	struct wire_writer *out)
{
	static const char *const keys[] = {"keys", "users", "items", "allow", "deny", NULL};
	if (strcmp(subject->method, "verify") != 0 && is_one_of(name, keys)) {
		write_keys(choices, subject, out);
	} else if (strcmp(name, "rows") == 0 && strcmp(subject->method, "load.end") != 0) {
		write_rows(choices, subject, subject->keys, out);
	} else if (strcmp(name, "default_row") == 0) {
		write_rows(choices, subject, 1, out);
	} else if (strcmp(name, "scales") == 0) {
		write_floats(choices, subject, out);
	} else if (strcmp(name, "weights") == 0 && strcmp(subject->method, "fetch") != 0) {
		write_weights(choices, subject, out);
	} else if (strcmp(name, "times") == 0 && subject->is_put) {
		write_words(choices, subject, WORLD_TIME_MS, out);
	} else if (strcmp(name, "tags") == 0 && subject->is_put) {
		write_words(choices, subject, 5, out);
	} else if (strcmp(name, "data") == 0) {
		write_column(choices, subject->data_bytes, "12345678", 8, 1, out);
	} else {
		return false;
	}
	return true;
}

void values_write(struct choices *choices, const char *name, struct subject *subject,
	struct wire_writer *out)
{
	if (write_columns(choices, name, subject, out) || write_listed(choices, name, out)) {
		return;
	}
	if (strcmp(name, "release") == 0) {
		write_release(choices, subject, out);
	} else if (strcmp(name, "table") == 0) {
		write_table(choices, subject, out);
	} else if (strcmp(name, "dtype") == 0) {
		write_dtype(choices, subject, out);
	} else if (strcmp(name, "shape") == 0) {
		write_shape(choices, subject, out);
	} else if (strcmp(name, "through") == 0) {
		write_layers(choices, out);
	} else if (strcmp(name, "with") == 0) {
		write_tables(choices, out);
	} else if (strcmp(name, "shard") == 0) {
		write_shard(choices, out);
	} else if (strcmp(name, "method") == 0) {
		write_method_name(choices, out);
	} else if (is_real(name)) {
		write_real(choices, out);
	} else if (is_number(name) || strcmp(name, "keys") == 0 || strcmp(name, "rows") == 0) {
		write_number(choices, out);
	} else {
		/* What is left is a flag, or unknown. */
		wire_write_bool(out, choose(choices) % 2 == 0);
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): `depth` bounds it */
void values_write_any(struct choices *choices, unsigned depth, struct wire_writer *out)
{
	const uint8_t kind = choose(choices);
	const size_t count = depth > 0 ? choose_below(choices, 5) : 0;
	switch (kind % 11) {
	case 0:
		wire_write_nil(out);
		break;
	case 1:
		wire_write_bool(out, kind >= 0x80);
		break;
	case 2:
	case 3:
		write_number(choices, out);
		break;
	case 4:
		write_real(choices, out);
		break;
	case 5:
	case 6:
		write_text(choices, out);
		break;
	case 7:
		write_column(choices, count * 8, "12345678", 8, 1, out);
		break;
	case 8:
		wire_write_raw(out, "\xc7\x02\x05xx", 5); /* an extension */
		break;
	case 9:
		wire_write_array(out, count);
		for (size_t i = 0; i < count; i++) {
			values_write_any(choices, depth - 1, out);
		}
		break;
	case 10:
		wire_write_map(out, count);
		for (size_t i = 0; i < count; i++) {
			write_text(choices, out);
			values_write_any(choices, depth - 1, out);
		}
		break;
	}
}

/* ---- what is usual ---- */

/* A list that has `table` and `parts` has either. */
bool values_are_usual(const char *const *names, size_t i)
{
	static const char *const usual[] = {"release", "table", "keys", "rows", "layer", "users",
		"items", "tensor", "dtype", "shape", "data", "load", "chunk", "chunks", "entity",
		"kind", "dim", "dir", "from", "in", "as", "method", "source", "times", "oldest",
		"position", "first", NULL};
	static const char *const rare[] = {"dtype", "times", "dim", NULL};
	if (strcmp(names[i], "parts") == 0) {
		return strcmp(names[0], "release") == 0 && strcmp(names[1], "parts") == 0;
	}
	if (!is_one_of(names[i], usual)) {
		return false;
	}
	/* Columns of rows that are written, but for those of samples; and a query's, which is of a table's keys. */
	const bool is_table = is_one_of("shape", names) || is_one_of("first", names) ||
			      is_one_of("entity", names);
	return is_table || (!is_one_of(names[i], rare) &&
				   !(strcmp(names[i], "rows") == 0 && names == values_query_names));
}

void values_begin(struct subject *subject, const char *method)
{
	static const char *const writes[] = {"put", "load", "observe", "append", NULL};
	*subject = (struct subject){
		.method = method,
		.is_put = is_one_of(method, writes),
		.is_open = writes_to_open(method),
		.dtype = DTYPE_F32,
		.dim = 4,
		.keys = 1,
		.data_bytes = 4,
		.element_bytes = 4,
	};
}
