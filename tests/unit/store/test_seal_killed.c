/* test_seal_killed.c - a seal whose process is killed, at each moment that the disk can tell. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "tests/unit/store/kill_at.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 600 }; /* several segments and files */

/* Seals the release in a process of its own, which is killed at the n-th moment. True: the seal was
 * done before that. */
static bool seal_until_killed(struct scratch *scratch, const char *id, unsigned n)
{
	scratch_close(scratch);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		scratch_open(scratch);
		kill_at(n);
		scratch_seal(scratch, id);
		_exit(0);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	scratch_open(scratch);
	assert_true(WIFEXITED(how) ? WEXITSTATUS(how) == 0 : WTERMSIG(how) == SIGKILL);
	return WIFEXITED(how);
}

static bool is_sealed(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, &err), &err);
	const bool sealed = release->state == RELEASE_SEALED;
	snapshot_end(scratch->store);
	return sealed;
}

/* A seal that is killed at any moment has happened, or has not and can be done. */
static void a_killed_seal_is_done_or_undone(void **state)
{
	enum { MOMENTS_MAX = 1000 };
	struct scratch *scratch = *state;
	unsigned done = 0;
	unsigned undone = 0;
	char id[16];
	bool ended = false;
	for (unsigned n = 1; !ended; n++) {
		struct error err = {0};
		assert_true(n < MOMENTS_MAX);
		(void)snprintf(id, sizeof id, "k%u", n);
		scratch_release(scratch, id);
		scratch_chunk(scratch, id, "a", 0, (struct scratch_rows){0, ROWS, n});
		scratch_end(scratch, id, "a", 1, ROWS);
		ended = seal_until_killed(scratch, id, n);
		const bool sealed = is_sealed(scratch, id);
		assert_true(sealed || !ended);
		done += sealed && !ended;
		undone += !sealed;
		scratch_seal(scratch, id);
		scratch_expect(scratch, id, 0, ROWS, n);
		scratch_must(store_release_drop(scratch->store, id, &err), &err);
	}
	/* The catalog's commit is a moment, and so is what comes before it and behind it. */
	assert_true(undone > 10);
	assert_true(done > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_killed_seal_is_done_or_undone,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
