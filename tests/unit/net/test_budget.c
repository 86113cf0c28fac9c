/* test_budget.c - what one connection and one user get of a budget, and when. */
#include "daemon/net/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 1000, KEPT = 100, WHOLE = 200 };

/* Two users with two connections each; the first user is the daemon's own. */
struct fixture {
	struct budget budget;
	struct budget_user users[2];
	struct budget_holder holders[4];
};

static void init(struct fixture *fixture)
{
	*fixture = (struct fixture){.budget = {.limit = LIMIT, .whole = WHOLE}};
	for (unsigned i = 0; i < 4; i++) {
		fixture->holders[i].budget = &fixture->budget;
		fixture->holders[i].user = &fixture->users[i / 2];
		fixture->holders[i].own = i / 2 == 0;
	}
}

/* Gives all back: every count is then 0. */
static void fini(struct fixture *fixture)
{
	for (unsigned i = 0; i < 4; i++) {
		budget_give(&fixture->holders[i], atomic_load(&fixture->holders[i].used));
		budget_wait_over(&fixture->holders[i]);
		budget_follow(&fixture->holders[i]);
	}
	assert_int_equal(budget_used(&fixture->budget), 0);
	assert_int_equal(budget_waiting(&fixture->budget), 0);
	assert_int_equal(atomic_load(&fixture->users[0].used), 0);
	assert_int_equal(atomic_load(&fixture->users[1].used), 0);
}

/* Takes byte by byte until no more is given, and returns how many it holds then. */
static size_t take_all(struct budget_holder *holder)
{
	while (budget_take(holder, 1)) {
	}
	return atomic_load(&holder->used);
}

static void one_alone_gets_three_quarters(void **state)
{
	struct fixture fixture;
	(void)state;
	init(&fixture);
	assert_int_equal(take_all(&fixture.holders[0]), LIMIT * 3 / 4);
	assert_false(budget_take(&fixture.holders[0], 1));
	/* What is left is for others. A user below a half gets a quarter for a connection. */
	assert_int_equal(take_all(&fixture.holders[2]), LIMIT / 4);
	assert_int_equal(budget_used(&fixture.budget), LIMIT);
	assert_false(budget_take(&fixture.holders[3], 1));
	fini(&fixture);
}

static void shares_bind_while_others_wait(void **state)
{
	struct fixture fixture;
	struct budget_holder *holders = fixture.holders;
	(void)state;
	init(&fixture);
	assert_true(budget_take(&holders[0], LIMIT / 4));
	assert_true(budget_take(&holders[0], 1));
	budget_give(&holders[0], 1);

	/* That it waits itself binds nobody. */
	budget_wait(&holders[0]);
	budget_wait(&holders[0]);
	assert_int_equal(budget_waiting(&fixture.budget), 1);
	assert_true(budget_take(&holders[0], 1));
	budget_give(&holders[0], 1);
	budget_wait_over(&holders[0]);

	/* Another connection of the user: a quarter for each connection, the user has all. */
	budget_wait(&holders[1]);
	assert_false(budget_take(&holders[0], 1));
	assert_true(budget_take(&holders[1], LIMIT / 4));
	budget_wait_over(&holders[1]);
	assert_true(budget_take(&holders[0], 1));
	budget_give(&holders[0], 1);

	/* Another user: a half for each user. */
	budget_give(&holders[1], 50);
	assert_true(budget_take(&holders[1], 50));
	budget_wait(&holders[2]);
	assert_false(budget_take(&holders[1], 1));
	assert_true(budget_take(&holders[2], LIMIT / 4));
	assert_true(budget_take(&holders[3], LIMIT / 4));
	fini(&fixture);
}

static void a_whole_message_is_more_than_a_quarter(void **state)
{
	struct fixture fixture;
	(void)state;
	init(&fixture);
	fixture.budget.whole = 600;
	budget_wait(&fixture.holders[2]);
	assert_true(budget_take(&fixture.holders[0], 600));
	assert_false(budget_take(&fixture.holders[0], 1));
	fini(&fixture);
}

