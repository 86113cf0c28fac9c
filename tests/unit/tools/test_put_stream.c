/* test_put_stream.c - an import into a sealed release: order,
 * busy daemons, and where it stopped. */
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/fake_server.h"
#include "tools/command/put_stream.h"
#include "tools/format/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How long an import goes on when the daemon stays busy. A test in which that ends must not let a
 * slow machine decide that it has. */
enum { BUSY_SOON_MS = 50, BUSY_NEVER_MS = 3600 * 1000 };
enum { CHUNKS = 60, ROWS = 2, DIM = 3, KEYS = CHUNKS + 1 };

static const struct rep_table_spec spec = {.name = "ur",
	.dtype = REP_I8,
	.key_type = REP_KEY_U64,
	.dim = DIM,
	.views = 1};

/* ---- a source ---- */

/* Chunk i, from 1, has a row of key i and one of key 0, all of whose columns say i. The memory is
 * one chunk's. */
struct counting {
	struct source source; /* first */
	unsigned fail_at;     /* this chunk is wrong; 0: none */
	unsigned next;
	uint64_t keys[ROWS];
	int8_t rows[ROWS * DIM];
	float scales[ROWS];
	int64_t times[ROWS];
	uint64_t tags[ROWS];
};

static enum status next_chunk(struct source *source, struct rep_rows *out, struct error *err)
{
	struct counting *counting = (struct counting *)source;
	unsigned i = ++counting->next;
	memset(counting->rows, (int)i, sizeof counting->rows);
	for (unsigned j = 0; j < ROWS; j++) {
		counting->keys[j] = j == 0 ? i : 0;
		counting->scales[j] = (float)i;
		counting->times[j] = i;
		counting->tags[j] = i;
	}
	if (i == counting->fail_at) {
		return error_set(err, STATUS_BAD_REQUEST, "line %u: wrong", i);
	}
	*out = (struct rep_rows){
		.keys = rep_keys_u64(counting->keys, i <= CHUNKS ? ROWS : 0),
		.dtype = REP_I8,
		.rows = counting->rows,
		.scales = counting->scales,
		.times = counting->times,
		.tags = counting->tags,
	};
	return STATUS_OK;
}

/* ---- a daemon ---- */

/* What became of the rows, changed by the server's thread. */
struct stored {
	uint8_t values[KEYS]; /* the chunk that each key's row is of */
	unsigned wrong;       /* rows whose columns do not say the same */
	unsigned refused;
};

/* A daemon that refuses some puts, and applies those behind them all the same. */
struct daemon {
	unsigned busy_every;  /* each so-many-th request; 0: none */
	unsigned refuse_from; /* chunks from this one; 0: none */
	enum status refuse;   /* how */
	struct stored *stored;
};

static void store_rows(const struct fake_call *call, struct stored *stored)
{
	struct wire_bytes keys = {0};
	struct wire_bytes rows = {0};
	struct wire_bytes scales = {0};
	struct wire_bytes times = {0};
	struct wire_bytes tags = {0};
	wire_bin(wire_get(call->params, "keys"), &keys);
	wire_bin(wire_get(call->params, "rows"), &rows);
	wire_bin(wire_get(call->params, "scales"), &scales);
	wire_bin(wire_get(call->params, "times"), &times);
	wire_bin(wire_get(call->params, "tags"), &tags);
	if (keys.len != ROWS * sizeof(uint64_t) || rows.len != (size_t)ROWS * DIM ||
		scales.len != ROWS * sizeof(float) || times.len != ROWS * sizeof(int64_t) ||
		tags.len != ROWS * sizeof(uint64_t)) {
		stored->wrong++;
		return;
	}
	for (size_t i = 0; i < ROWS; i++) {
		uint64_t key = 0;
		uint64_t tag = 0;
		int64_t time = 0;
		float scale = 0;
		memcpy(&key, keys.data + i * sizeof key, sizeof key);
		memcpy(&tag, tags.data + i * sizeof tag, sizeof tag);
		memcpy(&time, times.data + i * sizeof time, sizeof time);
		memcpy(&scale, scales.data + i * sizeof scale, sizeof scale);
		uint8_t value = rows.data[i * DIM];
		if (key >= KEYS || tag != value || time != value || scale != (float)value ||
			(key != 0 && key != value)) {
			stored->wrong++;
		} else {
			stored->values[key] = value;
		}
	}
}

