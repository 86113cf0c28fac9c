/* inflater.c - inflates through zlib, never further than it was told. */
#include "tools/format/inflater.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include <zlib.h>

struct inflater {
	struct zip_member member;
	const char *name; /* borrowed */
	z_stream stream;
	bool begun;         /* zlib holds memory for the stream */
	size_t packed_left; /* bytes that zlib was not given yet */
	uint64_t left;      /* bytes that are still to come out */
	uint32_t crc;       /* of those that came */
};

static enum status no_memory(const char *name, struct error *err)
{
	return error_set(err, STATUS_NO_MEMORY, "'%s': no memory to inflate it", name);
}

/* zlib counts what it is given in 32 bits. */
enum { PIECE_BYTES_MAX = 1 << 30 };

static void *allocate(void *opaque, unsigned count, unsigned size)
{
	(void)opaque;
	return calloc(count, size);
}

static void release(void *opaque, void *memory)
{
	(void)opaque;
	free(memory);
}

static enum status damaged(const struct inflater *inflater, const char *what, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST,
		"'%s': %s the %" PRIu64
		" bytes that the directory of the zip archive says; it is damaged",
		inflater->name, what, inflater->member.bytes);
}

enum status inflater_rewind(struct inflater *inflater, struct error *err)
{
	z_stream *stream = &inflater->stream;
	if (!inflater->begun) {
		*stream = (z_stream){.zalloc = allocate, .zfree = release};
	}
	/* Negative: the bytes have no header of zlib's before them. */
	const int result =
		inflater->begun ? inflateReset(stream) : inflateInit2(stream, -MAX_WBITS);
	if (result != Z_OK) {
		return no_memory(inflater->name, err);
	}
	inflater->begun = true;
	stream->avail_in = 0;
	stream->next_in = (z_const Bytef *)inflater->member.packed;
	inflater->packed_left = inflater->member.packed_bytes;
	inflater->left = inflater->member.bytes;
	inflater->crc = 0;
	return STATUS_OK;
}

enum status inflater_open(const struct zip_member *member, const char *name, struct inflater **out,
	struct error *err)
{
	assert(member->method == ZIP_DEFLATED);
	struct inflater *inflater = calloc(1, sizeof *inflater);
	if (inflater == NULL) {
		return no_memory(name, err);
	}
	inflater->member = *member;
	inflater->name = name;
	const enum status status = inflater_rewind(inflater, err);
	if (status != STATUS_OK) {
		inflater_close(inflater);
		return status;
	}
	*out = inflater;
	return STATUS_OK;
}

void inflater_close(struct inflater *inflater)
{
	if (inflater != NULL) {
		if (inflater->begun) {
			inflateEnd(&inflater->stream);
		}
		free(inflater);
	}
}

/* Inflates until data[len] is full or the stream ends. */
static int inflate_piece(struct inflater *inflater, uint8_t *data, unsigned len)
{
	z_stream *stream = &inflater->stream;
	stream->next_out = data;
	stream->avail_out = len;
	int result = Z_OK;
	while (result == Z_OK && stream->avail_out > 0) {
		if (stream->avail_in == 0) {
			const size_t given = inflater->packed_left < PIECE_BYTES_MAX
						     ? inflater->packed_left
						     : PIECE_BYTES_MAX;
			stream->avail_in = (unsigned)given;
			inflater->packed_left -= given;
		}
		result = inflate(stream, Z_NO_FLUSH);
	}
	return result;
}

/* All bytes have come: nothing may follow, and they must be those that were packed. */
static enum status check_end(struct inflater *inflater, struct error *err)
{
	uint8_t more = 0;
	const int result = inflate_piece(inflater, &more, 1);
	if (inflater->stream.avail_out == 0) {
		return damaged(inflater, "it inflates to more than", err);
	}
	if (result == Z_MEM_ERROR) {
		return no_memory(inflater->name, err);
	}
	if (result != Z_STREAM_END) {
		return damaged(inflater, "it does not end behind", err);
	}
	return inflater->crc == inflater->member.crc
		       ? STATUS_OK
		       : damaged(inflater, "it has not the CRC of", err);
}

enum status inflater_read(struct inflater *inflater, void *data, size_t len, struct error *err)
{
	assert(len <= inflater->left);
	uint8_t *at = data;
	while (len > 0) {
		const unsigned piece = len < PIECE_BYTES_MAX ? (unsigned)len : PIECE_BYTES_MAX;
		const int result = inflate_piece(inflater, at, piece);
		if (result == Z_MEM_ERROR) {
			return no_memory(inflater->name, err);
		}
		if (inflater->stream.avail_out > 0) {
			return damaged(inflater, "it does not inflate to", err);
		}
		inflater->crc = (uint32_t)crc32_z(inflater->crc, at, piece);
		inflater->left -= piece;
		at += piece;
		len -= piece;
	}
	return inflater->left > 0 ? STATUS_OK : check_end(inflater, err);
}
