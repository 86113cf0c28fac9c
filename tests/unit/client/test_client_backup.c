/* test_client_backup.c - a backup is asked for as given, and its answer is checked. */
#include "schema/wire.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const fields[] = {"sequence", "files", "bytes", "written", "linked", "kept",
	"elapsed_ms"};
enum { FIELDS = sizeof fields / sizeof fields[0], FIRST_VALUE = 40 };

/* What the fake daemon has seen, and which field it leaves out (FIELDS: none). */
struct backup {
	char dir[64];
	bool copy;
	size_t without;
};

static void answer_backup(struct fake_call *call, const void *arg)
{
	struct backup *backup = *(struct backup *const *)arg;
	struct wire_bytes dir = {0};
	assert_true(wire_str(wire_get(call->params, "dir"), &dir));
	memcpy(backup->dir, dir.data, dir.len);
	backup->dir[dir.len] = '\0';
	backup->copy = false;
	(void)wire_bool(wire_get(call->params, "copy"), &backup->copy);
	fake_result(call);
	wire_write_map(call->out, FIELDS - (backup->without < FIELDS));
	for (size_t i = 0; i < FIELDS; i++) {
		if (i != backup->without) {
			wire_write_str(call->out, fields[i]);
			wire_write_uint(call->out, FIRST_VALUE + i);
		}
	}
}

static void a_backup_is_asked_for_as_given(void **state)
{
	(void)state;
	struct backup seen = {.without = FIELDS};
	const struct backup *arg = &seen;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_backup, &arg);
	struct rep_backup_made made = {0};
	assert_int_equal(rep_backup(client, "daily", true, &made, NULL), REP_OK);
	assert_string_equal(seen.dir, "daily");
	assert_true(seen.copy);
	assert_int_equal(made.sequence, FIRST_VALUE);
	assert_int_equal(made.files, FIRST_VALUE + 1);
	assert_int_equal(made.bytes, FIRST_VALUE + 2);
	assert_int_equal(made.written, FIRST_VALUE + 3);
	assert_int_equal(made.linked, FIRST_VALUE + 4);
	assert_int_equal(made.kept, FIRST_VALUE + 5);
	assert_int_equal(made.elapsed_ms, FIRST_VALUE + 6);
	assert_int_equal(rep_backup(client, "b/c", false, NULL, NULL), REP_OK);
	assert_string_equal(seen.dir, "b/c");
	assert_false(seen.copy);
	client_fixture_end(&fake);
}

static void an_answer_with_a_field_less_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < FIELDS; i++) {
		struct backup seen = {.without = i};
		const struct backup *arg = &seen;
		struct client_fixture fake;
		struct rep_backup_made made = {.files = 1};
		rep_client *client = client_fixture_begin(&fake, answer_backup, &arg);
		assert_int_equal(rep_backup(client, "daily", false, &made, NULL), REP_PROTOCOL);
		assert_int_equal(made.files, 1);
		client_fixture_end(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_is_asked_for_as_given),
		cmocka_unit_test(an_answer_with_a_field_less_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
