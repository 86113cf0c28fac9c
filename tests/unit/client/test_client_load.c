/* test_client_load.c - loads: chunks under way, going on, giving up. */
#include "repstore.h"
#include "schema/limits.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DIM = 4, ROW_BYTES = DIM * 4 };

/* A daemon that takes loads into table 'ur', u64 keys, f32. */
struct loader {
	const char *state;       /* of the release; "open" */
	uint64_t next_chunk;     /* what release.show says; 0: no load */
	uint64_t rows;           /* held already */
	uint64_t refuse_chunk;   /* answered with BUSY; 0: none */
	uint64_t wrong_chunk;    /* acknowledged as if it had not come; 0: none */
	uint64_t close_at_chunk; /* 0: never */
	bool hold;               /* answers 16 at once, the last one first */
	/* What came, changed by the server's thread. */
	struct seen {
		uint64_t chunks;
		uint64_t rows;
		uint64_t row_sum; /* of all bytes of all rows */
		uint64_t ended_chunks;
		uint64_t ended_rows;
		unsigned aborts;
		uint32_t held[LIMIT_CHUNKS_IN_FLIGHT];
		unsigned held_count;
	} * seen;
};

static void write_uint(struct wire_writer *out, const char *name, uint64_t value)
{
	wire_write_str(out, name);
	wire_write_uint(out, value);
}

static void write_str(struct wire_writer *out, const char *name, const char *value)
{
	wire_write_str(out, name);
	wire_write_str(out, value);
}

static void answer_show(struct fake_call *call, const struct loader *loader)
{
	struct wire_writer *out = call->out;
	fake_result(call);
	wire_write_map(out, 3);
	write_str(out, "state", loader->state != NULL ? loader->state : "open");
	wire_write_str(out, "table_list");
	wire_write_array(out, 1);
	wire_write_map(out, 4);
	write_str(out, "table", "ur");
	write_uint(out, "dim", DIM);
	write_uint(out, "views", 1);
	write_str(out, "dtype", "f32");
	wire_write_str(out, "loads");
	wire_write_array(out, loader->next_chunk > 0 ? 2 : 1);
	wire_write_map(out, 4);
	write_str(out, "table", "ur");
	write_str(out, "load", "other");
	write_uint(out, "next_chunk", 99);
	write_uint(out, "rows", 99);
	if (loader->next_chunk > 0) {
		wire_write_map(out, 4);
		write_str(out, "table", "ur");
		write_str(out, "load", "l");
		write_uint(out, "next_chunk", loader->next_chunk);
		write_uint(out, "rows", loader->rows);
	}
}

static void write_progress(struct wire_writer *out, uint32_t msgid, uint64_t next)
{
	rpc_write_response(out, msgid);
	wire_write_map(out, 2);
	write_uint(out, "next_chunk", next);
	write_uint(out, "rows", 0);
}

static void answer_chunk(struct fake_call *call, const struct loader *loader)
{
	uint64_t chunk = 0;
	struct wire_bytes keys = {0};
	struct wire_bytes rows = {0};
	wire_uint(wire_get(call->params, "chunk"), &chunk);
	wire_bin(wire_get(call->params, "keys"), &keys);
	wire_bin(wire_get(call->params, "rows"), &rows);
	struct seen *seen = loader->seen;
	if (loader->close_at_chunk > 0 && chunk == loader->close_at_chunk) {
		call->close = true;
		return;
	}
	if (loader->refuse_chunk > 0 && chunk >= loader->refuse_chunk) {
		struct error err;
		error_set(&err, chunk == loader->refuse_chunk ? STATUS_BUSY : STATUS_GAP,
			"chunk %u", (unsigned)chunk);
		rpc_write_error(call->out, call->msgid, &err);
		return;
	}
	seen->chunks++;
	seen->rows += keys.len / 8;
	for (size_t i = 0; i < rows.len; i++) {
		seen->row_sum += rows.data[i];
	}
	if (loader->hold) {
		seen->held[seen->held_count++] = call->msgid;
		if (seen->held_count < LIMIT_CHUNKS_IN_FLIGHT) {
			return;
		}
		while (seen->held_count > 0) {
			seen->held_count--;
			write_progress(call->out, seen->held[seen->held_count], chunk + 1);
		}
		return;
	}
	bool wrong = loader->wrong_chunk > 0 && chunk == loader->wrong_chunk;
	write_progress(call->out, call->msgid, wrong ? chunk : chunk + 1);
}

static void answer_load(struct fake_call *call, const void *arg)
{
	const struct loader *loader = arg;
	if (fake_is(call, "release.show")) {
		answer_show(call, loader);
	} else if (fake_is(call, "load")) {
		answer_chunk(call, loader);
	} else if (fake_is(call, "load.abort")) {
		loader->seen->aborts++;
		fake_result(call);
		wire_write_map(call->out, 0);
	} else {
		wire_uint(wire_get(call->params, "chunks"), &loader->seen->ended_chunks);
		wire_uint(wire_get(call->params, "rows"), &loader->seen->ended_rows);
		fake_result(call);
		wire_write_map(call->out, 0);
	}
}

