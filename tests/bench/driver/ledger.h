/* ledger.h - which row each key must have after puts, some of which were under way together.
 *
 * A put row says of itself in its first elements which key it has and which request brought it;
 * the others are those of the loaded row at the same place of the request. So any row that is
 * read can be checked, and after puts that have been acknowledged also that it is the last one.
 *
 * Threads: one at a time; ledger_check_written any.
 */
#ifndef TESTS_BENCH_DRIVER_LEDGER_H
#define TESTS_BENCH_DRIVER_LEDGER_H

#include "tests/bench/driver/put.h"

#include <stdint.h>

struct ledger {
	const uint8_t *rows; /* borrowed: as loaded, of the keys below MEASURE_ROWS_MADE */
	uint64_t rows_count; /* of the table */
	uint32_t *last;      /* owned: of each key the last request that was sent; 0: none */
	uint32_t
		*overtaken; /* owned: of each request how many were sent when it was acknowledged */
	uint32_t overtaken_cap;
	uint32_t sent;
};

/* What loads put: the rows of keys 0 to rows_count - 1. */
void ledger_init(struct ledger *ledger, const uint8_t *rows, uint64_t rows_count);
void ledger_fini(struct ledger *ledger);

/* Makes a request the next one: with these keys, and rows that say so. */
void ledger_send(struct ledger *ledger, struct put_request *request, const uint64_t *keys);
void ledger_send_random(struct ledger *ledger, struct put_request *request, uint64_t *state);
void ledger_acknowledge(struct ledger *ledger, uint32_t number);

/* Dies unless `row` is one that `key` may have now: the last one, or one whose request had not
 * been acknowledged when the last one was sent. Nothing is under way. */
void ledger_check(const struct ledger *ledger, uint64_t key, const uint8_t *row);

/* Asks for some thousand rows, half of them put at some time, and checks each. */
void ledger_check_reader(const struct ledger *ledger, const struct peer_kind *reader,
	const char *address);
/* Random keys, each second one of a row that was put. */
void ledger_draw(const struct ledger *ledger, uint64_t *keys, size_t count);

/* Dies unless `row` is one that `key` had at some time. `rows`: as loaded. */
void ledger_check_written(const uint8_t *rows, uint64_t key, const uint8_t *row);

#endif
