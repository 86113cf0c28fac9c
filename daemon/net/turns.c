/* turns.c - start-time fair queuing, with a heap of those that run nothing and one of the others. */
#include "daemon/net/turns.h"

#include <assert.h>

enum status turns_init(struct turns *turns, size_t waiting_max)
{
	*turns = (struct turns){.waiting_max = waiting_max};
	enum status status = heap_reserve(&turns->idle, waiting_max);
	if (status == STATUS_OK) {
		status = heap_reserve(&turns->busy, waiting_max);
	}
	return status;
}

void turns_fini(struct turns *turns)
{
	assert(turns->waiting == 0);
	heap_fini(&turns->idle);
	heap_fini(&turns->busy);
}

static struct heap *heap_of(struct turns *turns, const struct turns_member *member)
{
	return member->running == 0 ? &turns->idle : &turns->busy;
}

/* To be called before `running`, `next_ns` or the queue of a member change, and then `enter`. */
static void leave(struct turns *turns, struct turns_member *member)
{
	heap_remove(heap_of(turns, member), &member->node);
}

static void enter(struct turns *turns, struct turns_member *member)
{
	if (member->queue.count > 0) {
		member->node.key = member->next_ns;
		heap_push(heap_of(turns, member), &member->node);
	}
}

bool turns_push(struct turns *turns, struct turns_member *member, struct request *request)
{
	assert(turns->waiting <= turns->waiting_max);
	if (member->queue.count >= turns->waiting_max - turns->waiting) {
		return false;
	}
	request_queue_push(&member->queue, request);
	turns->waiting++;
	if (member->queue.count == 1) {
		if (member->next_ns < turns->now_ns) {
			member->next_ns = turns->now_ns;
		}
		member->node.order = turns->arrivals++;
		enter(turns, member);
	}
	return true;
}

static struct heap_node *first_of(const struct turns *turns, enum turns_who who)
{
	struct heap_node *idle = heap_first(&turns->idle);
	struct heap_node *busy = who == TURNS_ALL ? heap_first(&turns->busy) : NULL;
	if (idle == NULL || busy == NULL) {
		return idle != NULL ? idle : busy;
	}
	return heap_is_before(busy, idle) ? busy : idle;
}

struct request *turns_take(struct turns *turns, enum turns_who who, struct turns_member **out)
{
	struct heap_node *first = first_of(turns, who);
	if (first == NULL) {
		return NULL;
	}
	struct turns_member *member = HEAP_OWNER(first, struct turns_member, node);
	leave(turns, member);
	struct request *request = request_queue_pop(&member->queue);
	assert(request != NULL && turns->waiting > 0);
	turns->waiting--;
	if (turns->now_ns < member->next_ns) {
		turns->now_ns = member->next_ns;
	}
	member->running++;
	member->next_ns += request->cost_ns;
	member->node.order = turns->arrivals++;
	enter(turns, member);
	*out = member;
	return request;
}

void turns_end(struct turns *turns, struct turns_member *member, uint64_t cost_ns,
	uint64_t spent_ns)
{
	assert(member->running > 0);
	leave(turns, member);
	member->running--;
	assert(member->next_ns >= cost_ns);
	member->next_ns += spent_ns - cost_ns;
	if (member->next_ns > turns->now_ns + TURNS_DEBT_MAX_NS) {
		member->next_ns = turns->now_ns + TURNS_DEBT_MAX_NS;
	}
	enter(turns, member);
}

bool turns_withdraw(struct turns *turns, struct turns_member *member, struct request *request)
{
	if (!request_queue_remove(&member->queue, request)) {
		return false;
	}
	assert(turns->waiting > 0);
	turns->waiting--;
	if (member->queue.count == 0) {
		leave(turns, member);
	}
	return true;
}
