/* test_client_embedded.c - a client of a peer in its own process: the same calls, without a socket. */
#include "client/embedded.h"
#include "config.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/fake_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PIPELINED = 300, ANSWER_BYTES = 16 << 10 };

/* A peer that answers as fake_fetch does, and remembers what it was asked. */
struct peer {
	struct fake_fetch daemon;
	struct wire_writer out;
	unsigned hellos;
	unsigned fetches;
	unsigned closed;
	unsigned timeout_ms;        /* of the last call */
	uint64_t first_key;         /* of the last fetch */
	uint64_t lag_ms;            /* that it says; each fetch makes it longer by one */
	enum status fails;          /* of all fetches; OK: none */
	const struct error *refuse; /* the answer to all fetches; NULL: rows */
};

static void answer_hello(struct peer *peer, uint32_t msgid)
{
	peer->hellos++;
	rpc_write_response(&peer->out, msgid);
	wire_write_map(&peer->out, 2);
	wire_write_str(&peer->out, "protocol");
	wire_write_uint(&peer->out, 1);
	wire_write_str(&peer->out, "features");
	wire_write_array(&peer->out, 1);
	wire_write_str(&peer->out, "timeout_ms");
}

static void note_first_key(struct peer *peer, struct wire_value params)
{
	struct wire_bytes keys;
	const struct wire_value part = wire_item(wire_get(params, "parts"), 0);
	assert_true(wire_bin(wire_get(part, "keys"), &keys) && keys.len >= sizeof(uint64_t));
	memcpy(&peer->first_key, keys.data, sizeof peer->first_key);
}

static void answer_request(struct peer *peer, const struct rpc_envelope *envelope)
{
	struct fake_call call = {.msgid = envelope->msgid,
		.method = envelope->method,
		.params = envelope->params,
		.out = &peer->out,
		.number = peer->fetches};
	if (fake_is(&call, "hello")) {
		answer_hello(peer, envelope->msgid);
		return;
	}
	assert_true(fake_is(&call, "fetch"));
	note_first_key(peer, envelope->params);
	peer->fetches++;
	peer->lag_ms++;
	if (peer->refuse != NULL) {
		rpc_write_error(&peer->out, envelope->msgid, peer->refuse);
	} else {
		answer_fetch(&call, &peer->daemon);
	}
}

static enum status peer_call(void *context, struct wire_bytes request, unsigned timeout_ms,
	struct wire_bytes *response, struct error *err)
{
	struct peer *peer = context;
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	enum status status = wire_open(request.data, request.len, &message);
	if (status == STATUS_OK) {
		status = rpc_read(wire_root(message), &envelope, err);
	}
	if (status == STATUS_OK && peer->fails != STATUS_OK &&
		wire_bytes_are(envelope.method, "fetch")) {
		status = error_set(err, peer->fails, "as the test wants it");
	}
	if (status == STATUS_OK) {
		peer->timeout_ms = timeout_ms;
		wire_writer_clear(&peer->out);
		answer_request(peer, &envelope);
		*response = (struct wire_bytes){peer->out.data, peer->out.len};
		status = peer->out.status;
	}
	wire_close(message);
	return status;
}

static uint64_t peer_lag_ms(const void *context)
{
	const struct peer *peer = context;
	return peer->lag_ms;
}

static void peer_close(void *context)
{
	struct peer *peer = context;
	peer->closed++;
	wire_writer_fini(&peer->out);
}

static const struct embedded ways = {.version = REPSTORE_VERSION,
	.bytes = sizeof ways,
	.call = peer_call,
	.lag_ms = peer_lag_ms,
	.close = peer_close};

static rep_client *open_client(struct peer *peer)
{
	rep_client *client = NULL;
	struct error err = {0};
	*peer = (struct peer){.daemon = {.dtype = "f32"}};
	if (repstore_embedded_open(&ways, peer, "a folder", &client, &err) != STATUS_OK) {
		fail_msg("open: %s", err.text);
	}
	return client;
}

static void end(rep_client *client, const struct peer *peer)
{
	assert_int_equal(peer->closed, 0);
	rep_close(client);
	assert_int_equal(peer->closed, 1);
}

static void rows_arrive_and_how_old_they_may_be_is_told(void **state)
{
	(void)state;
	struct peer peer;
	rep_client *client = open_client(&peer);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_fetched fetched;
	peer.lag_ms = 40;
	assert_int_equal(rep_fetch(client, "r", &part, 1, &fetched, NULL), REP_OK);
	assert_counts_up(room.rows, sizeof room.rows);
	assert_counts_up(room.times, sizeof room.times);
	assert_string_equal(fetched.release, "rr");
	assert_int_equal(fetched.lag_ms, 41);
	assert_int_equal(peer.hellos, 1);
	end(client, &peer);
}

static void each_call_has_its_time(void **state)
{
	(void)state;
	struct peer peer;
	rep_client *client = open_client(&peer);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	static const struct {
		unsigned given;
		unsigned least;
		unsigned most;
	} cases[] = {{600000, 1, 600000}, {0, 0, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		rep_set_timeout(client, cases[i].given);
		assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, NULL), REP_OK);
		assert_in_range(peer.timeout_ms, cases[i].least, cases[i].most);
	}
	end(client, &peer);
}

/* Sends PIPELINED fetches, the i-th of a key i. */
static void send_all(rep_client *client, struct room *room)
{
	for (uint64_t i = 0; i < PIPELINED; i++) {
		room->keys[0] = i;
		const struct rep_part part = part_of(room, REP_F32);
		assert_int_equal(rep_fetch_send(client, NULL, &part, 1, NULL), REP_OK);
	}
}

