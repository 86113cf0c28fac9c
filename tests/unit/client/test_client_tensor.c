/* test_client_tensor.c - tensors: requests as asked, answers as checked; fetches through them. */
#include "repstore.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/client/client_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the daemon gets wrong, and what it was asked. */
struct daemon {
	size_t short_by;   /* bytes that are missing of the data */
	const char *dtype; /* that it says */
	char *log;         /* char[512] */
	bool quiet;        /* it is not written to */
};

static void log_text(const struct daemon *daemon, struct wire_value map, const char *name)
{
	struct wire_bytes text;
	const size_t at = strlen(daemon->log);
	if (wire_str(wire_get(map, name), &text)) {
		(void)snprintf(daemon->log + at, 512 - at, " %s=%.*s", name, (int)text.len,
			(const char *)text.data);
	}
}

static void log_uints(const struct daemon *daemon, struct wire_value list)
{
	for (size_t i = 0; i < wire_size(list); i++) {
		uint64_t value = 0;
		struct wire_bytes text = {0};
		const size_t at = strlen(daemon->log);
		if (wire_uint(wire_item(list, i), &value)) {
			(void)snprintf(daemon->log + at, 512 - at, " %llu",
				(unsigned long long)value);
		} else if (wire_str(wire_item(list, i), &text)) {
			(void)snprintf(daemon->log + at, 512 - at, " %.*s", (int)text.len,
				(const char *)text.data);
		}
	}
}

static void write_spec(struct fake_call *call, const struct daemon *daemon, const char *name)
{
	wire_write_str(call->out, "tensor");
	wire_write_str(call->out, name);
	wire_write_str(call->out, "dtype");
	wire_write_str(call->out, daemon->dtype);
	wire_write_str(call->out, "shape");
	wire_write_array(call->out, 2);
	wire_write_uint(call->out, 2);
	wire_write_uint(call->out, 3);
}

/* One row of three values of 1, for a fetch. */
static void write_fetched(struct fake_call *call)
{
	const float row[3] = {1, 1, 1};
	static const char *const names[] = {"n", "dim", "views", "stride"};
	static const uint64_t values[] = {1, 3, 1, 12};
	wire_write_map(call->out, 3);
	wire_write_str(call->out, "release");
	wire_write_str(call->out, "r1");
	wire_write_str(call->out, "sequence");
	wire_write_uint(call->out, 1);
	wire_write_str(call->out, "parts");
	wire_write_array(call->out, 1);
	wire_write_map(call->out, 8);
	wire_write_str(call->out, "table");
	wire_write_str(call->out, "ur");
	for (size_t i = 0; i < 4; i++) {
		wire_write_str(call->out, names[i]);
		wire_write_uint(call->out, values[i]);
	}
	wire_write_str(call->out, "dtype");
	wire_write_str(call->out, "f32");
	wire_write_str(call->out, "found");
	wire_write_bin(call->out, "\1", 1);
	wire_write_str(call->out, "rows");
	wire_write_bin(call->out, row, sizeof row);
}

static void log_call(const struct daemon *daemon, const struct fake_call *call)
{
	struct wire_bytes sent = {0};
	if (daemon->quiet) {
		return;
	}
	const size_t at = strlen(daemon->log);
	(void)snprintf(daemon->log + at, 512 - at, "[%.*s", (int)call->method.len,
		(const char *)call->method.data);
	log_text(daemon, call->params, "release");
	log_text(daemon, call->params, "tensor");
	log_text(daemon, call->params, "dtype");
	log_uints(daemon, wire_get(call->params, "shape"));
	log_uints(daemon, wire_get(wire_item(wire_get(call->params, "parts"), 0), "through"));
	if (wire_bin(wire_get(call->params, "data"), &sent)) {
		const size_t now = strlen(daemon->log);
		(void)snprintf(daemon->log + now, 512 - now, " %zu:%d", sent.len, sent.data[0]);
	}
	const size_t end = strlen(daemon->log);
	(void)snprintf(daemon->log + end, 512 - end, "]");
}

static void answer(struct fake_call *call, const void *arg)
{
	const struct daemon *daemon = arg;
	const float data[6] = {1, 2, 3, 4, 5, 6};
	log_call(daemon, call);
	fake_result(call);
	if (fake_is(call, "tensor.get")) {
		wire_write_map(call->out, 5);
		wire_write_str(call->out, "release");
		wire_write_str(call->out, "r1");
		write_spec(call, daemon, "w");
		wire_write_str(call->out, "data");
		wire_write_bin(call->out, data, sizeof data - daemon->short_by);
	} else if (fake_is(call, "tensor.list")) {
		wire_write_map(call->out, 1);
		wire_write_str(call->out, "tensors");
		wire_write_array(call->out, 2);
		wire_write_map(call->out, 3);
		write_spec(call, daemon, "v");
		wire_write_map(call->out, 3);
		write_spec(call, daemon, "w");
	} else if (fake_is(call, "fetch")) {
		write_fetched(call);
	} else {
		wire_write_map(call->out, 0);
	}
}

