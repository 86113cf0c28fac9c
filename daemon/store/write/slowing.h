/* slowing.h - how fast writes may come while merges do not keep up, so that they are slowed and not stopped.
 *
 * A merge frees what it has frozen when that is written, and the next one begins when it has ended. Until then writers have
 * the room that there is beside what came since the cut. They get it at a rate at which it would last for what the merge
 * has still to go, and for half of all of it once more: so about two thirds of it are used when the next one begins, and a
 * merge that takes longer than was thought slows them further and stops nobody. The same holds until what was frozen is
 * free, for all the room that there is until then. How long a merge takes is told by what it has to write, and by what a
 * byte of each step has taken lately.
 *
 * That is so from the beginning of a merge on that came late, since the writers were faster than the one before it, until
 * nothing is left to merge; and wherever the memtables are crowded. Otherwise nobody is slowed. A single write that fills
 * so much of a bound makes a merge late, too.
 *
 * Threads: those of the merger are the merge's thread's; the others any.
 */
#ifndef DAEMON_STORE_WRITE_SLOWING_H
#define DAEMON_STORE_WRITE_SLOWING_H

#include "daemon/store/state/merge_steps.h"
#include "daemon/store/system/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	/* A merge is late that finds this fullness: it would have begun at FULLNESS_BEGIN. In thousandths of a bound. */
	SLOWING_LATE = 300,
	SLOWING_MERGE_MS = 100, /* no merge is thought to take less */
	SLOWING_NS_A_BYTE = 4,  /* what a byte is thought to take before one was written */
	SLOWING_CREDIT_MS = 50, /* so much may be made up for */
	/* A step of fewer bytes is mostly its syncs, and says nothing of what a byte takes. */
	SLOWING_LEARN_BYTES = 4 << 20,
};

struct slowing {
	atomic_bool is_behind;         /* merges do not keep up */
	_Atomic uint64_t began_ns;     /* when the merge began that runs; 0: none does */
	_Atomic uint64_t whole_ns;     /* what it is thought to take; or what the last one was */
	_Atomic uint64_t free_ns;      /* the same, until what it has frozen is free */
	_Atomic unsigned frozen;       /* thousandths of the bound that it has frozen */
	double ns_a_byte[MERGE_STEPS]; /* the merger's */
	struct lock lock;              /* guards the next; taken last */
	uint64_t used; /* bytes of the log that were written while writes were slowed */
	uint64_t paid; /* bytes that might have been by `at_ns` */
	uint64_t at_ns;
};

void slowing_init(struct slowing *slowing);
void slowing_fini(struct slowing *slowing);

/* ---- the merger's ---- */

/* A step has written so many bytes. */
void slowing_learn(struct slowing *slowing, enum merge_step step, uint64_t bytes, uint64_t took_ns);

void slowing_begin_merge(struct slowing *slowing, unsigned fullness, uint64_t now_ns);
/* It has so many bytes left to write, by the step. What is written as MERGE_STEP_DELTA and _BASE comes first, and then what was
 * frozen is free. */
void slowing_expect(struct slowing *slowing, const uint64_t left[MERGE_STEPS], uint64_t now_ns);
void slowing_end_merge(struct slowing *slowing);
/* Nothing is to be merged: merges have kept up. */
void slowing_rest(struct slowing *slowing);

/* Whether merges do not keep up, and so must hurry. */
static inline bool slowing_is_behind(const struct slowing *slowing)
{
	return atomic_load(&slowing->is_behind);
}

/* ---- the writers' ---- */

/* Bytes of the log a second; UINT64_MAX: as many as come.
 *   fullness   in thousandths of the nearest bound
 *   log_bytes  that have filled it so far */
uint64_t slowing_rate(const struct slowing *slowing, unsigned fullness, uint64_t log_bytes,
	uint64_t now_ns);

/* Counts bytes that were written, the last of which is the result. */
uint64_t slowing_use(struct slowing *slowing, uint64_t bytes, uint64_t rate, uint64_t now_ns);
/* How long whoever wrote them waits from now on, if the rate stays; 0: no longer. */
uint64_t slowing_wait_ns(struct slowing *slowing, uint64_t last, uint64_t rate, uint64_t now_ns);
/* Who wrote them waits no longer: then nobody else is to wait for them either. */
void slowing_forgive(struct slowing *slowing, uint64_t last);

#endif