static void answer_put(struct fake_call *call, const void *arg)
{
	const struct daemon *daemon = arg;
	struct wire_bytes rows = {0};
	wire_bin(wire_get(call->params, "rows"), &rows);
	bool busy = daemon->busy_every > 0 && call->number % daemon->busy_every == 2;
	bool refuse =
		daemon->refuse_from > 0 && rows.len > 0 && rows.data[0] >= daemon->refuse_from;
	if (busy || refuse) {
		struct error err;
		daemon->stored->refused++;
		error_set(&err, busy ? STATUS_BUSY : daemon->refuse, "no");
		rpc_write_error(call->out, call->msgid, &err);
		return;
	}
	store_rows(call, daemon->stored);
	fake_result(call);
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	wire_write_str(call->out, "sequence");
	wire_write_uint(call->out, rows.len > 0 ? rows.data[0] : 0);
	wire_write_str(call->out, "applied");
	wire_write_uint(call->out, ROWS);
}

/* ---- runs ---- */

/* Runs an import against the server. */
static enum rep_status run_against(const struct fake_server *server, unsigned fail_at,
	unsigned busy_ms, struct put_outcome *outcome, struct rep_error *err)
{
	const struct rep_options options = {.address = server->path, .timeout_ms = 10000};
	struct counting counting = {.source = {.next = next_chunk}, .fail_at = fail_at};
	struct put_stream stream = {.release = "r1",
		.table = "ur",
		.spec = &spec,
		.source = &counting.source,
		.busy_ms = busy_ms};
	enum rep_status status = rep_connect(&options, &stream.client, err);
	if (status == REP_OK) {
		status = put_stream_run(&stream, outcome, err);
	}
	rep_close(stream.client);
	return status;
}

/* What an import is given, and what a daemon does to it. */
struct trial {
	struct daemon daemon;
	unsigned fail_at;
	unsigned busy_ms; /* 0: BUSY_NEVER_MS */
};

static enum rep_status run(struct trial trial, struct stored *stored, struct put_outcome *outcome,
	struct rep_error *err)
{
	const unsigned busy_ms = trial.busy_ms != 0 ? trial.busy_ms : BUSY_NEVER_MS;
	struct fake_server server;
	trial.daemon.stored = stored;
	fake_server_start(&server, answer_put, &trial.daemon);
	enum rep_status status = run_against(&server, trial.fail_at, busy_ms, outcome, err);
	fake_server_stop(&server);
	assert_int_equal(stored->wrong, 0);
	return status;
}

static void assert_stored(const struct stored *stored, unsigned chunks)
{
	for (unsigned i = 1; i <= chunks; i++) {
		assert_int_equal(stored->values[i], i);
	}
}

static void every_row_is_put_with_its_columns(void **state)
{
	(void)state;
	struct stored stored = {0};
	struct put_outcome outcome = {0};
	struct rep_error err = {0};
	assert_int_equal(run((struct trial){0}, &stored, &outcome, &err), REP_OK);
	assert_stored(&stored, CHUNKS);
	assert_int_equal(stored.values[0], CHUNKS);
	assert_int_equal(outcome.rows, CHUNKS * ROWS);
	assert_int_equal(outcome.puts, CHUNKS);
	assert_int_equal(outcome.sequence, CHUNKS);
	assert_false(outcome.input_wrong);
}