static void tensors_are_asked_for_and_read(void **state)
{
	(void)state;
	char log[512] = "";
	const struct daemon daemon = {.dtype = "f32", .log = log};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer, &daemon);
	struct rep_error err;
	struct rep_tensor tensor = {
		.name = "a.weight",
		.dtype = REP_TENSOR_BF16,
		.dims = 2,
		.shape = {4, 1},
	};
	const uint16_t sent[4] = {7};
	assert_int_equal(rep_tensor_put(client, "r1", &tensor, sent, sizeof sent, &err), REP_OK);
	assert_int_equal(rep_tensor_put(client, NULL, &tensor, sent, sizeof sent, &err), REP_OK);
	void *data = NULL;
	assert_int_equal(rep_tensor_get(client, NULL, "w", &tensor, &data, &err), REP_OK);
	assert_string_equal(tensor.name, "w");
	assert_int_equal(tensor.dtype, REP_TENSOR_F32);
	assert_int_equal(tensor.dims, 2);
	assert_int_equal(tensor.shape[1], 3);
	assert_int_equal(tensor.bytes, 24);
	const float expected[6] = {1, 2, 3, 4, 5, 6};
	assert_memory_equal(data, expected, sizeof expected);
	free(data);
	struct rep_tensor *list = NULL;
	size_t count = 0;
	assert_int_equal(rep_tensor_list(client, "r1", &list, &count, &err), REP_OK);
	assert_int_equal(count, 2);
	assert_string_equal(list[0].name, "v");
	assert_int_equal(list[1].bytes, 24);
	free(list);
	assert_int_equal(rep_tensor_delete(client, NULL, "w", &err), REP_OK);
	static const char *const steps[] = {"a", "relu"};
	const uint64_t key = 7;
	float row[3];
	uint8_t found;
	struct rep_part part = {
		.table = "ur",
		.keys = rep_keys_u64(&key, 1),
		.through = steps,
		.through_count = 2,
		.rows = row,
		.rows_bytes = sizeof row,
		.found = &found,
	};
	assert_int_equal(rep_fetch(client, NULL, &part, 1, NULL, &err), REP_OK);
	assert_int_equal(part.dim, 3);
	client_fixture_end(&fake);
	assert_string_equal(log,
		"[tensor.put release=r1 tensor=a.weight dtype=bf16 4 1 8:7]"
		"[tensor.put release=live tensor=a.weight dtype=bf16 4 1 8:7]"
		"[tensor.get tensor=w][tensor.list release=r1][tensor.delete release=live tensor=w]"
		"[fetch a relu]");
}

static void what_cannot_be_right_is_not_sent(void **state)
{
	(void)state;
	char log[512] = "";
	const struct daemon daemon = {.dtype = "f32", .log = log};
	struct client_fixture fake;
	rep_client *client = client_fixture_begin(&fake, answer, &daemon);
	struct rep_error err;
	struct rep_tensor tensor = {.name = "w", .dtype = REP_TENSOR_F32, .dims = 9};
	const uint8_t data[4] = {0};
	assert_int_equal(rep_tensor_put(client, "r", &tensor, data, 4, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "shape: 9 dimensions given, 0..8 allowed");
	tensor.dims = 0;
	assert_int_equal(rep_tensor_put(client, "r", &tensor, NULL, 4, &err), REP_BAD_REQUEST);
	tensor.dtype = (enum rep_tensor_dtype)77;
	assert_int_equal(rep_tensor_put(client, "r", &tensor, data, 4, &err), REP_BAD_REQUEST);
	assert_string_equal(err.text, "dtype: 77 given");
	tensor.dtype = REP_TENSOR_U8;
	assert_int_equal(rep_tensor_put(client, "r", &tensor, data, (size_t)65 << 20, &err),
		REP_TOO_LARGE);
	memset(tensor.name, 'x', sizeof tensor.name);
	assert_int_equal(rep_tensor_put(client, "r", &tensor, data, 4, &err), REP_BAD_REQUEST);
	client_fixture_end(&fake);
	assert_string_equal(log, "");
}

static void an_answer_that_does_not_fit_closes_the_connection(void **state)
{
	(void)state;
	static const struct {
		size_t short_by;
		const char *dtype;
	} wrong[] = {{1, "f32"}, {0, "f16"}, {0, "text"}};
	for (size_t i = 0; i < 3; i++) {
		char log[512] = "";
		const struct daemon daemon = {.short_by = wrong[i].short_by,
			.dtype = wrong[i].dtype,
			.log = log};
		struct client_fixture fake;
		rep_client *client = client_fixture_begin(&fake, answer, &daemon);
		struct rep_error err;
		struct rep_tensor tensor;
		void *data = NULL;
		assert_int_equal(rep_tensor_get(client, "r", "w", &tensor, &data, &err),
			REP_PROTOCOL);
		assert_null(data);
		client_fixture_end(&fake);
	}
}

static bool attempt(void *arg)
{
	const struct fake_server *server = arg;
	const struct rep_options options = {.address = server->path};
	const struct rep_tensor scalar = {.name = "s", .dtype = REP_TENSOR_F32};
	const float sent[1] = {1};
	rep_client *client = NULL;
	struct rep_tensor tensor;
	struct rep_tensor *list = NULL;
	void *data = NULL;
	size_t count = 0;
	const bool done = rep_connect(&options, &client, NULL) == REP_OK &&
			  rep_tensor_get(client, "r", "w", &tensor, &data, NULL) == REP_OK &&
			  rep_tensor_list(client, "r", &list, &count, NULL) == REP_OK &&
			  rep_tensor_put(client, "r", &scalar, sent, sizeof sent, NULL) == REP_OK;
	free(data);
	free(list);
	rep_close(client);
	return done;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	char log[512] = "";
	const struct daemon daemon = {.dtype = "f32", .log = log, .quiet = true};
	struct fake_server server;
	fake_server_start(&server, answer, &daemon);
	assert_true(alloc_fail_each(attempt, &server) > 5);
	fake_server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tensors_are_asked_for_and_read),
		cmocka_unit_test(what_cannot_be_right_is_not_sent),
		cmocka_unit_test(an_answer_that_does_not_fit_closes_the_connection),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
