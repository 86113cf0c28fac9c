/* pace.c - a schedule by the bytes that were written, which is never far behind the clock. */
#include "daemon/store/merge/pace.h"

#include <assert.h>

void pace_begin(struct pace *pace, uint64_t rate, uint64_t now_ns)
{
	assert(rate > 0);
	*pace = (struct pace){.rate = rate, .paid_ns = now_ns};
}

uint64_t pace_add(struct pace *pace, uint64_t bytes, uint64_t now_ns)
{
	const uint64_t credit_ns = (uint64_t)PACE_CREDIT_MS * 1000000;
	pace->paid_ns += (uint64_t)((double)bytes / (double)pace->rate * 1e9);
	if (pace->paid_ns + credit_ns < now_ns) {
		pace->paid_ns = now_ns - credit_ns;
	}
	assert(pace->paid_ns + credit_ns >= now_ns);
	return pace->paid_ns;
}
