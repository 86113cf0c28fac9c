/* test_client.c - connecting, calling, time-outs and broken peers. */
#include "client/transport.h"
#include "repstore.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void answer_empty(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	wire_write_map(call->out, 0);
}

static void a_client_connects_and_pings(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_empty, NULL);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(rep_ping(client, NULL), REP_OK);
	}
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 200);
	assert_int_equal(fake.server.connections, 1);
}

static void another_protocol_version_is_refused(void **state)
{
	(void)state;
	struct fake_server server;
	fake_server_start(&server, answer_empty, NULL);
	server.protocol = 2;
	const struct rep_options options = {.address = server.path};
	rep_client *client = NULL;
	struct rep_error err;
	assert_int_equal(rep_connect(&options, &client, &err), REP_UNSUPPORTED);
	assert_null(client);
	assert_non_null(strstr(err.text, "protocol 2"));
	fake_server_stop(&server);
}

static void an_address_that_leads_nowhere_is_named(void **state)
{
	(void)state;
	char longest[200];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	const struct {
		const char *address;
		enum rep_status status;
		const char *text;
	} rows[] = {
		{"/nonexistent/sock", REP_IO, "/nonexistent/sock"},
		{"unix:/nonexistent/sock", REP_IO, "/nonexistent/sock"},
		{"unix:", REP_BAD_REQUEST, "1 to 107 bytes"},
		{longest, REP_BAD_REQUEST, "1 to 107 bytes"},
		{"tcp:", REP_BAD_REQUEST, "tcp:HOST:PORT"},
		{"tcp:localhost", REP_BAD_REQUEST, "tcp:HOST:PORT"},
		{"tcp::7000", REP_BAD_REQUEST, "tcp:HOST:PORT"},
		{"tcp:localhost:", REP_BAD_REQUEST, "tcp:HOST:PORT"},
		{"tcp:localhost:65536", REP_BAD_REQUEST, "the port '65536'"},
		{"tcp:localhost:00000080", REP_BAD_REQUEST, "the port '00000080'"},
		{"tcp:127.0.0.1:1", REP_IO, "tcp:127.0.0.1:1"},
		{"tcp:127.0.0.1:nosuchport", REP_IO, "nosuchport"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct rep_options options = {.address = rows[i].address};
		rep_client *client = NULL;
		struct rep_error err = {0};
		assert_int_equal(rep_connect(&options, &client, &err), rows[i].status);
		assert_int_equal(err.status, rows[i].status);
		assert_non_null(strstr(err.text, rows[i].text));
		assert_null(client);
	}
}

static void write_error(struct fake_call *call, const char *text)
{
	wire_write_array(call->out, 4);
	wire_write_uint(call->out, 1);
	wire_write_uint(call->out, call->msgid);
	wire_write_str(call->out, text);
	wire_write_nil(call->out);
}

static void answer_errors(struct fake_call *call, const void *arg)
{
	(void)arg;
	static const char *const texts[] = {"NOT_FOUND: release: no 'x'", "WHAT: is this",
		"OK: nothing wrong", "", "CLOSED: liar"};
	write_error(call, texts[call->number]);
}

static void an_error_of_the_daemon_arrives_as_code_and_text(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_errors, NULL);
	struct rep_error err = {0};
	assert_int_equal(rep_ping(client, &err), REP_NOT_FOUND);
	assert_string_equal(err.text, "release: no 'x'");
	assert_int_equal(err.status, REP_NOT_FOUND);
	assert_int_equal(rep_ping(client, &err), REP_INTERNAL);
	assert_string_equal(err.text, "WHAT: is this");
	assert_int_equal(rep_ping(client, &err), REP_INTERNAL);
	assert_int_equal(rep_ping(client, &err), REP_INTERNAL);
	assert_int_equal(rep_ping(client, &err), REP_CLOSED);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.connections, 1);
	assert_int_equal(fake.server.requests, 5);
}

