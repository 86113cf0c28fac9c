/* fuzz_wire.c - any bytes are skimmed, opened and walked, however they are cut. */
#include "schema/wire.h"

#include "schema/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* In two cuts that the input decides, and byte by byte if it is small. */
static void expect_same_in_pieces(const uint8_t *data, size_t size, enum status whole,
	const struct wire_skim *expected)
{
	size_t sum = size;
	for (size_t i = 0; i < size && i < 16; i++) {
		sum = sum * 31 + data[i];
	}
	size_t cuts[3] = {sum % (size + 1), 0, size};
	cuts[1] = cuts[0] + sum / (size + 1) % (size - cuts[0] + 1);
	struct wire_skim skim = {0};
	enum status status = STATUS_AGAIN;
	for (size_t i = 0; i < 3 && status == STATUS_AGAIN; i++) {
		status = wire_skim(&skim, data, cuts[i]);
	}
	require(status == whole && skim.at == expected->at);

	skim = (struct wire_skim){0};
	status = STATUS_AGAIN;
	for (size_t len = 0; len <= size && len < 4096 && status == STATUS_AGAIN; len++) {
		size_t at = skim.at;
		status = wire_skim(&skim, data, len);
		require(skim.at >= at && skim.at <= len);
		require(status != STATUS_AGAIN || skim.need > len);
	}
	if (size < 4096) {
		require(status == whole && skim.at == expected->at);
	}
}

/* Writes what it reads, and returns how many values those are. */
static size_t copy(struct wire_value value, const struct wire_bytes *input, unsigned depth,
	struct wire_writer *writer)
{
	bool truth = false;
	uint64_t number = 0;
	int64_t integer = 0;
	double real = 0;
	struct wire_bytes bytes = {0};
	size_t count = 1;
	require(depth <= LIMIT_MESSAGE_DEPTH);
	require(strlen(wire_type_name(wire_type(value))) > 0);
	if (wire_str(value, &bytes)) {
		require(bytes.data != NULL);
		require(bytes.len == 0 ||
			(bytes.data >= input->data &&
				bytes.data + bytes.len <= input->data + input->len));
	}
	switch (wire_type(value)) {
	case WIRE_ABSENT:
		abort();
	case WIRE_NIL:
	case WIRE_EXT: /* which nothing of ours writes */
		wire_write_nil(writer);
		break;
	case WIRE_BOOL:
		require(wire_bool(value, &truth));
		wire_write_bool(writer, truth);
		break;
	case WIRE_UINT:
		require(wire_uint(value, &number));
		wire_write_uint(writer, number);
		break;
	case WIRE_INT:
		require(wire_int(value, &integer) && integer < 0);
		wire_write_int(writer, integer);
		break;
	case WIRE_FLOAT:
		require(wire_float(value, &real));
		require(!wire_uint(value, &number) || (double)number == real);
		require(!wire_int(value, &integer) || (double)integer == real);
		wire_write_float(writer, real);
		break;
	case WIRE_STR:
		require(wire_bin(value, &bytes));
		wire_write_str_len(writer, bytes.data, bytes.len);
		break;
	case WIRE_BIN:
		wire_write_bin(writer, bytes.data, bytes.len);
		break;
	case WIRE_ARRAY:
		wire_write_array(writer, wire_size(value));
		for (size_t i = 0; i < wire_size(value); i++) {
			count += copy(wire_item(value, i), input, depth + 1, writer);
		}
		break;
	case WIRE_MAP:
		wire_write_map(writer, wire_size(value));
		for (size_t i = 0; i < wire_size(value); i++) {
			count += copy(wire_map_key(value, i), input, depth + 1, writer);
			count += copy(wire_map_value(value, i), input, depth + 1, writer);
		}
		break;
	}
	return count;
}

/* What was read and written is a message that reads and writes the same. */
static void expect_same_when_copied(const uint8_t *data, size_t size, size_t elements)
{
	struct wire_message *message = NULL;
	require(wire_open(data, size, &message) == STATUS_OK);
	struct wire_writer first = {.limit = 2 * (size_t)LIMIT_MESSAGE_BYTES};
	struct wire_bytes input = {.data = data, .len = size};
	require(copy(wire_root(message), &input, 0, &first) == elements);
	require(first.status == STATUS_OK);
	wire_get(wire_root(message), "table");
	wire_close(message);

	struct wire_skim skim = {0};
	if (first.len <= LIMIT_MESSAGE_BYTES) {
		require(wire_skim(&skim, first.data, first.len) == STATUS_OK);
		require(skim.at == first.len && skim.elements == elements);
	}
	struct wire_writer second = {.limit = first.limit};
	struct wire_bytes written = {.data = first.data, .len = first.len};
	require(wire_open(first.data, first.len, &message) == STATUS_OK);
	require(copy(wire_root(message), &written, 0, &second) == elements);
	require(second.len == first.len && memcmp(second.data, first.data, first.len) == 0);
	wire_close(message);
	wire_writer_fini(&first);
	wire_writer_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_skim skim = {0};
	enum status status = wire_skim(&skim, data, size);
	require(status == STATUS_OK || status == STATUS_AGAIN || status == STATUS_PROTOCOL ||
		status == STATUS_TOO_LARGE);
	require(skim.at <= size && skim.elements <= LIMIT_MESSAGE_ELEMENTS);
	expect_same_in_pieces(data, size, status, &skim);
	if (status == STATUS_OK) {
		expect_same_when_copied(data, skim.at, skim.elements);
	}
	return 0;
}
