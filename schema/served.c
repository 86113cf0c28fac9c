/* served.c - writes and checks the heads of files of served rows, and of their frames. */
#include "schema/served.h"

#include "schema/checksum.h"

#include <string.h>

enum {
	MAGIC_BYTES = 8,
	VERSION_AT = 8,
	BEGUN_AT = 16,
	HEAD_SUM_AT = 24,
	FRAME_ZERO_AT = 4,
	FRAME_SUM_AT = 8
};

static const char magic[MAGIC_BYTES + 1] = "repsserv";

static void put(uint8_t *at, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++) {
		at[i] = (uint8_t)(value >> 8 * i);
	}
}

static uint64_t get(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++) {
		value |= (uint64_t)at[i] << 8 * i;
	}
	return value;
}

void served_write_head(uint8_t out[SERVED_HEAD_BYTES], int64_t begun_ms)
{
	memset(out, 0, SERVED_HEAD_BYTES);
	memcpy(out, magic, MAGIC_BYTES);
	put(out + VERSION_AT, 4, SERVED_VERSION);
	put(out + BEGUN_AT, 8, (uint64_t)begun_ms);
	put(out + HEAD_SUM_AT, 8, checksum(out, HEAD_SUM_AT));
}

enum status served_read_head(const uint8_t *data, size_t len, int64_t *begun_ms)
{
	if (len < SERVED_HEAD_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0 ||
		get(data + HEAD_SUM_AT, 8) != checksum(data, HEAD_SUM_AT)) {
		return STATUS_CORRUPT;
	}
	if (get(data + VERSION_AT, 4) != SERVED_VERSION) {
		return STATUS_UNSUPPORTED;
	}
	*begun_ms = (int64_t)get(data + BEGUN_AT, 8);
	return STATUS_OK;
}

void served_write_frame(uint8_t out[SERVED_FRAME_BYTES], const uint8_t *body, size_t len)
{
	memset(out, 0, SERVED_FRAME_BYTES);
	put(out, 4, len);
	put(out + FRAME_SUM_AT, 8, checksum(body, len));
}

enum status served_read_frame(const uint8_t *data, size_t len, size_t *body_len)
{
	if (len < SERVED_FRAME_BYTES) {
		return STATUS_AGAIN;
	}
	const size_t bytes = (size_t)get(data, 4);
	if (bytes > len - SERVED_FRAME_BYTES) {
		return STATUS_AGAIN;
	}
	if (bytes == 0 || get(data + FRAME_ZERO_AT, 4) != 0 ||
		get(data + FRAME_SUM_AT, 8) != checksum(data + SERVED_FRAME_BYTES, bytes)) {
		return STATUS_CORRUPT;
	}
	*body_len = bytes;
	return STATUS_OK;
}
