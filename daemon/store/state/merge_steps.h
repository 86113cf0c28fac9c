/* merge_steps.h - what merges have written since the start, by what it has become.
 *
 * A step writes the files of one table, or of one range of it, and swaps them in.
 *
 * Threads: one at a time counts; any reads.
 */
#ifndef DAEMON_STORE_STATE_MERGE_STEPS_H
#define DAEMON_STORE_STATE_MERGE_STEPS_H

#include <stdatomic.h>
#include <stdint.h>

enum merge_step {
	MERGE_STEP_DELTA,  /* what was written became a delta */
	MERGE_STEP_TIER,   /* a delta took in newer ones */
	MERGE_STEP_RANGE,  /* a range of the base took in what deltas had for it */
	MERGE_STEP_BASE,   /* all levels, and what was written, became a base */
	MERGE_STEP_REPAIR, /* a range that was damaged */
};
enum { MERGE_STEPS = MERGE_STEP_REPAIR + 1 };

struct merge_steps {
	struct {
		_Atomic uint64_t count; /* that succeeded, as the next */
		_Atomic uint64_t ns;    /* all together, with pauses */
		_Atomic uint64_t bytes; /* of segments, also of what has failed since */
	} of[MERGE_STEPS];
};

struct merge_step_figures {
	const char *name; /* as `stats` and the metrics say it */
	uint64_t count;
	uint64_t ns;
	uint64_t bytes;
};

void merge_steps_read(const struct merge_steps *steps, struct merge_step_figures out[MERGE_STEPS]);

#endif
