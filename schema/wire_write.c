/* wire_write.c - writes a message into memory that grows. */
#include "schema/wire.h"

#include "schema/limits.h"

#include <msgpack.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Most replies without rows fit into it. */
enum { WIRE_WRITER_FIRST_BYTES = 512 };

static size_t limit_of(const struct wire_writer *writer)
{
	return writer->limit > 0 ? writer->limit : LIMIT_MESSAGE_BYTES;
}

/* Makes room for `bytes` more; false: the status says why not. */
static bool make_room(struct wire_writer *writer, size_t bytes)
{
	if (writer->status != STATUS_OK) {
		return false;
	}
	assert(writer->len <= writer->cap);
	if (bytes <= writer->cap - writer->len) {
		return true;
	}
	size_t limit = limit_of(writer);
	if (writer->len > limit || bytes > limit - writer->len) {
		writer->status = STATUS_TOO_LARGE;
		return false;
	}
	size_t need = writer->len + bytes;
	size_t cap = writer->cap > 0 ? writer->cap : WIRE_WRITER_FIRST_BYTES;
	while (cap < need) {
		cap *= 2;
	}
	if (cap > limit) {
		cap = limit;
	}
	assert(cap >= need);
	uint8_t *data = realloc(writer->data, cap);
	if (data == NULL) {
		writer->status = STATUS_NO_MEMORY;
		return false;
	}
	writer->data = data;
	writer->cap = cap;
	return true;
}

static int append(void *arg, const char *bytes, size_t len)
{
	struct wire_writer *writer = arg;
	if (!make_room(writer, len)) {
		return -1;
	}
	if (len > 0) {
		memcpy(writer->data + writer->len, bytes, len);
	}
	writer->len += len;
	return 0;
}

static msgpack_packer packer_of(struct wire_writer *writer)
{
	return (msgpack_packer){.data = writer, .callback = append};
}

/* The callback where has_room was true: the compiler makes a store of each head. */
static inline int put(void *arg, const char *bytes, size_t len)
{
	struct wire_writer *writer = arg;
	memcpy(writer->data + writer->len, bytes, len);
	writer->len += len;
	return 0;
}

/* Is there room for the head of a value, or a number, and for `body` bytes, without growing? A message is
 * mostly written into memory that was used before. */
static inline bool has_room(const struct wire_writer *writer, size_t body)
{
	enum { HEAD_BYTES_MAX = 9 };
	const size_t room = writer->cap - writer->len;
	return writer->status == STATUS_OK && room >= HEAD_BYTES_MAX &&
	       body <= room - HEAD_BYTES_MAX;
}

/* MessagePack has no longer str, bin, array or map than UINT32_MAX. */
static bool fits_head(struct wire_writer *writer, size_t count)
{
	if (count > UINT32_MAX && writer->status == STATUS_OK) {
		writer->status = STATUS_TOO_LARGE;
	}
	return writer->status == STATUS_OK;
}

void wire_writer_fini(struct wire_writer *writer)
{
	free(writer->data);
	*writer = (struct wire_writer){.limit = writer->limit};
}

void wire_writer_clear(struct wire_writer *writer)
{
	wire_writer_rewind(writer, 0);
}

void wire_writer_rewind(struct wire_writer *writer, size_t len)
{
	assert(len <= writer->len);
	writer->len = len;
	writer->status = STATUS_OK;
}

void wire_writer_reserve(struct wire_writer *writer, size_t bytes)
{
	make_room(writer, bytes);
}

void wire_write_nil(struct wire_writer *writer)
{
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_nil(&packer);
}

void wire_write_bool(struct wire_writer *writer, bool value)
{
	msgpack_packer packer = packer_of(writer);
	if (value) {
		msgpack_pack_true(&packer);
	} else {
		msgpack_pack_false(&packer);
	}
}

void wire_write_uint(struct wire_writer *writer, uint64_t value)
{
	if (has_room(writer, 0)) {
		msgpack_packer packer = {.data = writer, .callback = put};
		msgpack_pack_uint64(&packer, value);
		return;
	}
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_uint64(&packer, value);
}

void wire_write_int(struct wire_writer *writer, int64_t value)
{
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_int64(&packer, value);
}

void wire_write_float(struct wire_writer *writer, double value)
{
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_double(&packer, value);
}

void wire_write_str(struct wire_writer *writer, const char *text)
{
	if (text == NULL) {
		wire_write_nil(writer);
		return;
	}
	wire_write_str_len(writer, text, strlen(text));
}

void wire_write_str_len(struct wire_writer *writer, const void *text, size_t len)
{
	if (!fits_head(writer, len)) {
		return;
	}
	if (len > 0 && has_room(writer, len)) {
		msgpack_packer packer = {.data = writer, .callback = put};
		msgpack_pack_str(&packer, len);
		put(writer, text, len);
		return;
	}
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_str(&packer, len);
	append(writer, text, len);
}

void wire_write_bin(struct wire_writer *writer, const void *data, size_t len)
{
	uint8_t *space = wire_write_bin_space(writer, len);
	if (space != NULL && len > 0) {
		memcpy(space, data, len);
	}
}

void wire_write_array(struct wire_writer *writer, size_t count)
{
	if (!fits_head(writer, count)) {
		return;
	}
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_array(&packer, count);
}

void wire_write_map(struct wire_writer *writer, size_t count)
{
	if (!fits_head(writer, count)) {
		return;
	}
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_map(&packer, count);
}

uint8_t *wire_write_bin_space(struct wire_writer *writer, size_t len)
{
	if (!fits_head(writer, len)) {
		return NULL;
	}
	msgpack_packer packer = packer_of(writer);
	msgpack_pack_bin(&packer, len);
	if (!make_room(writer, len)) {
		return NULL;
	}
	uint8_t *space = writer->data + writer->len;
	writer->len += len;
	return space;
}

void wire_write_raw(struct wire_writer *writer, const void *data, size_t len)
{
	append(writer, data, len);
}
