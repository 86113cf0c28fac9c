/* ledger.c - which row each key must have after puts. */
#include "tests/bench/driver/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first elements of a put row. f32 holds whole numbers
 * below 2^24 exactly, and any is finite. */
enum { STAMP_KEY, STAMP_REQUEST, STAMP_PLACE, STAMP_ELEMENTS };
enum { CHECKS = 20, CHECK_KEYS = 500 };
enum { STAMP_BYTES = STAMP_ELEMENTS * sizeof(float), STAMP_MAX = 1 << 24 };

void ledger_init(struct ledger *ledger, const uint8_t *rows, uint64_t rows_count)
{
	if (rows_count > STAMP_MAX) {
		die("%" PRIu64 " rows; at most %d can be told apart", rows_count, STAMP_MAX);
	}
	*ledger = (struct ledger){.rows = rows, .rows_count = rows_count};
	ledger->last = allocate(rows_count * sizeof *ledger->last);
}

void ledger_fini(struct ledger *ledger)
{
	free(ledger->last);
	free(ledger->overtaken);
	*ledger = (struct ledger){0};
}

static uint32_t next_number(struct ledger *ledger)
{
	if (ledger->sent + 1 >= STAMP_MAX) {
		die("more than %d requests", STAMP_MAX);
	}
	if (ledger->sent + 1 >= ledger->overtaken_cap) {
		const uint32_t cap = ledger->overtaken_cap == 0 ? 65536 : ledger->overtaken_cap * 2;
		ledger->overtaken = realloc(ledger->overtaken, cap * sizeof *ledger->overtaken);
		if (ledger->overtaken == NULL) {
			die("no memory for %u requests", cap);
		}
		ledger->overtaken_cap = cap;
	}
	ledger->overtaken[++ledger->sent] = 0;
	return ledger->sent;
}

static void write_row(struct ledger *ledger, struct put_request *request, uint32_t i, uint64_t key)
{
	const float stamp[STAMP_ELEMENTS] = {
		[STAMP_KEY] = (float)key,
		[STAMP_REQUEST] = (float)request->number,
		[STAMP_PLACE] = (float)i,
	};
	memcpy(put_request_key(request, i), &key, sizeof key);
	memcpy(put_request_row(request, i), stamp, sizeof stamp);
	ledger->last[key] = request->number;
}

void ledger_send(struct ledger *ledger, struct put_request *request, const uint64_t *keys)
{
	put_request_set_number(request, next_number(ledger));
	for (uint32_t i = 0; i < request->rows; i++) {
		write_row(ledger, request, i, keys[i]);
	}
}

void ledger_send_random(struct ledger *ledger, struct put_request *request, uint64_t *state)
{
	put_request_set_number(request, next_number(ledger));
	for (uint32_t i = 0; i < request->rows; i++) {
		write_row(ledger, request, i, next_random(state) % ledger->rows_count);
	}
}

void ledger_acknowledge(struct ledger *ledger, uint32_t number)
{
	if (number == 0 || number > ledger->sent || ledger->overtaken[number] != 0) {
		die("request %u was acknowledged, which was not under way", number);
	}
	ledger->overtaken[number] = ledger->sent;
}

static const uint8_t *loaded_row(const uint8_t *rows, uint64_t key)
{
	return rows + key % MEASURE_ROWS_MADE * MEASURE_ROW_BYTES;
}

/* The request that brought the row; 0: it is the loaded one. */
static uint32_t request_of(const uint8_t *rows, uint64_t key, const uint8_t *row)
{
	if (memcmp(row, loaded_row(rows, key), MEASURE_ROW_BYTES) == 0) {
		return 0;
	}
	float stamp[STAMP_ELEMENTS];
	memcpy(stamp, row, sizeof stamp);
	const float request = stamp[STAMP_REQUEST];
	const float place = stamp[STAMP_PLACE];
	if (stamp[STAMP_KEY] != (float)key || !(request >= 1 && request < STAMP_MAX) ||
		!(place >= 0 && place < PUT_ROWS_MAX) ||
		memcmp(row + STAMP_BYTES, rows + (size_t)place * MEASURE_ROW_BYTES + STAMP_BYTES,
			MEASURE_ROW_BYTES - STAMP_BYTES) != 0) {
		die("a wrong row of key %" PRIu64, key);
	}
	return (uint32_t)request;
}

void ledger_check(const struct ledger *ledger, uint64_t key, const uint8_t *row)
{
	const uint32_t number = request_of(ledger->rows, key, row);
	const uint32_t last = ledger->last[key];
	if (number == last) {
		return;
	}
	if (number == 0 || number > last || ledger->overtaken[number] < last) {
		die("key %" PRIu64 " has the row of request %u, not of %u, which came later", key,
			number, last);
	}
}

void ledger_draw(const struct ledger *ledger, uint64_t *keys, size_t count)
{
	uint64_t random = ledger->sent;
	for (size_t i = 0; i < count; i++) {
		uint64_t key = next_random(&random) % ledger->rows_count;
		if (i % 2 == 1 && ledger->sent > 0) {
			while (ledger->last[key] == 0) {
				key = (key + 1) % ledger->rows_count;
			}
		}
		keys[i] = key;
	}
}

void ledger_check_reader(const struct ledger *ledger, const struct peer_kind *reader,
	const char *address)
{
	struct questions questions;
	questions_init(&questions, CHECKS, CHECK_KEYS, ledger->rows_count);
	ledger_draw(ledger, questions.keys, (size_t)CHECKS * CHECK_KEYS);
	uint8_t *out = allocate((size_t)CHECK_KEYS * MEASURE_ROW_BYTES);
	struct peer *peer = reader->open(address, &questions, NULL);
	for (size_t request = 0; request < CHECKS; request++) {
		reader->fetch(peer, request, out);
		const uint64_t *keys = questions_at(&questions, request);
		for (size_t i = 0; i < CHECK_KEYS; i++) {
			ledger_check(ledger, keys[i], out + i * MEASURE_ROW_BYTES);
		}
	}
	reader->close(peer);
	free(out);
	questions_fini(&questions);
}

void ledger_check_written(const uint8_t *rows, uint64_t key, const uint8_t *row)
{
	(void)request_of(rows, key, row);
}