/* Says nothing, or half a message, to the first request. */
static void answer_late(struct fake_call *call, const void *arg)
{
	const char *half = arg;
	if (call->number > 0) {
		answer_empty(call, NULL);
	} else if (half != NULL) {
		wire_write_raw(call->out, half, strlen(half));
	}
}

static void an_answer_that_does_not_come_is_a_timeout(void **state)
{
	(void)state;
	/* Nothing; the head of an array; a bin of 1 MiB without its body. */
	const char *const halves[] = {NULL, "\x94\x01", "\x94\xc6\x01\x10\x10\x10"};
	for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_late, halves[i]);
		rep_set_timeout(client, 30);
		struct rep_error err = {0};
		enum rep_status status = rep_ping(client, &err);
		assert_int_equal(status, REP_TIMEOUT);
		rep_set_timeout(client, 5000);
		assert_int_equal(rep_ping(client, &err), REP_OK);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 2);
	}
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A byte now and then, for seconds, to the first request. */
static void answer_slowly(struct fake_call *call, const void *arg)
{
	(void)arg;
	fake_result(call);
	wire_write_map(call->out, 1);
	wire_write_str(call->out, "slow");
	memset(wire_write_bin_space(call->out, 400), 0, 400);
	call->slow = call->number == 0;
}

static void a_byte_now_and_then_does_not_move_the_deadline(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_slowly, NULL);
	rep_set_timeout(client, 100);
	int64_t began = now_ms();
	/* Were the deadline moved by each byte, the answer would come whole, after 2 s. */
	assert_int_equal(rep_ping(client, NULL), REP_TIMEOUT);
	assert_true(now_ms() - began >= 100);
	client_fixture_end(&fake);
}

/* The process was stopped meanwhile. Of the second answer a byte is missing. */
static void what_has_come_by_the_deadline_is_no_timeout(void **state)
{
	(void)state;
	enum { BODY_BYTES = 300000 };
	static uint8_t answer[BODY_BYTES + 5] = {0xc6, 0, 0x04, 0x93, 0xe0};
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const int bytes = 4 << 20;
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	assert_int_equal(write(pair[1], answer, sizeof answer), sizeof answer);
	assert_int_equal(write(pair[1], answer, 4), 4);
	struct transport transport;
	struct wire_bytes message;
	struct error err;
	transport_init(&transport, "test");
	transport.fd = pair[0];
	const int64_t passed_ms = now_ms() - 1;
	assert_int_equal(transport_receive(&transport, passed_ms, &message, &err), STATUS_OK);
	assert_int_equal(message.len, sizeof answer);
	assert_int_equal(transport_receive(&transport, passed_ms, &message, &err), STATUS_TIMEOUT);
	assert_string_equal(err.text, "'test': no answer in time");
	transport_fini(&transport);
	close(pair[1]);
}

static void a_peer_that_does_not_read_is_a_timeout(void **state)
{
	(void)state;
	enum { PARAMS_BYTES = 16 << 20 };
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_slowly, NULL);
	/* {"x": bin}; while the first call is answered slowly nothing is read. */
	uint8_t *params = calloc(1, PARAMS_BYTES + 8);
	static const uint8_t head[8] = {0x81, 0xa1, 'x', 0xc6, 1, 0, 0, 0};
	memcpy(params, head, sizeof head);
	struct rep_part part = {.table = "ur"};
	part.keys = rep_keys_u64(NULL, 0);
	assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
	rep_set_timeout(client, 100);
	void *result = NULL;
	size_t len = 0;
	struct rep_error err;
	assert_int_equal(rep_call(client, "x", params, PARAMS_BYTES + 8, &result, &len, &err),
		REP_TIMEOUT);
	assert_non_null(strstr(err.text, "took no more"));
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_CLOSED);
	free(params);
	client_fixture_end(&fake);
}

/* Leaves the first time without a word, in the middle of an answer or after it. */
static void answer_and_leave(struct fake_call *call, const void *arg)
{
	const char *how = arg;
	if (call->connection > 0 && strcmp(how, "always") != 0) {
		answer_empty(call, NULL);
		return;
	}
	call->close = true;
	if (strcmp(how, "half") == 0) {
		wire_write_raw(call->out, "\x94\x01", 2);
	} else if (strcmp(how, "after") == 0) {
		answer_empty(call, NULL);
	}
}

