/* async_fixture.h - a client that waits for nothing, the event loop of a test, and what both expect.
 *
 * What a call here cannot do fails the test.
 */
#ifndef TESTS_UNIT_CLIENT_ASYNC_FIXTURE_H
#define TESTS_UNIT_CLIENT_ASYNC_FIXTURE_H

#include "repstore_async.h"
#include "tests/unit/client/fake_fetch.h"

enum { ASYNC_TIMEOUT_MS = 10000 };

/* Opens a client; calls time out after ten seconds unless the options say something else. */
rep_async *async_open_at(const char *address, struct rep_options options,
	struct rep_async_options more);
rep_async *async_open_usual(const char *address);

/* Polls and steps until a call has ended, and returns its ticket. */
uint64_t async_await(rep_async *async);

/* Begins a fetch of all that a part can bring, and a delete. */
uint64_t async_ask(rep_async *async, struct room *room);
uint64_t async_ask_write(rep_async *async);

/* The fetch has ended, with the rows of fake_fetch.h, or with an error that has `text` in it. */
void async_expect_rows(rep_async *async, uint64_t ticket);
void async_expect_error(rep_async *async, uint64_t ticket, enum rep_status status,
	const char *text);

/* Daemons: one answers fetches and deletes, one does so byte by byte, one late, one never. */
fake_answer answer_right;
fake_answer answer_slowly;
fake_answer answer_late; /* by more than a hedge waits at first */
fake_answer answer_nothing;

#endif
