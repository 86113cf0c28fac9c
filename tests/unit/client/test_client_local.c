/* test_client_local.c - what the embedded reader's public face refuses before it opens anything. What it reads is in
 * tests/integration/test_local.py.
 */
#include "repstore_local.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void refused(const struct rep_local_options *options, enum rep_status status,
	const char *word)
{
	rep_local *local = NULL;
	struct rep_error err = {0};
	assert_int_equal(rep_open_local(options, &local, &err), status);
	assert_int_equal(err.status, status);
	assert_null(local);
	if (strstr(err.text, word) == NULL) {
		fail_msg("'%s' without '%s'", err.text, word);
	}
}

static void a_wrong_option_is_named(void **state)
{
	(void)state;
	const struct rep_local_options sound = {.folder = "/nonexistent"};
	struct rep_local_options wrong[3] = {sound, sound, sound};
	const char *const words[3] = {"follow", "has_max_lag", "reserved[4]"};
	const struct rep_local_options none = {.folder = NULL};
	wrong[0].follow = (enum rep_follow)2;
	wrong[1].max_lag_ms = 5;
	wrong[2].reserved[4] = 1;
	for (size_t i = 0; i < 3; i++) {
		refused(&wrong[i], REP_BAD_REQUEST, words[i]);
	}
	refused(&none, REP_BAD_REQUEST, "folder");
	refused(NULL, REP_BAD_REQUEST, "folder");
	refused(&sound, REP_NOT_FOUND, "/nonexistent");
	rep_close_local(NULL);
}

static void answer_nothing(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	wire_write_map(call->out, 0);
}

static void a_client_of_a_socket_has_no_sequence_to_wait_for(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_nothing, NULL);
	rep_set_min_sequence(client, UINT64_MAX);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	client_fixture_end(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_option_is_named),
		cmocka_unit_test(a_client_of_a_socket_has_no_sequence_to_wait_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