static void what_a_busy_daemon_refused_is_put_before_what_follows(void **state)
{
	(void)state;
	for (unsigned every = 20; every > 2; every -= 4) {
		struct stored stored = {0};
		struct put_outcome outcome = {0};
		struct rep_error err = {0};
		const struct trial trial = {.daemon.busy_every = every};
		assert_int_equal(run(trial, &stored, &outcome, &err), REP_OK);
		assert_stored(&stored, CHUNKS);
		/* Every chunk has this key: the last one wins, whatever came in between. */
		assert_int_equal(stored.values[0], CHUNKS);
		assert_int_equal(outcome.rows, CHUNKS * ROWS);
		assert_int_equal(outcome.puts, CHUNKS);
		assert_true(stored.refused > 0);
	}
}

static void a_daemon_that_stays_busy_is_given_up(void **state)
{
	(void)state;
	struct stored stored = {0};
	struct put_outcome outcome = {0};
	struct rep_error err = {0};
	const struct trial trial = {
		.daemon = {.refuse_from = 30, .refuse = STATUS_BUSY},
		.busy_ms = BUSY_SOON_MS,
	};
	assert_int_equal(run(trial, &stored, &outcome, &err), REP_BUSY);
	assert_string_equal(err.text, "no");
	assert_int_equal(outcome.rows, 29 * ROWS);
	assert_false(outcome.input_wrong);
	assert_stored(&stored, 29);
}

static void any_other_error_ends_it_at_once(void **state)
{
	(void)state;
	struct stored stored = {0};
	struct put_outcome outcome = {0};
	struct rep_error err = {0};
	const struct trial trial = {.daemon = {.refuse_from = 30, .refuse = STATUS_DISK_FULL}};
	assert_int_equal(run(trial, &stored, &outcome, &err), REP_DISK_FULL);
	assert_string_equal(err.text, "no");
	assert_int_equal(outcome.rows, 29 * ROWS);
	assert_false(outcome.input_wrong);
	assert_stored(&stored, 29);
}

static void rows_before_a_wrong_one_are_put(void **state)
{
	(void)state;
	struct stored stored = {0};
	struct put_outcome outcome = {0};
	struct rep_error err = {0};
	const struct trial trial = {.daemon.busy_every = 9, .fail_at = 40};
	assert_int_equal(run(trial, &stored, &outcome, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "line 40: wrong");
	assert_int_equal(outcome.rows, 39 * ROWS);
	assert_true(outcome.input_wrong);
	assert_stored(&stored, 39);
}

static void a_put_is_about_a_mebibyte(void **state)
{
	(void)state;
	static const struct {
		enum rep_dtype dtype;
		uint32_t dim;
		uint32_t rows;
	} rows[] = {{REP_F32, 64, 4096}, {REP_I8, 64, 4096}, {REP_BIT, 64, 65536},
		{REP_F32, 1, 65536}, {REP_I8, 65536, 4}, {REP_BIT, 65536, 128}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct rep_table_spec each = {.dtype = rows[i].dtype,
			.dim = rows[i].dim,
			.views = 1};
		assert_int_equal(put_stream_rows(&each), rows[i].rows);
	}
	const struct rep_table_spec widest = {.dtype = REP_I8, .dim = 65536, .views = 16};
	assert_int_equal(put_stream_rows(&widest), 1);
}

static bool attempt(void *arg)
{
	struct put_outcome outcome = {0};
	struct rep_error err = {0};
	enum rep_status status = run_against(arg, 0, BUSY_NEVER_MS, &outcome, &err);
	if (status != REP_OK) {
		assert_int_equal(status, REP_NO_MEMORY);
	}
	return status == REP_OK;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	struct stored stored = {0};
	const struct daemon daemon = {.stored = &stored};
	struct fake_server server;
	fake_server_start(&server, answer_put, &daemon);
	assert_true(alloc_fail_each(attempt, &server) > 16);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_put_with_its_columns),
		cmocka_unit_test(what_a_busy_daemon_refused_is_put_before_what_follows),
		cmocka_unit_test(a_daemon_that_stays_busy_is_given_up),
		cmocka_unit_test(any_other_error_ends_it_at_once),
		cmocka_unit_test(rows_before_a_wrong_one_are_put),
		cmocka_unit_test(a_put_is_about_a_mebibyte),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
