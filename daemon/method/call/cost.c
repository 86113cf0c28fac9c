/* cost.c - adds up what a call costs, and compares it with what a loop, and a thread, may spend. */
#include "daemon/method/call/cost.h"

#include <assert.h>
#include <inttypes.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/service.h"
#include "schema/limits.h"

enum { NS_PER_MS = 1000000 };

/* More than a call can take. It ends with the first step that takes so long, so sums do not overflow. */
static const uint64_t endless_ns = UINT64_C(1) << 56;

static const char *step_text(enum cost_step step)
{
	switch (step) {
	case COST_REQUEST:
		return "its parse";
	case COST_KEYS:
		return "lists of keys";
	case COST_QUERIES:
		return "query vectors";
	case COST_LAYERS:
		return "stored layers";
	case COST_ROWS:
		return "rows";
	case COST_SCORES:
		return "scores";
	case COST_HITS:
		return "what is found";
	case COST_SEARCH:
	case COST_LIST:
	case COST_STEPS:
		break;
	}
	return "its list";
}

static enum status refuse(struct call *call, uint64_t sum, unsigned most_ms)
{
	const struct cost *cost = &call->cost;
	enum cost_step most = COST_REQUEST;
	for (unsigned step = 0; step < COST_STEPS; step++) {
		if (step != COST_SEARCH && cost->ns[step] > cost->ns[most]) {
			most = (enum cost_step)step;
		}
	}
	return error_set(&call->error, STATUS_TOO_LARGE,
		"the request would take about %" PRIu64 " ms of a thread (%" PRIu64
		" ms for %s), at most %u allowed (request_work); ask for less at once",
		sum / NS_PER_MS, cost->ns[most] / NS_PER_MS, step_text(most), most_ms);
}

/* What a loop may spend on the call. */
static uint64_t inline_ns(const struct cost *cost)
{
	return cost->is_crowded ? LIMIT_INLINE_NS / 4 : LIMIT_INLINE_NS;
}

enum status call_charge(struct call *call, enum cost_step step, uint64_t ns)
{
	assert(step < COST_STEPS);
	struct cost *cost = &call->cost;
	const uint64_t more = ns < endless_ns ? ns : endless_ns;
	cost->ns[step] += more;
	cost->sum_ns += more;
	if (cost->sum_ns <= inline_ns(cost)) {
		return STATUS_OK;
	}
	const uint64_t bounded = cost->sum_ns - cost->ns[COST_SEARCH];
	const unsigned most_ms = call->service->request_work_ms;
	if (bounded > (uint64_t)most_ms * NS_PER_MS) {
		return refuse(call, bounded, most_ms);
	}
	cost->is_over = !call->may_block;
	return call->may_block ? STATUS_OK : STATUS_AGAIN;
}

enum status call_take_keys(struct call *call, uint64_t count)
{
	const uint64_t most = call->service->request_keys;
	call->cost.keys += count;
	return call->cost.keys <= most ? STATUS_OK
				       : error_set(&call->error, STATUS_TOO_LARGE,
						 "keys: %" PRIu64 " in all lists, at most %" PRIu64
						 " allowed in one request (request_keys)",
						 call->cost.keys, most);
}

uint64_t call_left_ns(const struct call *call)
{
	const uint64_t sum = call->cost.sum_ns;
	const uint64_t most = inline_ns(&call->cost);
	if (call->may_block) {
		return UINT64_MAX;
	}
	return sum < most ? most - sum : 0;
}