/* `count` rows whose bytes are all 1. */
struct batch {
	uint64_t *keys;
	uint8_t *data;
	struct rep_rows rows;
};

static void batch_init(struct batch *batch, uint32_t count)
{
	batch->keys = calloc((size_t)count + 1, sizeof *batch->keys);
	batch->data = malloc((size_t)count * ROW_BYTES + 1);
	assert_non_null(batch->keys);
	assert_non_null(batch->data);
	memset(batch->data, 1, (size_t)count * ROW_BYTES);
	batch->rows = (struct rep_rows){.keys = rep_keys_u64(batch->keys, count),
		.dtype = REP_F32,
		.rows = batch->data};
}

static void batch_fini(struct batch *batch)
{
	free(batch->keys);
	free(batch->data);
}

static void chunks_of_any_size_arrive_whole(void **state)
{
	(void)state;
	const uint32_t counts[] = {1, 100000, 0, 7, 260000, 3};
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
	rep_load *load = NULL;
	uint64_t next = 7;
	uint64_t rows = 0;
	uint64_t sent = 0;
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, &next, NULL), REP_OK);
	assert_int_equal(next, 0);
	for (int i = 0; i < 60; i++) {
		struct batch batch;
		batch_init(&batch, counts[i % 6]);
		int64_t *times = calloc(counts[i % 6] + 1, sizeof *times);
		batch.rows.times = times;
		assert_int_equal(rep_load_chunk(load, &batch.rows, NULL), REP_OK);
		sent += counts[i % 6];
		free(times);
		batch_fini(&batch);
	}
	assert_int_equal(rep_load_end(load, &rows, NULL), REP_OK);
	assert_int_equal(rows, sent);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	client_fixture_end(&fake);
	assert_int_equal(seen.chunks, 60);
	assert_int_equal(seen.rows, sent);
	assert_int_equal(seen.row_sum, sent * ROW_BYTES);
	assert_int_equal(seen.ended_chunks, 60);
	assert_int_equal(seen.ended_rows, sent);
}

static void sixteen_chunks_are_under_way_at_once(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen, .hold = true};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
	rep_load *load = NULL;
	struct batch batch;
	batch_init(&batch, 10);
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, NULL, NULL), REP_OK);
	for (unsigned i = 0; i < 3 * LIMIT_CHUNKS_IN_FLIGHT; i++) {
		assert_int_equal(rep_load_chunk(load, &batch.rows, NULL), REP_OK);
	}
	assert_int_equal(rep_load_end(load, NULL, NULL), REP_OK);
	batch_fini(&batch);
	client_fixture_end(&fake);
	assert_int_equal(seen.rows, 30 * LIMIT_CHUNKS_IN_FLIGHT);
}

static void a_load_goes_on_where_it_stood(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen, .next_chunk = 5, .rows = 1000};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
	rep_load *load = NULL;
	uint64_t next = 0;
	struct batch batch;
	batch_init(&batch, 10);
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, &next, NULL), REP_OK);
	assert_int_equal(next, 5);
	assert_int_equal(rep_load_chunk(load, &batch.rows, NULL), REP_OK);
	assert_int_equal(rep_load_end(load, NULL, NULL), REP_OK);
	batch_fini(&batch);
	client_fixture_end(&fake);
	assert_int_equal(seen.ended_chunks, 6);
	assert_int_equal(seen.ended_rows, 1010);
}

static void a_load_needs_an_open_release_and_a_table(void **state)
{
	(void)state;
	const struct loader sealed = {.state = "live"};
	struct client_fixture fake;
	struct rep_error err = {0};
	rep_load *load = NULL;
	rep_client *client = client_fixture_begin(&fake, answer_load, &sealed);
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, NULL, &err), REP_SEALED);
	assert_null(load);
	client_fixture_end(&fake);
	const struct loader open = {.seen = NULL};
	client = client_fixture_begin(&fake, answer_load, &open);
	assert_int_equal(rep_load_begin(client, "r", "x", "l", &load, NULL, &err), REP_NOT_FOUND);
	assert_non_null(strstr(err.text, "'x'"));
	client_fixture_end(&fake);
}

