/* cost.h - what a call costs: the account that each step of a method is charged to before it runs.
 *
 *   call_charge -> OK: run the step
 *               -> AGAIN: on a loop, and all steps together would take too long there
 *               -> TOO_LARGE: it would take too long anywhere
 *
 * A cost is an estimate in nanoseconds of a thread, made of counts that are known beforehand. Where a
 * count cannot be known, the largest that is possible stands for it. The constants here, and those of
 * daemon/search/expect.h for reading rows and searching, were measured on a processor with AVX2 and
 * then taken about twice, because caches are cold at times.
 *
 * Threads: one at a time: the one that runs the call.
 */
#ifndef DAEMON_METHOD_CALL_COST_H
#define DAEMON_METHOD_CALL_COST_H

#include "schema/limits.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct call;

enum cost_step {
	COST_REQUEST, /* parsing it */
	COST_KEYS,    /* unpacking lists of keys, and sets of them */
	COST_QUERIES, /* converting query vectors */
	COST_LAYERS,  /* taking rows through stored layers */
	COST_ROWS,    /* looking rows up and writing them */
	COST_SCORES,  /* comparing rows with queries */
	COST_SEARCH,  /* it has a deadline of its own, so only a loop bounds it */
	COST_HITS,    /* sorting and writing what a search has found */
	COST_LIST,    /* the entries of a list */
	COST_STEPS
};

enum {
	COST_ELEMENT_NS = 25,  /* one element of a message: 7 to 10 measured */
	COST_PART_NS = 1000,   /* a map of params, its names compared and its table found */
	COST_SET_KEY_NS = 100, /* a key goes into a set: 12 to 17, 70 if it has 255 bytes */
	COST_ENTRY_NS = 50,    /* one entry of a map of a list */
	COST_TABLE_NS = 20,    /* one table or tensor is looked at */
	COST_SEGMENT_NS = 10,  /* the state of one segment is looked at */
};

/* Zeroed, nothing was charged. */
struct cost {
	uint64_t sum_ns;
	uint64_t keys;   /* in all lists of the call */
	bool is_crowded; /* on a loop: other connections have had much of its turn already */
	bool is_over;    /* on a loop: its steps would take too long there */
	uint64_t ns[COST_STEPS];
};

/* That of a call whose message has so many elements. turn_ns: how long the turn of its loop has taken
 * until now; 0 elsewhere. */
static inline struct cost cost_begin(uint32_t elements, uint64_t turn_ns)
{
	const uint64_t ns = (uint64_t)elements * COST_ELEMENT_NS;
	return (struct cost){
		.sum_ns = ns,
		.is_crowded = turn_ns >= LIMIT_TURN_NS,
		.ns[COST_REQUEST] = ns,
	};
}

/* Adds a step to the account of the call; it must not run unless this is OK. */
enum status call_charge(struct call *call, enum cost_step step, uint64_t ns);

/* Adds keys that the call was given to those of its other lists. Errors: TOO_LARGE  they are more than the setting
 * request_keys; call->error is set. */
enum status call_take_keys(struct call *call, uint64_t count);

/* How much longer the call may run where it is; UINT64_MAX unless that is a loop. */
uint64_t call_left_ns(const struct call *call);

#endif
