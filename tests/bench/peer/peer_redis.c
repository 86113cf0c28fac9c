/* peer_redis.c - Redis: MGET of many keys, GET of one, MSET,
 * in raw RESP with the key as 8 bytes. */
#include "tests/bench/driver/put.h"
#include "tests/bench/driver/stream.h"
#include "tests/bench/peer/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_TEXT_BYTES = 4 + 8 + 2, /* $8 CR LF, the key, CR LF */
	HEAD_BYTES = 32,
	FILL_ROWS = 1024,                           /* sent at once */
	FILL_BYTES = 512,                           /* of one at most */
	ROW_TEXT_BYTES = 6 + MEASURE_ROW_BYTES + 2, /* $256 CR LF, the row, CR LF */
};

struct peer {
	const struct questions *questions; /* borrowed */
	struct stream stream;
	uint8_t *requests; /* owned: all questions, written out */
	size_t request_bytes;
};

static uint8_t *write_text(uint8_t *at, const char *text)
{
	while (*text != '\0') {
		*at++ = (uint8_t)*text++;
	}
	return at;
}

static uint8_t *write_key(uint8_t *at, uint64_t key)
{
	at = write_text(at, "$8\r\n");
	memcpy(at, &key, sizeof key);
	return write_text(at + sizeof key, "\r\n");
}

static struct peer *redis_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	stream_open(&peer->stream, address);
	char head[HEAD_BYTES];
	const uint32_t count = questions->keys_each;
	const int head_len = count == 1 ? snprintf(head, sizeof head, "*2\r\n$3\r\nGET\r\n")
					: snprintf(head, sizeof head, "*%u\r\n$4\r\nMGET\r\n",
						  (unsigned)count + 1);
	peer->request_bytes = (size_t)head_len + (size_t)count * KEY_TEXT_BYTES;
	peer->requests = allocate(peer->request_bytes * questions->requests);
	uint8_t *at = peer->requests;
	for (size_t i = 0; i < questions->requests; i++) {
		memcpy(at, head, (size_t)head_len);
		at += head_len;
		for (uint32_t j = 0; j < count; j++) {
			at = write_key(at, questions_at(questions, i)[j]);
		}
	}
	return peer;
}

/* Takes one bulk string, which must be a row. */
static void take_row(struct stream *stream, uint8_t *out)
{
	static const char head[] = "$256\r\n";
	_Static_assert(MEASURE_ROW_BYTES == 256, "the head of a row");
	const uint8_t *at = stream_need(stream, sizeof head - 1 + MEASURE_ROW_BYTES + 2);
	if (memcmp(at, head, sizeof head - 1) != 0) {
		die("redis: not a row: %.16s", (const char *)at);
	}
	memcpy(out, at + sizeof head - 1, MEASURE_ROW_BYTES);
	stream_take(stream, sizeof head - 1 + MEASURE_ROW_BYTES + 2);
}

static void redis_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const uint32_t count = peer->questions->keys_each;
	const size_t at = request % peer->questions->requests * peer->request_bytes;
	stream_send(&peer->stream, peer->requests + at, peer->request_bytes);
	if (count > 1) {
		size_t len;
		const char *line = stream_line(&peer->stream, &len);
		if (len < 2 || line[0] != '*' || strtoul(line + 1, NULL, 10) != count) {
			die("redis: %.*s", (int)len, line);
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		take_row(&peer->stream, out + (size_t)i * MEASURE_ROW_BYTES);
	}
}

static void redis_close(struct peer *peer)
{
	stream_close(&peer->stream);
	free(peer->requests);
	free(peer);
}

void redis_fill(const char *address, const uint8_t *rows, size_t count)
{
	struct stream stream;
	stream_open(&stream, address);
	uint8_t *buf = allocate((size_t)FILL_ROWS * FILL_BYTES);
	for (size_t first = 0; first < count; first += FILL_ROWS) {
		const size_t end = first + FILL_ROWS < count ? first + FILL_ROWS : count;
		uint8_t *at = buf;
		for (size_t key = first; key < end; key++) {
			at = write_text(at, "*3\r\n$3\r\nSET\r\n");
			at = write_text(write_key(at, key), "$256\r\n");
			memcpy(at, rows + key * MEASURE_ROW_BYTES, MEASURE_ROW_BYTES);
			at = write_text(at + MEASURE_ROW_BYTES, "\r\n");
		}
		stream_send(&stream, buf, (size_t)(at - buf));
		for (size_t key = first; key < end; key++) {
			size_t len;
			const char *line = stream_line(&stream, &len);
			if (len != 3 || memcmp(line, "+OK", 3) != 0) {
				die("redis: SET: %.*s", (int)len, line);
			}
		}
	}
	free(buf);
	stream_close(&stream);
}

const struct peer_kind peer_redis = {.name = "redis",
	.open = redis_open,
	.fetch = redis_fetch,
	.close = redis_close,
	.rows = PEER_ANSWERS};

/* ---- put ---- */

static void redis_write(struct put_request *request)
{
	char head[HEAD_BYTES];
	const int head_len = snprintf(head, sizeof head, "*%u\r\n$4\r\nMSET\r\n",
		(unsigned)request->rows * 2 + 1);
	const size_t step = KEY_TEXT_BYTES + ROW_TEXT_BYTES;
	request->len = (size_t)head_len + request->rows * step;
	request->data = allocate(request->len);
	uint8_t *at = write_text(request->data, head);
	request->keys_at = (size_t)head_len + KEY_TEXT_BYTES - 2 - sizeof(uint64_t);
	request->rows_at = (size_t)head_len + KEY_TEXT_BYTES + 6;
	request->keys_step = step;
	request->rows_step = step;
	for (uint32_t i = 0; i < request->rows; i++) {
		at = write_text(write_key(at, 0), "$256\r\n");
		at = write_text(at + MEASURE_ROW_BYTES, "\r\n");
	}
}

static size_t redis_read_answer(const uint8_t *data, size_t len, struct put_answer *out)
{
	if (len < 5) {
		return 0;
	}
	if (memcmp(data, "+OK\r\n", 5) != 0) {
		die("redis: %.*s", (int)len, (const char *)data);
	}
	*out = (struct put_answer){0};
	return 5;
}

static void expect_line(struct stream *stream, const char *wanted)
{
	size_t len;
	const char *line = stream_line(stream, &len);
	if (len != strlen(wanted) || memcmp(line, wanted, len) != 0) {
		die("redis: CONFIG: '%.*s', not '%s'", (int)len, line, wanted);
	}
}

static void ask_config(struct stream *stream, const char *command)
{
	stream_send(stream, command, strlen(command));
}

void redis_sync_always(const char *address)
{
	struct stream stream;
	stream_open(&stream, address);
	ask_config(&stream, "CONFIG SET appendfsync always\r\n");
	expect_line(&stream, "+OK");
	ask_config(&stream, "CONFIG GET appendonly\r\n");
	static const char *const wanted[] = {"*2", "$10", "appendonly", "$3", "yes"};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		expect_line(&stream, wanted[i]);
	}
	stream_close(&stream);
}

const struct put_kind put_redis = {.name = "redis",
	.write = redis_write,
	.read_answer = redis_read_answer,
	.reader = &peer_redis};