static void wrong_rows_are_not_sent(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
	rep_load *load = NULL;
	struct batch batch;
	batch_init(&batch, 10);
	const float scales[10] = {0};
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, NULL, NULL), REP_OK);
	struct rep_rows wrong = batch.rows;
	wrong.keys.count = 9;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong = batch.rows;
	wrong.scales = scales;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong = batch.rows;
	wrong.dtype = REP_I8;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong.dtype = (enum rep_dtype)77;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong = batch.rows;
	wrong.rows = NULL;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong = batch.rows;
	wrong.rows_bytes = (size_t)9 * ROW_BYTES;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	wrong = batch.rows;
	wrong.if_newer = true;
	assert_int_equal(rep_load_chunk(load, &wrong, NULL), REP_BAD_REQUEST);
	batch_fini(&batch);
	batch_init(&batch, LIMIT_KEYS);
	batch.rows.dtype = REP_DTYPE_TABLE;
	batch.rows.keys.count = LIMIT_KEYS;
	batch.rows.rows_bytes = (size_t)LIMIT_KEYS * ROW_BYTES;
	/* As many keys as a request may hold. */
	assert_int_equal(rep_load_chunk(load, &batch.rows, NULL), REP_OK);
	assert_int_equal(rep_load_end(load, NULL, NULL), REP_OK);
	batch_fini(&batch);
	client_fixture_end(&fake);
	assert_int_equal(seen.chunks, 1);
}

static void the_first_failure_of_a_load_stays(void **state)
{
	(void)state;
	const struct loader loaders[] = {{.refuse_chunk = 3}, {.wrong_chunk = 3},
		{.close_at_chunk = 3}};
	const enum rep_status statuses[] = {REP_BUSY, REP_PROTOCOL, REP_CLOSED};
	for (size_t i = 0; i < 3; i++) {
		struct seen seen = {0};
		struct loader loader = loaders[i];
		loader.seen = &seen;
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
		rep_load *load = NULL;
		struct batch batch;
		struct rep_error err = {0};
		batch_init(&batch, 1000);
		assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, NULL, NULL), REP_OK);
		enum rep_status status = REP_OK;
		for (int j = 0; j < 40 && status == REP_OK; j++) {
			status = rep_load_chunk(load, &batch.rows, &err);
		}
		assert_int_equal(status, statuses[i]);
		assert_int_equal(rep_load_chunk(load, &batch.rows, &err), statuses[i]);
		if (i == 0) {
			assert_string_equal(err.text, "chunk 3");
			assert_int_equal(rep_load_abort(load, &err), REP_OK);
		} else {
			assert_int_equal(rep_load_end(load, NULL, &err), statuses[i]);
		}
		/* The client itself goes on. */
		assert_int_equal(rep_ping(client, &err), REP_OK);
		batch_fini(&batch);
		client_fixture_end(&fake);
		assert_int_equal(seen.aborts, i == 0 ? 1 : 0);
		assert_int_equal(seen.ended_chunks, 0);
	}
}

static void a_load_that_is_left_leaves_the_client_usable(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer_load, &loader);
	rep_load *load = NULL;
	struct batch batch;
	batch_init(&batch, 1000);
	assert_int_equal(rep_load_begin(client, "r", "ur", "l", &load, NULL, NULL), REP_OK);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rep_load_chunk(load, &batch.rows, NULL), REP_OK);
	}
	rep_load_leave(load);
	assert_int_equal(rep_ping(client, NULL), REP_OK);
	batch_fini(&batch);
	client_fixture_end(&fake);
	assert_int_equal(seen.chunks, 5);
	assert_int_equal(fake.server.connections, 1);
}

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	static const uint64_t keys[2] = {1, 2};
	static const float values[2 * DIM] = {0};
	const struct rep_rows rows = {.keys = rep_keys_u64(keys, 2),
		.dtype = REP_F32,
		.rows = values};
	rep_client *client = NULL;
	rep_load *load = NULL;
	struct rep_error err = {0};
	bool done = rep_connect(&options, &client, &err) == REP_OK &&
		    rep_load_begin(client, "r", "ur", "l", &load, NULL, &err) == REP_OK;
	if (done) {
		done = rep_load_chunk(load, &rows, &err) == REP_OK;
		if (done) {
			done = rep_load_end(load, NULL, &err) == REP_OK;
		} else {
			rep_load_leave(load);
		}
	}
	rep_close(client);
	if (!done) {
		assert_int_equal(err.status, REP_NO_MEMORY);
	}
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct seen seen = {0};
	const struct loader loader = {.seen = &seen};
	struct fake_server server;
	fake_server_start(&server, answer_load, &loader);
	assert_true(alloc_fail_each(attempt, &server) > 5);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_of_any_size_arrive_whole),
		cmocka_unit_test(sixteen_chunks_are_under_way_at_once),
		cmocka_unit_test(a_load_goes_on_where_it_stood),
		cmocka_unit_test(a_load_needs_an_open_release_and_a_table),
		cmocka_unit_test(wrong_rows_are_not_sent),
		cmocka_unit_test(the_first_failure_of_a_load_stays),
		cmocka_unit_test(a_load_that_is_left_leaves_the_client_usable),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
