/* test_turns.c - whose request is next, by what requests are expected to cost and have cost. */
#include "daemon/net/turns.h"
#include "tests/unit/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MEMBERS = 4, REQUESTS = 64, WAITING = 64 };

/* Requests are called by a letter of their member, and by the order in which each member asked. */
struct fixture {
	struct turns turns;
	struct turns_member members[MEMBERS];
	struct request requests[MEMBERS][REQUESTS];
	unsigned asked[MEMBERS];
	unsigned taken[MEMBERS];
};

static void init(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	assert_int_equal(turns_init(&fixture->turns, WAITING), STATUS_OK);
}

static bool ask(struct fixture *fixture, unsigned member, uint64_t cost_ns)
{
	struct request *request = &fixture->requests[member][fixture->asked[member]];
	request->cost_ns = cost_ns;
	if (!turns_push(&fixture->turns, &fixture->members[member], request)) {
		return false;
	}
	fixture->asked[member]++;
	return true;
}

static void ask_all(struct fixture *fixture, unsigned member, unsigned count, uint64_t cost_ns)
{
	for (unsigned i = 0; i < count; i++) {
		assert_true(ask(fixture, member, cost_ns));
	}
}

/* Takes a request; the number of its member, or MEMBERS when there is none. */
static unsigned take(struct fixture *fixture, enum turns_who who)
{
	struct turns_member *member;
	struct request *request = turns_take(&fixture->turns, who, &member);
	if (request == NULL) {
		return MEMBERS;
	}
	const unsigned number = (unsigned)(member - fixture->members);
	/* Those of a member come in its order. */
	assert_ptr_equal(request, &fixture->requests[number][fixture->taken[number]]);
	fixture->taken[number]++;
	return number;
}

/* Takes and runs one request after the other; each takes spent_ns[member]. Returns their members as
 * letters. */
static const char *run(struct fixture *fixture, unsigned count, const uint64_t *spent_ns)
{
	static char order[REQUESTS + 1];
	for (unsigned i = 0; i < count; i++) {
		const unsigned number = take(fixture, TURNS_ALL);
		order[i] = "abcd-"[number];
		order[i + 1] = '\0';
		if (number < MEMBERS) {
			const unsigned at = fixture->taken[number] - 1;
			turns_end(&fixture->turns, &fixture->members[number],
				fixture->requests[number][at].cost_ns, spent_ns[number]);
		}
	}
	return order;
}

static void members_take_turns(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 6, 10);
	ask_all(&fixture, 1, 2, 10);
	ask_all(&fixture, 2, 3, 10);
	assert_string_equal(run(&fixture, 12, spent_ns), "abcabcacaaa-");
	turns_fini(&fixture.turns);
}

static void who_costs_more_comes_more_rarely(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {40, 10, 0, 0};
	struct fixture fixture;
	(void)state;
	/* It is known before they run. */
	init(&fixture);
	ask_all(&fixture, 0, 3, 40);
	ask_all(&fixture, 1, 9, 10);
	assert_string_equal(run(&fixture, 12, spent_ns), "abbbbabbbbab");
	turns_fini(&fixture.turns);
	/* It is known at their end. */
	init(&fixture);
	ask_all(&fixture, 0, 3, 10);
	ask_all(&fixture, 1, 9, 10);
	assert_string_equal(run(&fixture, 12, spent_ns), "abbbbabbbbab");
	turns_fini(&fixture.turns);
}

/* Who has not asked for long is no further ahead than who has never asked. */
static void turns_that_were_not_taken_are_not_saved(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 10, 10);
	assert_string_equal(run(&fixture, 8, spent_ns), "aaaaaaaa");
	ask_all(&fixture, 1, 4, 10);
	assert_string_equal(run(&fixture, 6, spent_ns), "bababb");
	turns_fini(&fixture.turns);
}

/* A member that had all threads for an hour does not wait for an hour of others. */
static void debts_are_bounded(void **state)
{
	static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;
	static const uint64_t hours_ns[MEMBERS] = {UINT64_C(3600) * 1000000000, 0, 0, 0};
	static const uint64_t seconds_ns[MEMBERS] = {1, UINT64_C(1000000000), 0, 0};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 2, 1);
	assert_string_equal(run(&fixture, 1, hours_ns), "a");
	assert_true(fixture.members[0].next_ns < hour_ns);
	ask_all(&fixture, 1, 13, 1);
	assert_string_equal(run(&fixture, 14, seconds_ns), "bbbbbbbbbbabbb");
	turns_fini(&fixture.turns);
}

