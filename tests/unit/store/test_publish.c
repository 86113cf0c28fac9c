/* test_publish.c - while a release is read in to be published, others may change what is live. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/base/base.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* r1, r2 and r3 are sealed; r1 was live before r2, which is live. */
static int setup(void **state)
{
	(void)scratch_setup_store(state);
	scratch_sealed(*state, "r1", 0, 100, 1);
	scratch_sealed(*state, "r2", 0, 100, 2);
	scratch_sealed(*state, "r3", 0, 100, 3);
	scratch_publish(*state, "r1");
	scratch_publish(*state, "r2");
	return 0;
}

/* A publish on a thread of its own, which gets as far as the segment that the test holds. */
struct publish {
	struct scratch *scratch;
	const char *id;
	struct base_segment *held;
	pthread_t thread;
	enum status status;
	struct error err;
	atomic_bool ended;
};

static struct base_segment *first_segment(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	struct base_segment *segment = table->bases->segments[0];
	snapshot_end(scratch->store);
	return segment;
}

static void *run(void *arg)
{
	struct publish *publish = arg;
	struct name previous;
	grace_register();
	publish->status = store_release_publish(publish->scratch->store, publish->id, NULL,
		&previous, &publish->err);
	grace_unregister();
	atomic_store(&publish->ended, true);
	return NULL;
}

static unsigned references(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	const struct release *release;
	store_lock_admin(scratch->store);
	scratch_must(snapshot_release(store_current(scratch->store), id, &release, &err), &err);
	const unsigned count = release->refs;
	store_unlock_admin(scratch->store);
	return count;
}

/* Makes a segment cold, and waits until a publish of its release reads it in. */
static void begin(struct publish *publish, struct scratch *scratch, const char *id)
{
	*publish =
		(struct publish){.scratch = scratch, .id = id, .held = first_segment(scratch, id)};
	struct wait idle = {0};
	while (references(scratch, id) != 1) {
		wait_a_moment(&idle); /* the janitor has snapshots of before to drop */
	}
	lock_take(&publish->held->lock);
	atomic_store(&publish->held->state, BASE_UNCHECKED);
	assert_int_equal(pthread_create(&publish->thread, NULL, run, publish), 0);
	struct wait wait = {0};
	while (references(scratch, id) == 1) {
		wait_a_moment(&wait);
	}
}

/* Lets the publish go on, and waits for its end. */
static void end(struct publish *publish)
{
	assert_false(atomic_load(&publish->ended));
	lock_release(&publish->held->lock);
	assert_int_equal(pthread_join(publish->thread, NULL), 0);
}

static void expect_live(struct scratch *scratch, uint32_t version)
{
	scratch_expect(scratch, NULL, 0, 100, version);
}

/* A call that runs beside a publish. It is on a thread of its own too: if it waited for the publish,
 * the test would have to end that first. */
struct beside {
	struct scratch *scratch;
	const char *drop; /* NULL: a rollback */
	enum status status;
	struct error err;
	atomic_bool ended;
};

static void *run_beside(void *arg)
{
	struct beside *beside = arg;
	struct name now;
	struct name previous;
	grace_register();
	beside->status = beside->drop != NULL ? store_release_drop(beside->scratch->store,
							beside->drop, &beside->err)
					      : store_release_rollback(beside->scratch->store, NULL,
							&now, &previous, &beside->err);
	grace_unregister();
	atomic_store(&beside->ended, true);
	return NULL;
}

/* Fails, after the publish has ended, if the call has waited for it. */
static void must_not_wait(struct publish *publish, const char *drop)
{
	struct beside beside = {.scratch = publish->scratch, .drop = drop};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_beside, &beside), 0);
	struct wait wait = {0};
	while (!atomic_load(&beside.ended)) {
		wait_a_moment(&wait);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	scratch_must(beside.status, &beside.err);
}

static void a_rollback_does_not_wait_for_a_publish(void **state)
{
	struct scratch *scratch = *state;
	struct publish publish;
	begin(&publish, scratch, "r3");
	must_not_wait(&publish, NULL);
	expect_live(scratch, 1);
	end(&publish);
	scratch_must(publish.status, &publish.err);
	expect_live(scratch, 3);
	/* It came after the rollback, so the next one leads to r1. */
	struct name now;
	struct name previous;
	struct error err = {0};
	scratch_must(store_release_rollback(scratch->store, NULL, &now, &previous, &err), &err);
	assert_string_equal(previous.text, "r3");
	assert_string_equal(now.text, "r1");
}

static void a_release_may_be_dropped_before_it_is_live(void **state)
{
	struct scratch *scratch = *state;
	struct publish publish;
	begin(&publish, scratch, "r3");
	must_not_wait(&publish, "r3");
	end(&publish);
	assert_int_equal(publish.status, STATUS_NOT_FOUND);
	expect_live(scratch, 2);
}

static void a_damaged_release_does_not_go_live(void **state)
{
	struct scratch *scratch = *state;
	struct publish publish;
	begin(&publish, scratch, "r3");
	must_not_wait(&publish, NULL);
	atomic_store(&publish.held->state, BASE_DAMAGED);
	end(&publish);
	assert_int_equal(publish.status, STATUS_CORRUPT);
	assert_non_null(strstr(publish.err.text, "table 't' has a damaged segment"));
	expect_live(scratch, 1);
}

static void two_publishes_of_one_release_agree(void **state)
{
	struct scratch *scratch = *state;
	struct publish publish[2];
	begin(&publish[0], scratch, "r3");
	publish[1] = (struct publish){.scratch = scratch, .id = "r3"};
	assert_int_equal(pthread_create(&publish[1].thread, NULL, run, &publish[1]), 0);
	end(&publish[0]);
	assert_int_equal(pthread_join(publish[1].thread, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		scratch_must(publish[i].status, &publish[i].err);
	}
	expect_live(scratch, 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

/* Both end before they wait for the segment, which the test holds. */
static void what_is_not_read_in_time_does_not_go_live(void **state)
{
	struct scratch *scratch = *state;
	struct name now;
	struct name previous;
	struct error err = {0};
	const struct stop over = {.read_ms = 1, .timeout_ms = 1};
	struct base_segment *before = first_segment(scratch, "r1");
	struct base_segment *next = first_segment(scratch, "r3");
	lock_take(&before->lock);
	lock_take(&next->lock);
	atomic_store(&before->state, BASE_UNCHECKED);
	atomic_store(&next->state, BASE_UNCHECKED);
	assert_int_equal(store_release_publish(scratch->store, "r3", &over, &previous, &err),
		STATUS_TIMEOUT);
	assert_int_equal(store_release_rollback(scratch->store, &over, &now, &previous, &err),
		STATUS_TIMEOUT);
	expect_live(scratch, 2);
	lock_release(&next->lock);
	lock_release(&before->lock);
	scratch_must(store_release_rollback(scratch->store, NULL, &now, &previous, &err), &err);
	expect_live(scratch, 1);
	/* What is read in already needs no time. */
	scratch_must(store_release_publish(scratch->store, "r2", &over, &previous, &err), &err);
	expect_live(scratch, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_rollback_does_not_wait_for_a_publish),
		CASE(a_release_may_be_dropped_before_it_is_live),
		CASE(a_damaged_release_does_not_go_live),
		CASE(two_publishes_of_one_release_agree),
		CASE(what_is_not_read_in_time_does_not_go_live),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
