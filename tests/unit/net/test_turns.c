/* test_turns.c - whose request is next, by what requests are expected to cost and have cost. */
#include "daemon/net/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MEMBERS = 5, REQUESTS = 128, WAITING = 128, RUNNING = 3 };

/* Requests are called by a letter of their member, and by the order in which each member asked. Each
 * member is a user of its own, unless make_one() has made some of them one. */
struct fixture {
	struct turns turns;
	struct turns_user users[MEMBERS];
	struct turns_member members[MEMBERS];
	struct request requests[MEMBERS][REQUESTS];
	unsigned asked[MEMBERS];
	unsigned taken[MEMBERS];
};

static void init(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	fixture->turns.waiting_max = WAITING;
	fixture->turns.running_max = RUNNING;
	for (unsigned i = 0; i < MEMBERS; i++) {
		fixture->members[i].user = &fixture->users[i];
	}
}

/* Members [0, count) are of the first user. */
static void make_one(struct fixture *fixture, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fixture->members[i].user = &fixture->users[0];
	}
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
		order[i] = "abcde-"[number];
		order[i + 1] = '\0';
		if (number < MEMBERS) {
			const unsigned at = fixture->taken[number] - 1;
			turns_end(&fixture->turns, &fixture->members[number],
				fixture->requests[number][at].cost_ns, spent_ns[number]);
		}
	}
	return order;
}

/* Of one user, or of several. */
static void members_take_turns(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	for (unsigned of_one = 0; of_one <= MEMBERS; of_one += MEMBERS) {
		init(&fixture);
		make_one(&fixture, of_one);
		ask_all(&fixture, 0, 6, 10);
		ask_all(&fixture, 1, 2, 10);
		ask_all(&fixture, 2, 3, 10);
		assert_string_equal(run(&fixture, 12, spent_ns), "abcabcacaaa-");
		assert_int_equal(fixture.turns.waiting, 0);
	}
}

/* A user has no more for asking on three connections: a, b and c against d. */
static void users_take_turns(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	make_one(&fixture, 3);
	for (unsigned i = 0; i < 3; i++) {
		ask_all(&fixture, i, 3, 10);
	}
	ask_all(&fixture, 3, 5, 10);
	assert_string_equal(run(&fixture, 15, spent_ns), "adbdcdadbdcabc-");
	assert_int_equal(fixture.turns.waiting, 0);
}

/* What one of its connections has used, the others of a user pay for; and among them it comes last. */
static void what_was_used_counts_for_the_user(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {40, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	make_one(&fixture, 3);
	ask_all(&fixture, 0, 2, 10);
	ask_all(&fixture, 1, 2, 10);
	ask_all(&fixture, 3, 6, 10);
	assert_string_equal(run(&fixture, 11, spent_ns), "addddbdbda-");
	assert_int_equal(fixture.turns.waiting, 0);
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
	assert_int_equal(fixture.turns.waiting, 0);
	/* It is known at their end. */
	init(&fixture);
	ask_all(&fixture, 0, 3, 10);
	ask_all(&fixture, 1, 9, 10);
	assert_string_equal(run(&fixture, 12, spent_ns), "abbbbabbbbab");
	assert_int_equal(fixture.turns.waiting, 0);
}

/* Who has not asked for long is no further ahead than who has never asked. */
static void turns_that_were_not_taken_are_not_saved(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	ask_all(&fixture, 0, 10, 10);
	assert_string_equal(run(&fixture, 8, spent_ns), "aaaaaaaa");
	ask_all(&fixture, 1, 4, 10);
	assert_string_equal(run(&fixture, 6, spent_ns), "bababb");
	assert_int_equal(fixture.turns.waiting, 0);
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
	assert_true(fixture.members[0].place.next_ns < hour_ns);
	ask_all(&fixture, 1, 13, 1);
	assert_string_equal(run(&fixture, 14, seconds_ns), "bbbbbbbbbbabbb");
	assert_int_equal(fixture.turns.waiting, 0);
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
	assert_int_equal(fixture.turns.waiting, 0);
}

/* Four connections of one user, and one of another. */
static void a_user_that_runs_much_makes_way(void **state)
{
	struct fixture fixture;
	(void)state;
	init(&fixture);
	make_one(&fixture, 4);
	for (unsigned i = 0; i < 4; i++) {
		ask_all(&fixture, i, 1, 10);
	}
	for (unsigned i = 0; i < RUNNING; i++) {
		assert_int_equal(take(&fixture, TURNS_IDLE), i);
	}
	assert_false(turns_has(&fixture.turns, TURNS_IDLE));
	assert_int_equal(take(&fixture, TURNS_IDLE), MEMBERS);
	ask_all(&fixture, 4, 1, 10);
	assert_int_equal(take(&fixture, TURNS_IDLE), 4);
	/* It is next where nobody need make way, and where it runs less again. */
	assert_true(turns_has(&fixture.turns, TURNS_ALL));
	turns_end(&fixture.turns, &fixture.members[1], 10, 10);
	assert_int_equal(take(&fixture, TURNS_IDLE), 3);
	assert_int_equal(fixture.turns.waiting, 0);
	static const unsigned ends[] = {0, 2, 3, 4};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		turns_end(&fixture.turns, &fixture.members[ends[i]], 10, 10);
	}
}

static void requests_are_withdrawn(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10, 10};
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
	assert_int_equal(fixture.turns.waiting, 0);
}

static unsigned ask_until_refused(struct fixture *fixture, unsigned member)
{
	unsigned count = 0;
	while (ask(fixture, member, 10)) {
		count++;
	}
	return count;
}

static void so_many_may_wait(void **state)
{
	static const uint64_t spent_ns[MEMBERS] = {10, 10, 10, 10, 10};
	struct fixture fixture;
	(void)state;
	init(&fixture);
	make_one(&fixture, 3);
	/* One connection alone has half of the places, and its user two thirds at most. */
	assert_int_equal(ask_until_refused(&fixture, 0), WAITING / 2);
	assert_in_range(ask_until_refused(&fixture, 1), WAITING / 12, WAITING / 6);
	assert_in_range(ask_until_refused(&fixture, 2), 1, WAITING / 12);
	assert_in_range(fixture.turns.waiting, WAITING * 5 / 8, WAITING * 2 / 3 + 1);
	/* So others find places, */
	assert_in_range(ask_until_refused(&fixture, 3), WAITING / 6, WAITING / 3);
	/* and have as many as they when these have gone. */
	(void)run(&fixture, REQUESTS / 2, spent_ns);
	while (ask(&fixture, 3, 10) || ask(&fixture, 0, 10) || ask(&fixture, 1, 10)) {
	}
	const unsigned of_one = fixture.users[0].place.waiting;
	assert_in_range(fixture.users[3].place.waiting, of_one / 2, of_one * 2);
	const size_t waiting = fixture.turns.waiting;
	assert_in_range(waiting, WAITING * 3 / 4, WAITING);
	assert_int_equal(strspn(run(&fixture, WAITING, spent_ns), "abcd"), waiting);
	assert_int_equal(fixture.turns.waiting, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_take_turns),
		cmocka_unit_test(users_take_turns),
		cmocka_unit_test(what_was_used_counts_for_the_user),
		cmocka_unit_test(who_costs_more_comes_more_rarely),
		cmocka_unit_test(turns_that_were_not_taken_are_not_saved),
		cmocka_unit_test(debts_are_bounded),
		cmocka_unit_test(only_members_of_which_none_runs),
		cmocka_unit_test(a_user_that_runs_much_makes_way),
		cmocka_unit_test(requests_are_withdrawn),
		cmocka_unit_test(so_many_may_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