static void a_call_that_only_reads_is_repeated_once(void **state)
{
	(void)state;
	const char *const ways[] = {"silent", "half", "after"};
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_and_leave, ways[i]);
		assert_int_equal(rep_ping(client, NULL), REP_OK);
		assert_int_equal(rep_ping(client, NULL), REP_OK);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 2);
	}
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_and_leave, "always");
	assert_int_equal(rep_ping(client, NULL), REP_CLOSED);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 2);
}

static void a_write_is_never_sent_twice(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_and_leave, "silent");
	struct rep_error err = {0};
	assert_int_equal(rep_release_drop(client, "r", &err), REP_CLOSED);
	assert_int_equal(rep_release_drop(client, "r", &err), REP_OK);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.requests, 2);
}

static void a_write_notices_that_the_peer_left_before(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_and_leave, "after");
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	fake_server_await_end(&fake.server);
	assert_int_equal(rep_release_drop(client, "r", NULL), REP_OK);
	client_fixture_end(&fake);
}

static void without_reconnecting_a_lost_connection_stays_lost(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin_with(&fake, answer_and_leave, "silent",
		(struct rep_options){.timeout_ms = 10000, .no_reconnect = true});
	assert_int_equal(rep_ping(client, NULL), REP_CLOSED);
	assert_int_equal(rep_ping(client, NULL), REP_CLOSED);
	client_fixture_end(&fake);
	assert_int_equal(fake.server.connections, 1);
	assert_int_equal(fake.server.requests, 1);
}

struct bytes {
	const char *data;
	size_t len;
};

static void answer_bytes(struct fake_call *call, const void *arg)
{
	const struct bytes *bytes = arg;
	if (call->number == 0) {
		wire_write_raw(call->out, bytes->data, bytes->len);
	} else {
		answer_empty(call, NULL);
	}
}

static void what_is_no_answer_ends_the_connection(void **state)
{
	(void)state;
	const struct bytes rows[] = {
		{"\xc1", 1},                          /* no MessagePack */
		{"\xc0", 1},                          /* nil */
		{"\x80", 1},                          /* a map */
		{"\x90", 1},                          /* an empty array */
		{"\x93\x01\x00\xc0", 4},              /* three items */
		{"\x94\x01\xa1x\xc0\xc0", 6},         /* a msgid that is none */
		{"\x94\x01\x7f\xc0\xc0", 5},          /* nobody asked */
		{"\x94\x01\x00\x05\xc0", 5},          /* an error that is no text */
		{"\x94\x00\x00\xa1x\x90", 6},         /* a request */
		{"\x93\x02\xa1x\x90", 5},             /* a notification */
		{"\xdd\xff\xff\xff\xff\x01", 6},      /* more elements than allowed */
		{"\xc6\xff\xff\xff\xff", 5},          /* more bytes than allowed */
		{"HTTP/1.1 400 Bad Request\r\n", 26}, /* another protocol */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_bytes, &rows[i]);
		struct rep_error err = {0};
		enum rep_status status = rep_ping(client, &err);
		if (status != REP_PROTOCOL) {
			fail_msg("row %zu: %s %s", i, rep_status_name(status), err.text);
		}
		assert_int_equal(rep_ping(client, &err), REP_OK);
		client_fixture_end(&fake);
		assert_int_equal(fake.server.connections, 2);
	}
}

static void answer_twice(struct fake_call *call, const void *arg)
{
	(void)arg;
	answer_empty(call, NULL);
	if (call->number == 0) {
		answer_empty(call, NULL);
	}
}

static void an_answer_given_twice_ends_the_connection(void **state)
{
	(void)state;
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_twice, NULL);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	assert_int_equal(rep_ping(client, NULL), REP_PROTOCOL);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	client_fixture_end(&fake);
}

