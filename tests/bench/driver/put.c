/* put.c - requests that bring rows, and those of the bare append. */
#include "tests/bench/driver/put.h"

#include "tests/bench/driver/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void put_request_init(struct put_request *request, const struct put_kind *kind, uint32_t count,
	const uint8_t *rows)
{
	assert(count > 0 && count <= PUT_ROWS_MAX);
	*request = (struct put_request){.kind = kind, .rows = count};
	kind->write(request);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(put_request_row(request, i), rows + (size_t)i * MEASURE_ROW_BYTES,
			MEASURE_ROW_BYTES);
	}
}

void put_request_fini(struct put_request *request)
{
	free(request->data);
	*request = (struct put_request){0};
}

void put_request_set_number(struct put_request *request, uint32_t number)
{
	request->number = number;
	if (request->kind->set_number != NULL) {
		request->kind->set_number(request);
	}
}

void put_answer_check(const struct put_kind *kind, const struct put_answer *answer, uint32_t number,
	uint32_t rows)
{
	if (answer->busy) {
		die("%s: request %u is to be sent again", kind->name, number);
	}
	if (answer->number != 0 && answer->number != number) {
		die("%s: an answer to request %u, not to %u", kind->name, answer->number, number);
	}
	if (answer->rows != 0 && answer->rows != rows) {
		die("%s: %u of %u rows were applied", kind->name, answer->rows, rows);
	}
}

void put_call(struct stream *stream, const struct put_request *request)
{
	struct put_answer answer = {0};
	size_t len = 0;
	stream_send(stream, request->data, request->len);
	for (size_t held = 0; len == 0;) {
		const uint8_t *data = stream_need(stream, held + 1);
		held = stream->len - stream->at;
		len = request->kind->read_answer(data, held, &answer);
	}
	stream_take(stream, len);
	put_answer_check(request->kind, &answer, request->number, request->rows);
}

/* ---- the bare append ---- */

static void floor_write(struct put_request *request)
{
	request->len = sizeof(struct floor_head) +
		       (size_t)request->rows * (sizeof(uint64_t) + MEASURE_ROW_BYTES);
	request->data = allocate(request->len);
	request->keys_at = sizeof(struct floor_head);
	request->keys_step = sizeof(uint64_t);
	request->rows_at = request->keys_at + request->rows * request->keys_step;
	request->rows_step = MEASURE_ROW_BYTES;
}

static void floor_set_number(struct put_request *request)
{
	const struct floor_head head = {.bytes = (uint32_t)request->len,
		.number = request->number,
		.rows = request->rows};
	memcpy(request->data, &head, sizeof head);
}

static size_t floor_read_answer(const uint8_t *data, size_t len, struct put_answer *out)
{
	struct floor_head head;
	if (len < sizeof head) {
		return 0;
	}
	memcpy(&head, data, sizeof head);
	*out = (struct put_answer){.number = head.number, .rows = head.rows};
	return sizeof head;
}

const struct put_kind put_floor = {.name = "floor",
	.write = floor_write,
	.set_number = floor_set_number,
	.read_answer = floor_read_answer};