static void only_members_of_which_none_runs(void **state)
{
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 3, 10);
	assert_int_equal(take(&fixture, TURNS_IDLE), 0);
	assert_int_equal(take(&fixture, TURNS_IDLE), MEMBERS);
	ask_all(&fixture, 1, 2, 10);
	assert_int_equal(take(&fixture, TURNS_IDLE), 1);
	assert_int_equal(take(&fixture, TURNS_IDLE), MEMBERS);
	turns_end(&fixture.turns, &fixture.members[0], 10, 1000);
	assert_int_equal(take(&fixture, TURNS_IDLE), 0);
	assert_int_equal(take(&fixture, TURNS_ALL), 1);
	assert_int_equal(take(&fixture, TURNS_ALL), 0);
	assert_int_equal(take(&fixture, TURNS_ALL), MEMBERS);
	turns_end(&fixture.turns, &fixture.members[0], 10, 10);
	turns_end(&fixture.turns, &fixture.members[0], 10, 10);
	turns_end(&fixture.turns, &fixture.members[1], 10, 10);
	turns_end(&fixture.turns, &fixture.members[1], 10, 10);
	turns_fini(&fixture.turns);
}

static void requests_are_withdrawn(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 3, 10);
	ask_all(&fixture, 1, 1, 10);
	struct turns_member *members = fixture.members;
	struct request(*requests)[REQUESTS] = fixture.requests;
	assert_true(turns_withdraw(&fixture.turns, &members[0], &requests[0][2]));
	assert_false(turns_withdraw(&fixture.turns, &members[0], &requests[0][2]));
	assert_false(turns_withdraw(&fixture.turns, &members[0], &requests[1][0]));
	assert_true(turns_withdraw(&fixture.turns, &members[1], &requests[1][0]));
	assert_int_equal(fixture.turns.waiting, 2);
	assert_string_equal(run(&fixture, 3, spent_ns), "aa-");
	/* The first of two: the second takes its place. */
	fixture.asked[1] = 0;
	ask_all(&fixture, 1, 2, 10);
	assert_true(turns_withdraw(&fixture.turns, &members[1], &requests[1][0]));
	fixture.taken[1] = 1;
	assert_string_equal(run(&fixture, 2, spent_ns), "b-");
	turns_fini(&fixture.turns);
}

static void so_many_may_wait(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	/* One alone has half of the places, and two have a third each. */
	ask_all(&fixture, 0, WAITING / 2, 10);
	assert_false(ask(&fixture, 0, 10));
	ask_all(&fixture, 1, WAITING / 4, 10);
	assert_false(ask(&fixture, 1, 10));
	(void)run(&fixture, 2 * (WAITING / 2 - WAITING / 3), spent_ns);
	while (ask(&fixture, 1, 10)) {
	}
	assert_false(ask(&fixture, 0, 10));
	assert_in_range(fixture.members[0].queue.count, WAITING / 3 - 1, WAITING / 3 + 1);
	assert_in_range(fixture.members[1].queue.count, WAITING / 3 - 1, WAITING / 3 + 1);
	/* So others find places. */
	ask_all(&fixture, 2, WAITING / 6, 10);
	ask_all(&fixture, 3, WAITING / 12, 10);
	const size_t waiting = fixture.turns.waiting;
	assert_in_range(waiting, WAITING * 3 / 4, WAITING);
	assert_int_equal(strspn(run(&fixture, WAITING, spent_ns), "abcd"), waiting);
	assert_int_equal(fixture.turns.waiting, 0);
	turns_fini(&fixture.turns);
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	for (size_t skip = 0; skip < 2; skip++) {
		struct turns turns;
		alloc_fail_arm(skip);
		assert_int_equal(turns_init(&turns, WAITING), STATUS_NO_MEMORY);
		assert_true(alloc_fail_disarm());
		turns_fini(&turns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_take_turns),
		cmocka_unit_test(who_costs_more_comes_more_rarely),
		cmocka_unit_test(turns_that_were_not_taken_are_not_saved),
		cmocka_unit_test(debts_are_bounded),
		cmocka_unit_test(only_members_of_which_none_runs),
		cmocka_unit_test(requests_are_withdrawn),
		cmocka_unit_test(so_many_may_wait),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