static void bytes_are_kept_for_the_own_user(void **state)
{
	struct fixture fixture;
	struct budget_holder *holders = fixture.holders;
	(void)state;
	init(&fixture);
	fixture.budget.kept = KEPT;
	fixture.budget.whole = 500;
	assert_true(budget_take(&holders[2], 500));
	assert_true(budget_take(&holders[0], 350));
	/* Its share is not used up, but what is left is kept. */
	budget_give(&holders[2], 100);
	assert_false(budget_take(&holders[3], 200));
	assert_true(budget_take(&holders[3], 100));
	assert_int_equal(budget_used(&fixture.budget), 850);
	budget_give(&holders[0], 350);
	assert_true(budget_take(&holders[1], 500));
	assert_int_equal(budget_used(&fixture.budget), LIMIT);
	fini(&fixture);
}

/* All is held by messages that are read by half, and each needs more. */
static void the_first_that_waits_is_completed(void **state)
{
	struct fixture fixture;
	struct budget_holder *holders = fixture.holders;
	(void)state;
	init(&fixture);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(budget_take(&holders[i], LIMIT / 4));
	}
	fixture.budget.whole = 400;
	for (unsigned i = 0; i < 4; i++) {
		assert_false(budget_take(&holders[i], 150));
		budget_wait(&holders[i]);
	}
	/* The first that tries again leads, also when it needs still more, and no other does. */
	assert_true(budget_take(&holders[2], 100));
	budget_wait_over(&holders[2]);
	assert_true(budget_take(&holders[2], 50));
	assert_false(budget_take(&holders[0], 1));
	assert_int_equal(budget_used(&fixture.budget), LIMIT + 150);

	/* It runs: now another one leads, and what both have beyond the limit is bounded. */
	budget_follow(&holders[2]);
	assert_true(budget_take(&holders[0], 150));
	assert_int_equal(budget_used(&fixture.budget), LIMIT + 300);
	budget_give(&holders[2], 400);
	budget_follow(&holders[0]);
	assert_true(budget_take(&holders[1], 100));
	fini(&fixture);
}

/* It could complete its message by itself: its other requests end. */
static void who_has_its_share_does_not_lead(void **state)
{
	struct fixture fixture;
	struct budget_holder *holders = fixture.holders;
	(void)state;
	init(&fixture);
	assert_int_equal(take_all(&holders[0]), LIMIT * 3 / 4);
	assert_true(budget_take(&holders[2], LIMIT / 4));
	budget_wait(&holders[0]);
	budget_wait(&holders[3]);
	assert_false(budget_take(&holders[0], 1));
	assert_true(budget_take(&holders[3], 1));
	assert_int_equal(budget_used(&fixture.budget), LIMIT + 1);
	fini(&fixture);
}

static void bytes_in_use_are_counted_beyond_the_limit(void **state)
{
	struct fixture fixture;
	(void)state;
	init(&fixture);
	budget_force(&fixture.holders[0], LIMIT + 10);
	assert_int_equal(budget_used(&fixture.budget), LIMIT + 10);
	assert_false(budget_take(&fixture.holders[2], 1));
	assert_true(budget_take(&fixture.holders[2], 0));
	assert_false(budget_take(&fixture.holders[2], SIZE_MAX - LIMIT));
	fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_alone_gets_three_quarters),
		cmocka_unit_test(shares_bind_while_others_wait),
		cmocka_unit_test(a_whole_message_is_more_than_a_quarter),
		cmocka_unit_test(bytes_are_kept_for_the_own_user),
		cmocka_unit_test(the_first_that_waits_is_completed),
		cmocka_unit_test(who_has_its_share_does_not_lead),
		cmocka_unit_test(bytes_in_use_are_counted_beyond_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
