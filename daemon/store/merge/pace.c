/* pace.c - a schedule that follows what was written, and the clock from not too far behind. */
#include "daemon/store/merge/pace.h"

void pace_begin(struct pace *pace, uint64_t rate, uint64_t now_ns)
{
	*pace = (struct pace){.rate = rate, .paid_ns = now_ns};
}

uint64_t pace_add(struct pace *pace, uint64_t bytes, uint64_t now_ns)
{
	const uint64_t credit_ns = (uint64_t)PACE_CREDIT_MS * 1000000;
	pace->paid_ns += (uint64_t)((double)bytes / (double)pace->rate * 1e9);
	if (pace->paid_ns + credit_ns < now_ns) {
		pace->paid_ns = now_ns - credit_ns;
	}
	return pace->paid_ns;
}
