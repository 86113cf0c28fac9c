/* peer_memcached.c - memcached: many keys at once, by either of its protocols.
 *
 * Keys are decimal. text: `get k1 k2 ...`, and one VALUE line a hit. binary: a quiet get a key
 * with its place as the opaque, and a no-op that ends the batch.
 */
#include "tests/bench/driver/stream.h"
#include "tests/bench/peer/peer.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_DIGITS_MAX = 20,
	FILL_ROWS = 256, /* sent at once */
	FLAG_BYTES = 4,  /* before each value of a binary get */
};

enum opcode { OPCODE_GET = 0x00, OPCODE_SET = 0x01, OPCODE_GETQ = 0x09, OPCODE_NOOP = 0x0a };

struct header {
	uint8_t magic;
	uint8_t opcode;
	uint16_t key_len;
	uint8_t extras_len;
	uint8_t type;
	uint16_t status;
	uint32_t body_len;
	uint32_t opaque;
	uint64_t cas;
};
_Static_assert(sizeof(struct header) == 24, "as on the wire");

struct peer {
	const struct questions *questions; /* borrowed */
	struct stream stream;
	uint8_t *requests; /* owned: all questions, written out */
	size_t *at;        /* owned: where each begins; one more */
};

static void send_request(struct peer *peer, size_t request)
{
	const size_t *at = peer->at + request % peer->questions->requests;
	stream_send(&peer->stream, peer->requests + at[0], at[1] - at[0]);
}

/* `bytes`: of a request at most. */
static struct peer *begin_open(const char *address, const struct questions *questions, size_t bytes)
{
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	stream_open(&peer->stream, address);
	peer->requests = allocate(bytes * questions->requests);
	peer->at = allocate((questions->requests + 1) * sizeof *peer->at);
	return peer;
}

static void memcached_close(struct peer *peer)
{
	stream_close(&peer->stream);
	free(peer->requests);
	free(peer->at);
	free(peer);
}

/* ---- text ---- */

static size_t write_decimal(uint8_t *out, uint64_t value)
{
	uint8_t digits[KEY_DIGITS_MAX];
	size_t len = 0;
	do {
		digits[len++] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	for (size_t i = 0; i < len; i++) {
		out[i] = digits[len - 1 - i];
	}
	return len;
}

static struct peer *text_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	const uint32_t count = questions->keys_each;
	struct peer *peer = begin_open(address, questions, 8 + count * (KEY_DIGITS_MAX + 1u));
	size_t at = 0;
	for (size_t i = 0; i < questions->requests; i++) {
		peer->at[i] = at;
		memcpy(peer->requests + at, "get", 3);
		at += 3;
		for (uint32_t j = 0; j < count; j++) {
			peer->requests[at++] = ' ';
			at += write_decimal(peer->requests + at, questions_at(questions, i)[j]);
		}
		memcpy(peer->requests + at, "\r\n", 2);
		at += 2;
	}
	peer->at[questions->requests] = at;
	return peer;
}

/* The key of a line `VALUE key flags 256`. */
static uint64_t read_value_line(const char *line, size_t len)
{
	static const char tail[] = " 0 256";
	if (len < 6 + sizeof tail || memcmp(line, "VALUE ", 6) != 0 ||
		memcmp(line + len - sizeof tail + 1, tail, sizeof tail - 1) != 0) {
		die("memcached: %.*s", (int)len, line);
	}
	uint64_t key = 0;
	for (size_t i = 6; i < len - (sizeof tail - 1); i++) {
		key = key * 10 + (uint64_t)(line[i] - '0');
	}
	return key;
}

static void text_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const uint64_t *keys = questions_at(peer->questions, request);
	const uint32_t count = peer->questions->keys_each;
	struct stream *stream = &peer->stream;
	send_request(peer, request);
	/* Values come in the order of the keys; absent ones are left out. */
	for (uint32_t i = 0;; i++) {
		size_t len;
		const char *line = stream_line(stream, &len);
		if (len == 3 && memcmp(line, "END", 3) == 0) {
			return;
		}
		const uint64_t key = read_value_line(line, len);
		while (i < count && keys[i] != key) {
			i++;
		}
		if (i >= count) {
			die("memcached: a key that was not asked for");
		}
		const uint8_t *value = stream_need(stream, MEASURE_ROW_BYTES + 2);
		memcpy(out + (size_t)i * MEASURE_ROW_BYTES, value, MEASURE_ROW_BYTES);
		stream_take(stream, MEASURE_ROW_BYTES + 2);
	}
}

