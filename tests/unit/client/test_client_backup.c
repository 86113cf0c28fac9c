/* test_client_backup.c - backups, exports and adoptions are asked for as given, and their answers are checked. */
#include "schema/wire.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Numbers of an answer; those of a release have its name, too. */
static const char *const backup_fields[] = {"sequence", "files", "bytes", "written", "linked",
	"kept", "elapsed_ms", NULL};
static const char *const export_fields[] = {"release", "files", "bytes", "written", "linked",
	"kept", "elapsed_ms", NULL};
static const char *const adopt_fields[] = {"release", "number", "tables", "rows", "bytes",
	"elapsed_ms", NULL};
enum { FIRST_VALUE = 40, NONE = 100 };

/* What the fake daemon has seen, and which field it leaves out (NONE: none). */
struct backup {
	const char *const *fields;
	char dir[64];
	char release[64]; /* "": none was named */
	bool copy;
	size_t without;
};

static void read_text(struct wire_value params, const char *name, char out[64])
{
	struct wire_bytes text = {.data = (const uint8_t *)""};
	(void)wire_str(wire_get(params, name), &text);
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

static void answer_backup(struct fake_call *call, const void *arg)
{
	struct backup *backup = *(struct backup *const *)arg;
	size_t count = 0;
	read_text(call->params, "dir", backup->dir);
	read_text(call->params, "release", backup->release);
	backup->copy = false;
	(void)wire_bool(wire_get(call->params, "copy"), &backup->copy);
	while (backup->fields[count] != NULL) {
		count++;
	}
	fake_result(call);
	wire_write_map(call->out, count - (backup->without < count));
	for (size_t i = 0; i < count; i++) {
		if (i == backup->without) {
			continue;
		}
		wire_write_str(call->out, backup->fields[i]);
		if (strcmp(backup->fields[i], "release") == 0) {
			wire_write_str(call->out, "ckpt-3");
		} else {
			wire_write_uint(call->out, FIRST_VALUE + i);
		}
	}
}

static void a_backup_is_asked_for_as_given(void **state)
{
	(void)state;
	struct backup seen = {.fields = backup_fields, .without = NONE};
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

static void an_export_is_asked_for_as_given(void **state)
{
	(void)state;
	struct backup seen = {.fields = export_fields, .without = NONE};
	const struct backup *arg = &seen;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_backup, &arg);
	struct rep_exported made = {.files = 0};
	assert_int_equal(rep_release_export(client, "ckpt-3", "moved", true, &made, NULL), REP_OK);
	assert_string_equal(seen.release, "ckpt-3");
	assert_string_equal(seen.dir, "moved");
	assert_true(seen.copy);
	assert_string_equal(made.release, "ckpt-3");
	assert_int_equal(made.files, FIRST_VALUE + 1);
	assert_int_equal(made.bytes, FIRST_VALUE + 2);
	assert_int_equal(made.written, FIRST_VALUE + 3);
	assert_int_equal(made.linked, FIRST_VALUE + 4);
	assert_int_equal(made.kept, FIRST_VALUE + 5);
	assert_int_equal(made.elapsed_ms, FIRST_VALUE + 6);
	assert_int_equal(rep_release_export(client, NULL, "b/c", false, NULL, NULL), REP_OK);
	assert_string_equal(seen.release, "live");
	assert_false(seen.copy);
	client_fixture_end(&fake);
}

static void an_adoption_is_asked_for_as_given(void **state)
{
	(void)state;
	struct backup seen = {.fields = adopt_fields, .without = NONE};
	const struct backup *arg = &seen;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_backup, &arg);
	struct rep_adopted made = {.rows = 0};
	assert_int_equal(rep_release_adopt(client, "moved", "again", &made, NULL), REP_OK);
	assert_string_equal(seen.dir, "moved");
	assert_string_equal(seen.release, "again");
	assert_string_equal(made.release, "ckpt-3");
	assert_int_equal(made.number, FIRST_VALUE + 1);
	assert_int_equal(made.tables, FIRST_VALUE + 2);
	assert_int_equal(made.rows, FIRST_VALUE + 3);
	assert_int_equal(made.bytes, FIRST_VALUE + 4);
	assert_int_equal(made.elapsed_ms, FIRST_VALUE + 5);
	assert_int_equal(rep_release_adopt(client, "moved", NULL, NULL, NULL), REP_OK);
	assert_string_equal(seen.release, "");
	client_fixture_end(&fake);
}

/* The calls, each with an answer that it has not filled yet. */
static enum rep_status ask_backup(rep_client *client, bool *filled)
{
	struct rep_backup_made made = {.files = 1};
	const enum rep_status status = rep_backup(client, "daily", false, &made, NULL);
	*filled = made.files != 1;
	return status;
}

static enum rep_status ask_export(rep_client *client, bool *filled)
{
	struct rep_exported made = {.files = 1};
	const enum rep_status status = rep_release_export(client, NULL, "d", false, &made, NULL);
	*filled = made.files != 1;
	return status;
}

static enum rep_status ask_adopt(rep_client *client, bool *filled)
{
	struct rep_adopted made = {.rows = 1};
	const enum rep_status status = rep_release_adopt(client, "d", NULL, &made, NULL);
	*filled = made.rows != 1;
	return status;
}

static void an_answer_with_a_field_less_is_refused(void **state)
{
	static const struct {
		const char *const *fields;
		enum rep_status (*ask)(rep_client *client, bool *filled);
	} calls[] = {{backup_fields, ask_backup}, {export_fields, ask_export},
		{adopt_fields, ask_adopt}};
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		for (size_t without = 0; calls[i].fields[without] != NULL; without++) {
			struct backup seen = {.fields = calls[i].fields, .without = without};
			const struct backup *arg = &seen;
			struct client_fixture fake;
			bool filled = true;
			rep_client *client = client_fixture_begin(&fake, answer_backup, &arg);
			assert_int_equal(calls[i].ask(client, &filled), REP_PROTOCOL);
			assert_false(filled);
			client_fixture_end(&fake);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_is_asked_for_as_given),
		cmocka_unit_test(an_export_is_asked_for_as_given),
		cmocka_unit_test(an_adoption_is_asked_for_as_given),
		cmocka_unit_test(an_answer_with_a_field_less_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
