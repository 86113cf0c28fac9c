/* loop_count.c - counts calls and how long they took, on the thread of their loop, which alone changes
 * the counters: so no instruction is locked. */
#include "daemon/net/loop.h"

#include "daemon/method/call/method.h"

#include <assert.h>

static struct method_counts *counts_of(struct loop *loop, const struct method *method)
{
	loop_assert_here(loop);
	const size_t i = method == NULL ? method_count : (size_t)(method - method_table);
	assert(i <= method_count);
	return &loop->figures.methods[i];
}

void loop_count_call(struct loop *loop, const struct method *method, enum status status)
{
	struct method_counts *counts = counts_of(loop, method);
	struct loop_answered *answered = &loop->answered;
	assert(status < STATUS_COUNT);
	counter_add(&counts->codes[status], 1);
	if (answered->count < LOOP_ANSWERED_MAX) {
		answered->methods[answered->count++] = (uint16_t)(counts - loop->figures.methods);
	}
}

void loop_count_sent(struct loop *loop, uint64_t read_ns, uint64_t now_ns)
{
	struct loop_answered *answered = &loop->answered;
	if (answered->count == 0) {
		return;
	}
	const uint64_t ns = now_ns - read_ns;
	const unsigned bucket = histogram_bucket(ns, HISTOGRAM_SHORT_NS);
	for (unsigned i = 0; i < answered->count; i++) {
		struct histogram *times = &loop->figures.methods[answered->methods[i]].times;
		counter_add(&times->counts[bucket], 1);
		counter_add(&times->sum, ns);
	}
	answered->count = 0;
}

void loop_count_away(struct loop *loop, const struct method *method)
{
	counter_add(&counts_of(loop, method)->away, 1);
}

void loop_count_back(struct loop *loop, const struct request *request, uint64_t now_ns)
{
	struct method_counts *counts = counts_of(loop, request->question.method);
	assert(counter_read(&counts->away) > 0);
	assert(request->status < STATUS_COUNT);
	counter_add(&counts->away, UINT64_MAX);
	counter_add(&counts->codes[request->status], 1);
	histogram_add(&counts->times, now_ns - request->read_ns, HISTOGRAM_SHORT_NS);
}
