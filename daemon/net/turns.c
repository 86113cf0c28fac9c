/* turns.c - start-time fair queuing on two levels, each with a heap of those that run nothing and one
 * of the others. */
#include "daemon/net/turns.h"

#include <assert.h>

/* ---- one level ---- */

/* To be called after anything of a place has changed that orders it; `leave` was called before. */
static void place_enter(struct turns_level *level, struct turns_place *place, bool is_idle)
{
	if (place->waiting > 0) {
		place->node.key = place->next_ns;
		heap_push(is_idle ? &level->idle : &level->busy, &place->node);
	}
}

static void place_count_waiting(struct turns_level *level, struct turns_place *place)
{
	if (place->waiting++ == 0) {
		place->node.order = level->arrivals++;
		if (place->next_ns < level->now_ns) {
			place->next_ns = level->now_ns;
		}
	}
}

static void place_drop_waiting(struct turns_place *place)
{
	assert(place->waiting > 0);
	place->waiting--;
}

static void place_begin(struct turns_level *level, struct turns_place *place, uint64_t cost_ns)
{
	place_drop_waiting(place);
	if (level->now_ns < place->next_ns) {
		level->now_ns = place->next_ns;
	}
	place->running++;
	place->next_ns += cost_ns;
	place->node.order = level->arrivals++;
}

static void place_end(const struct turns_level *level, struct turns_place *place, uint64_t cost_ns,
	uint64_t spent_ns)
{
	assert(place->running > 0);
	assert(place->next_ns >= cost_ns);
	place->running--;
	place->next_ns += spent_ns - cost_ns;
	if (place->next_ns > level->now_ns + TURNS_DEBT_MAX_NS) {
		place->next_ns = level->now_ns + TURNS_DEBT_MAX_NS;
	}
}

static struct turns_place *first_of(const struct turns_level *level, enum turns_who who)
{
	struct heap_node *idle = heap_first(&level->idle);
	struct heap_node *busy = who == TURNS_ALL ? heap_first(&level->busy) : NULL;
	struct heap_node *first = idle;
	if (idle == NULL || (busy != NULL && heap_is_before(busy, idle))) {
		first = busy;
	}
	return first != NULL ? HEAP_OWNER(first, struct turns_place, node) : NULL;
}

/* ---- both levels ---- */

/* To be called before anything of a member changes, and then `enter`. */
static void leave(struct turns_member *member)
{
	heap_remove(&member->place.node);
	heap_remove(&member->user->place.node);
}

static void enter(struct turns *turns, struct turns_member *member)
{
	struct turns_user *user = member->user;
	assert(member->place.waiting == member->queue.count);
	place_enter(&user->members, &member->place, member->place.running == 0);
	const bool is_idle =
		user->place.running < turns->running_max && heap_first(&user->members.idle) != NULL;
	place_enter(&turns->users, &user->place, is_idle);
}

static bool has_room(const struct turns *turns, const struct turns_member *member)
{
	assert(turns->waiting <= turns->waiting_max);
	const size_t most = 2 * (turns->waiting_max - turns->waiting);
	const unsigned of_user = member->user->place.waiting;
	return of_user < most && member->place.waiting < most - of_user;
}

bool turns_push(struct turns *turns, struct turns_member *member, struct request *request)
{
	if (!has_room(turns, member)) {
		return false;
	}
	leave(member);
	request_queue_push(&member->queue, request);
	turns->waiting++;
	place_count_waiting(&member->user->members, &member->place);
	place_count_waiting(&turns->users, &member->user->place);
	enter(turns, member);
	return true;
}

bool turns_has(const struct turns *turns, enum turns_who who)
{
	return first_of(&turns->users, who) != NULL;
}

struct request *turns_take(struct turns *turns, enum turns_who who, struct turns_member **out)
{
	struct turns_place *first = first_of(&turns->users, who);
	if (first == NULL) {
		return NULL;
	}
	struct turns_user *user = HEAP_OWNER(first, struct turns_user, place);
	struct turns_member *member =
		HEAP_OWNER(first_of(&user->members, who), struct turns_member, place);
	leave(member);
	struct request *request = request_queue_pop(&member->queue);
	assert(request != NULL && turns->waiting > 0);
	turns->waiting--;
	place_begin(&user->members, &member->place, request->cost_ns);
	place_begin(&turns->users, &user->place, request->cost_ns);
	enter(turns, member);
	*out = member;
	return request;
}

void turns_end(struct turns *turns, struct turns_member *member, uint64_t cost_ns,
	uint64_t spent_ns)
{
	struct turns_user *user = member->user;
	leave(member);
	place_end(&user->members, &member->place, cost_ns, spent_ns);
	place_end(&turns->users, &user->place, cost_ns, spent_ns);
	enter(turns, member);
}

bool turns_withdraw(struct turns *turns, struct turns_member *member, struct request *request)
{
	if (!request_queue_remove(&member->queue, request)) {
		return false;
	}
	assert(turns->waiting > 0);
	turns->waiting--;
	leave(member);
	place_drop_waiting(&member->place);
	place_drop_waiting(&member->user->place);
	enter(turns, member);
	return true;
}