static void answer_echo(struct fake_call *call, const void *arg)
{
	const char *array_head = arg;
	uint64_t value = 0;
	wire_uint(wire_get(call->params, "x"), &value);
	wire_write_raw(call->out, array_head, array_head[0] == '\x94' ? 1 : 3);
	wire_write_uint(call->out, 1);
	wire_write_uint(call->out, call->msgid);
	wire_write_nil(call->out);
	wire_write_map(call->out, 1);
	wire_write_str(call->out, "x");
	wire_write_uint(call->out, value + 1);
}

static void any_method_can_be_called_with_messagepack(void **state)
{
	(void)state;
	const char *const heads[] = {"\x94", "\xdc\x00\x04"};
	for (size_t i = 0; i < 2; i++) {
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_echo, heads[i]);
		void *result = NULL;
		size_t len = 0;
		assert_int_equal(rep_call(client, "stats", "\x81\xa1x\x07", 4, &result, &len, NULL),
			REP_OK);
		assert_int_equal(len, 4);
		assert_memory_equal(result, "\x81\xa1x\x08", 4);
		free(result);
		assert_int_equal(rep_call(client, "stats", NULL, 0, &result, &len, NULL), REP_OK);
		assert_memory_equal(result, "\x81\xa1x\x01", 4);
		free(result);
		const struct bytes wrong[] = {{"\x81", 1}, {"\x07", 1}, {"\x80\x80", 2}, {"", 0}};
		for (size_t j = 0; j < 4; j++) {
			assert_int_equal(rep_call(client, "stats", wrong[j].data, wrong[j].len,
						 &result, &len, NULL),
				REP_BAD_REQUEST);
		}
		client_fixture_end(&fake);
	}
}

/* Connects, asks and reads a raw result. */
static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	rep_client *client = NULL;
	struct rep_error err = {0};
	void *result = NULL;
	size_t len = 0;
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_call(client, "info", "\x80", 1, &result, &len, &err) == REP_OK;
	free(result);
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct fake_server server;
	fake_server_start(&server, answer_empty, NULL);
	assert_true(alloc_fail_each(attempt, &server) > 5);
	fake_server_stop(&server);
}

static void names_and_sizes_are_those_of_the_protocol(void **state)
{
	(void)state;
	assert_string_equal(rep_status_name(REP_OK), "OK");
	assert_string_equal(rep_status_name(REP_NOT_SEALED), "NOT_SEALED");
	assert_string_equal(rep_status_name((enum rep_status)99), "INTERNAL");
	assert_int_equal(rep_row_bytes(REP_F32, 64, 2), 512);
	assert_int_equal(rep_row_bytes(REP_BIT, 9, 3), 6);
	assert_int_equal(rep_row_bytes(REP_DTYPE_TABLE, 9, 3), 0);
	assert_true(strlen(rep_version()) > 0);
	rep_close(NULL);
	rep_load_leave(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_connects_and_pings),
		cmocka_unit_test(another_protocol_version_is_refused),
		cmocka_unit_test(an_address_that_leads_nowhere_is_named),
		cmocka_unit_test(an_error_of_the_daemon_arrives_as_code_and_text),
		cmocka_unit_test(an_answer_that_does_not_come_is_a_timeout),
		cmocka_unit_test(a_byte_now_and_then_does_not_move_the_deadline),
		cmocka_unit_test(what_has_come_by_the_deadline_is_no_timeout),
		cmocka_unit_test(a_peer_that_does_not_read_is_a_timeout),
		cmocka_unit_test(a_call_that_only_reads_is_repeated_once),
		cmocka_unit_test(a_write_is_never_sent_twice),
		cmocka_unit_test(a_write_notices_that_the_peer_left_before),
		cmocka_unit_test(without_reconnecting_a_lost_connection_stays_lost),
		cmocka_unit_test(what_is_no_answer_ends_the_connection),
		cmocka_unit_test(an_answer_given_twice_ends_the_connection),
		cmocka_unit_test(any_method_can_be_called_with_messagepack),
		cmocka_unit_test(refused_memory_is_said),
		cmocka_unit_test(names_and_sizes_are_those_of_the_protocol),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