static void a_pipeline_is_answered_in_its_order(void **state)
{
	(void)state;
	struct peer peer;
	rep_client *client = open_client(&peer);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_fetched fetched;
	send_all(client, &room);
	for (unsigned i = 0; i < PIPELINED / 2; i++) {
		assert_int_equal(rep_fetch_receive(client, &part, 1, &fetched, NULL), REP_OK);
		assert_int_equal(peer.first_key, i);
		assert_int_equal(fetched.lag_ms, i + 1);
	}
	/* One that is not of the pipeline: those before it are answered first, and kept as they were. */
	room.keys[0] = 1000;
	assert_int_equal(rep_fetch(client, NULL, &part, 1, &fetched, NULL), REP_OK);
	assert_int_equal(peer.first_key, 1000);
	assert_int_equal(fetched.lag_ms, PIPELINED + 1);
	for (unsigned i = PIPELINED / 2; i < PIPELINED; i++) {
		memset(room.rows, 0, sizeof room.rows);
		assert_int_equal(rep_fetch_receive(client, &part, 1, &fetched, NULL), REP_OK);
		assert_counts_up(room.rows, sizeof room.rows);
		assert_int_equal(fetched.lag_ms, i + 1);
	}
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_BAD_REQUEST);
	assert_int_equal(peer.fetches, PIPELINED + 1);
	end(client, &peer);
}

static void an_error_of_what_was_asked_takes_nothing_else_along(void **state)
{
	(void)state;
	const struct error refusal = {STATUS_BUSY, "reader is 2.1 s behind"};
	struct peer peer;
	rep_client *client = open_client(&peer);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	struct rep_error err;
	send_all(client, &room);
	peer.refuse = &refusal;
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, &err), REP_BUSY);
	assert_string_equal(err.text, refusal.text);
	peer.refuse = NULL;
	for (unsigned i = 1; i < PIPELINED; i++) {
		assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_OK);
	}
	assert_int_equal(peer.hellos, 1);
	end(client, &peer);
}

static void a_failure_loses_what_was_under_way_and_nothing_after_it(void **state)
{
	(void)state;
	struct peer peer;
	rep_client *client = open_client(&peer);
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	send_all(client, &room);
	peer.fails = STATUS_NO_MEMORY;
	assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_NO_MEMORY);
	peer.fails = STATUS_OK;
	for (unsigned i = 1; i < PIPELINED; i++) {
		assert_int_equal(rep_fetch_receive(client, &part, 1, NULL, NULL), REP_CLOSED);
	}
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, NULL), REP_OK);
	assert_int_equal(peer.hellos, 2);
	assert_int_equal(peer.fetches, 1);
	end(client, &peer);
}

static void a_library_of_another_build_is_refused_and_its_peer_stays_its_own(void **state)
{
	(void)state;
	struct embedded other[2] = {ways, ways};
	other[0].version = "0.0.9";
	other[1].bytes--;
	for (size_t i = 0; i < 2; i++) {
		rep_client *client = NULL;
		struct peer peer = {.daemon = {.dtype = "f32"}};
		struct error err;
		assert_int_equal(repstore_embedded_open(&other[i], &peer, "a folder", &client,
					 &err),
			STATUS_UNSUPPORTED);
		assert_non_null(strstr(err.text, REPSTORE_VERSION));
		assert_null(client);
		assert_int_equal(peer.closed, 0);
	}
}

static void the_context_is_found_by_who_gave_it(void **state)
{
	(void)state;
	const struct embedded other = ways;
	struct peer peer;
	rep_client *client = open_client(&peer);
	assert_ptr_equal(repstore_embedded_context(client, &ways), &peer);
	assert_null(repstore_embedded_context(client, &other));
	end(client, &peer);
}

static bool attempt(void *arg)
{
	(void)arg;
	struct peer peer = {.daemon = {.dtype = "f32"}};
	rep_client *client = NULL;
	struct room room = {0};
	struct rep_part part = part_of(&room, REP_F32);
	wire_writer_reserve(&peer.out, ANSWER_BYTES); /* the fake daemon writes into what it gets */
	if (peer.out.status != STATUS_OK ||
		repstore_embedded_open(&ways, &peer, "a folder", &client, NULL) != STATUS_OK) {
		peer_close(&peer);
		return false;
	}
	const bool is_done = rep_fetch_send(client, NULL, &part, 1, NULL) == REP_OK &&
			     rep_fetch(client, NULL, &part, 1, NULL, NULL) == REP_OK &&
			     rep_fetch_receive(client, &part, 1, NULL, NULL) == REP_OK;
	rep_close(client);
	return is_done && peer.closed == 1;
}

static void refused_memory_is_reported_and_nothing_leaks(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(attempt, NULL) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_arrive_and_how_old_they_may_be_is_told),
		cmocka_unit_test(each_call_has_its_time),
		cmocka_unit_test(a_pipeline_is_answered_in_its_order),
		cmocka_unit_test(an_error_of_what_was_asked_takes_nothing_else_along),
		cmocka_unit_test(a_failure_loses_what_was_under_way_and_nothing_after_it),
		cmocka_unit_test(a_library_of_another_build_is_refused_and_its_peer_stays_its_own),
		cmocka_unit_test(the_context_is_found_by_who_gave_it),
		cmocka_unit_test(refused_memory_is_reported_and_nothing_leaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
