/* reply_reserve.c - takes the size of a reply from the budget of replies. */
#include "daemon/net/reply_reserve.h"

#include "daemon/method/call/answer.h"
#include "daemon/net/budget.h"

#include <assert.h>

enum status reply_reserve(struct budget_holder *replies, const struct rpc_head *head,
	struct wire_writer *out, size_t start, size_t *reserved)
{
	assert(start <= out->len);
	size_t len = out->len - start;
	*reserved = 0;
	if (len <= REPLY_FREE_BYTES) {
		return STATUS_OK;
	}
	if (budget_take(replies, len)) {
		*reserved = len;
		return STATUS_OK;
	}
	struct error err;
	error_set(&err, STATUS_BUSY,
		"replies that were not yet read hold %zu of %zu bytes, %zu of them this "
		"connection's; a reply of %zu has to wait",
		budget_used(replies->budget), replies->budget->limit,
		(size_t)atomic_load_explicit(&replies->used, memory_order_relaxed), len);
	answer_error(head, &err, out, start);
	return STATUS_BUSY;
}
