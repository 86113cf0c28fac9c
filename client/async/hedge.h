/* hedge.h - when a read is sent to a second daemon too, and how often that may be.
 *
 * A read that has waited longer than 95 of 100 reads did is asked of another daemon as well, and the first
 * answer counts. That cuts off the slow tail of a daemon that stalls, at the cost of the reads that are
 * asked twice: a budget bounds them.
 *
 * Source: Dean and Barroso, The Tail at Scale, CACM 56 (2013), "hedged requests".
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_ASYNC_HEDGE_H
#define CLIENT_ASYNC_HEDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HEDGE_SAMPLES = 1024, /* the last ones are remembered */
	HEDGE_FLOOR_US = 200,
	HEDGE_SILENT_MAX = 3,
};

struct hedge {
	uint32_t samples[HEDGE_SAMPLES]; /* us, of reads; a ring */
	uint64_t count;
	int64_t floor_us;
	int64_t delay_us; /* how long a read waits first */
	double share;     /* of all reads */
	double budget;    /* hedges that may be made now */
	/* The second daemon did not answer so many hedges in a row, and is left alone. */
	unsigned silent;
	int64_t rest_us;
	int64_t rests_until_us;
};

/* share 0: a twentieth. floor_us 0: 200. */
void hedge_init(struct hedge *hedge, double share, unsigned floor_us);

/* A read begins: the budget grows. */
void hedge_note_read(struct hedge *hedge);

/* A read was answered by the daemon that was asked first, after so long. */
void hedge_note_latency(struct hedge *hedge, int64_t us);

/* When the next hedge may be made: now, when the rest of the second daemon is over, or, without a budget, not
 * before another read begins. */
int64_t hedge_ready_us(const struct hedge *hedge);

/* One is made: the budget pays for it. */
void hedge_take(struct hedge *hedge);

/* The second daemon was heard; or a hedge of it ended without that. True: it rests from now on. */
void hedge_note_heard(struct hedge *hedge);
bool hedge_note_silent(struct hedge *hedge, int64_t now_us);

#endif