/* ---- binary ---- */

static size_t write_get(uint8_t *out, enum opcode opcode, uint32_t opaque, const uint64_t *key)
{
	struct header header = {.magic = 0x80, .opcode = (uint8_t)opcode, .opaque = opaque};
	const size_t key_len = key != NULL ? write_decimal(out + sizeof header, *key) : 0;
	header.key_len = htons((uint16_t)key_len);
	header.body_len = htonl((uint32_t)key_len);
	memcpy(out, &header, sizeof header);
	return sizeof header + key_len;
}

static struct peer *binary_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	const uint32_t count = questions->keys_each;
	struct peer *peer = begin_open(address, questions,
		(sizeof(struct header) + KEY_DIGITS_MAX) * (count + 1u));
	size_t at = 0;
	for (size_t i = 0; i < questions->requests; i++) {
		const uint64_t *keys = questions_at(questions, i);
		peer->at[i] = at;
		for (uint32_t j = 0; j < count; j++) {
			at += write_get(peer->requests + at, count == 1 ? OPCODE_GET : OPCODE_GETQ,
				j, &keys[j]);
		}
		if (count > 1) {
			at += write_get(peer->requests + at, OPCODE_NOOP, 0, NULL);
		}
	}
	peer->at[questions->requests] = at;
	return peer;
}

static void binary_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const uint32_t count = peer->questions->keys_each;
	struct stream *stream = &peer->stream;
	send_request(peer, request);
	struct header header;
	do {
		memcpy(&header, stream_need(stream, sizeof header), sizeof header);
		stream_take(stream, sizeof header);
		const uint32_t body_len = ntohl(header.body_len);
		if (header.magic != 0x81 || header.status != 0) {
			die("memcached: status %u", ntohs(header.status));
		}
		if (header.opcode == OPCODE_NOOP) {
			return;
		}
		if (header.opaque >= count || body_len != FLAG_BYTES + MEASURE_ROW_BYTES) {
			die("memcached: an answer that is no row");
		}
		const uint8_t *body = stream_need(stream, body_len);
		memcpy(out + (size_t)header.opaque * MEASURE_ROW_BYTES, body + FLAG_BYTES,
			MEASURE_ROW_BYTES);
		stream_take(stream, body_len);
	} while (header.opcode == OPCODE_GETQ);
}

/* ---- fill ---- */

static size_t write_set(uint8_t *out, uint64_t key, const uint8_t *row)
{
	const size_t extras_len = 8; /* flags and expiry: zero */
	struct header header = {.magic = 0x80, .opcode = OPCODE_SET, .extras_len = extras_len};
	uint8_t *at = out + sizeof header;
	memset(at, 0, extras_len);
	const size_t key_len = write_decimal(at + extras_len, key);
	const size_t body_len = extras_len + key_len + MEASURE_ROW_BYTES;
	memcpy(at + extras_len + key_len, row, MEASURE_ROW_BYTES);
	header.key_len = htons((uint16_t)key_len);
	header.body_len = htonl((uint32_t)body_len);
	memcpy(out, &header, sizeof header);
	return sizeof header + body_len;
}

void memcached_fill(const char *address, const uint8_t *rows, size_t count)
{
	static uint8_t buf[FILL_ROWS * 512];
	struct stream stream;
	stream_open(&stream, address);
	for (size_t first = 0; first < count; first += FILL_ROWS) {
		const size_t end = first + FILL_ROWS < count ? first + FILL_ROWS : count;
		size_t len = 0;
		for (size_t key = first; key < end; key++) {
			len += write_set(buf + len, key, rows + key * MEASURE_ROW_BYTES);
		}
		stream_send(&stream, buf, len);
		for (size_t key = first; key < end; key++) {
			struct header header;
			memcpy(&header, stream_need(&stream, sizeof header), sizeof header);
			if (header.status != 0) {
				die("memcached: set: status %u", ntohs(header.status));
			}
			stream_take(&stream, sizeof header);
		}
	}
	stream_close(&stream);
}

const struct peer_kind peer_memcached_text = {.name = "memcached_text",
	.open = text_open,
	.fetch = text_fetch,
	.close = memcached_close,
	.rows = PEER_ANSWERS};
const struct peer_kind peer_memcached = {.name = "memcached",
	.open = binary_open,
	.fetch = binary_fetch,
	.close = memcached_close,
	.rows = PEER_ANSWERS};
