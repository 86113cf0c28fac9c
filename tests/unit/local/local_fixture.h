/* local_fixture.h - a store (method_fixture.h) and a reader of its folder in one process, which answer the same requests.
 *
 * The reader's path of the folder is spelt otherwise than the store's, so that what it opens is taken from its own
 * descriptor, below which nothing can be changed.
 */
#ifndef TESTS_UNIT_LOCAL_LOCAL_FIXTURE_H
#define TESTS_UNIT_LOCAL_LOCAL_FIXTURE_H

#include "daemon/local/local.h"
#include "tests/unit/method/method_fixture.h"

#include <pthread.h>

struct pair {
	struct world *world;
	char folder[80]; /* as the reader spells it */
	struct local *local;
	struct local_handle *handle;
	struct wire_writer request;
	struct wire_writer expected;
	pthread_rwlock_t calls; /* pair_calls_begin */
};

/* Fixtures of cmocka: *state is a struct pair with an open store that has the release "r1" of method_fixture.h, and no
 * reader. */
int pair_setup(void **state);
int pair_teardown(void **state);

void pair_close_store(struct pair *pair);
void pair_open_store(struct pair *pair);
enum status pair_try_open_store(struct pair *pair, struct error *err); /* store_open */
void pair_open(struct pair *pair, enum local_follow follow);
void pair_open_as(struct pair *pair, const struct local_options *options);
void pair_close(struct pair *pair); /* the reader */

/* Around each call of a thread other than the test's. A store's start forks, and with AddressSanitizer the child can
 * allocate nothing more if another thread was allocating just then: so there, calls wait while the store is opened. */
void pair_calls_begin(struct pair *pair);
void pair_calls_end(struct pair *pair);

/* Makes a request of the arguments since the last call (world_arg). */
void pair_request(struct pair *pair, const char *method);
/* What the store answers, and what the reader answers, until the next call of each. */
struct wire_bytes pair_ask_store(struct pair *pair);
struct wire_bytes pair_ask(struct pair *pair);
/* Both must be the same, byte for byte. */
void pair_expect_same(struct pair *pair, const char *method);
/* The reader must answer an error of this code, with this in the text. */
void pair_refuse(struct pair *pair, const char *method, const char *code, const char *text);

/* Puts rows of keys [from, from + count) into a table of "r1", all of this value; returns the sequence. */
uint64_t pair_put(struct pair *pair, const char *table, uint64_t from, uint32_t count, float value);
/* The same into table a of another release than "r1". */
uint64_t pair_put_to(struct pair *pair, const char *release, uint64_t from, uint32_t count,
	float value);
/* The same into tables a and b, in one write. */
uint64_t pair_put_both(struct pair *pair, uint64_t from, uint32_t count, float value);
/* Waits until the reader has applied a write. */
void pair_await(struct pair *pair, uint64_t sequence);
/* Waits until it has the release, tables and files that the store has now. */
void pair_await_current(struct pair *pair);
/* Merges what the store has in memory. */
void pair_merge(struct pair *pair);
/* A fetch of keys [from, from + count) of tables a and b, whose answers must be the same. */
void pair_expect_rows(struct pair *pair, uint64_t from, uint32_t count);
/* Waits until the answers to it are the same, where nobody says when they will be. */
void pair_await_rows(struct pair *pair, uint64_t from, uint32_t count);
void pair_expect_rows_of(struct pair *pair, const char *release, uint64_t from, uint32_t count);

/* Waits until the page of a store that was closed tells so. */
void pair_await_dead(const struct pair *pair);

#endif
