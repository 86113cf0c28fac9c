/* test_read_buffer.c - messages out of pieces, in memory that is bounded; heads of messages. */
#include "daemon/net/read_buffer.h"
#include "schema/limits.h"
#include "schema/rpc.h"
#include "schema/rpc_head.h"
#include "tests/unit/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Messages one after the other: each a bin of `sizes[i]` bytes that are all (uint8_t)i. */
static void write_bins(struct wire_writer *writer, const size_t *sizes, size_t count)
{
	writer->limit = SIZE_MAX / 2;
	for (size_t i = 0; i < count; i++) {
		uint8_t *space = wire_write_bin_space(writer, sizes[i]);
		assert_non_null(space);
		memset(space, (int)i, sizes[i]);
	}
	assert_int_equal(writer->status, STATUS_OK);
}

static bool is_filled(const uint8_t *data, size_t len, uint8_t with)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] != with) {
			return false;
		}
	}
	return true;
}

/* Puts up to `step` bytes in; false when memory was refused. */
static bool feed(struct read_buffer *buffer, const struct wire_writer *from, size_t *at,
	size_t step)
{
	uint8_t *space;
	size_t len;
	if (read_buffer_space(buffer, &space, &len) != STATUS_OK) {
		return false;
	}
	size_t rest = from->len - *at;
	len = len < step ? len : step;
	len = len < rest ? len : rest;
	memcpy(space, from->data + *at, len);
	read_buffer_filled(buffer, len);
	*at += len;
	return true;
}

static const size_t mixed_sizes[] = {0, 1, 100, 65535, 3, 70000, 65000, 65000, 5, 3 << 20, 1, 2,
	(3 << 20) + 5000, 9, 200000, 131072, 0};
enum { MIXED_COUNT = sizeof mixed_sizes / sizeof mixed_sizes[0] };

/* Feeds the mixed messages in steps; takes every `take_each`-th, is done with the others. */
static bool pass_mixed(const struct wire_writer *all, size_t step, size_t take_each)
{
	struct budget budget = {.limit = 64 << 20, .whole = 64 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer buffer = {.holder = &holder};
	struct read_message message;
	struct read_taken taken;
	size_t fed = 0;
	size_t i = 0;
	bool works = true;
	while (works && i < MIXED_COUNT) {
		enum status status = read_buffer_next(&buffer, &message);
		if (status == STATUS_AGAIN) {
			works = feed(&buffer, all, &fed, step);
			continue;
		}
		assert_int_equal(status, STATUS_OK);
		size_t head = message.len - mixed_sizes[i];
		assert_true(is_filled(message.data + head, mixed_sizes[i], (uint8_t)i));
		if (i % take_each == 0) {
			works = read_buffer_take(&buffer, 10, &taken) == STATUS_OK;
			if (!works) {
				break;
			}
			assert_int_equal(taken.len, head + mixed_sizes[i]);
			assert_true(is_filled(taken.data + head, mixed_sizes[i], (uint8_t)i));
			budget_give(&holder, taken.charged);
			free(taken.data);
		} else {
			read_buffer_done(&buffer);
		}
		i++;
	}
	read_buffer_fini(&buffer);
	assert_int_equal(budget_used(&budget), 0);
	return works;
}

static void messages_of_any_size_come_out_whole(void **state)
{
	static const size_t steps[] = {1 << 20, 65536, 10007, 4096, 777};
	struct wire_writer all = {0};
	(void)state;
	write_bins(&all, mixed_sizes, MIXED_COUNT);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		for (size_t take_each = 1; take_each < 4; take_each++) {
			assert_true(pass_mixed(&all, steps[i], take_each));
		}
	}
	wire_writer_fini(&all);
}

/* Each allocation in turn. Some may fail unnoticed: a buffer that cannot shrink stays big. */
static void refused_memory_loses_nothing(void **state)
{
	struct wire_writer all = {0};
	size_t skip = 0;
	bool refused = true;
	(void)state;
	write_bins(&all, mixed_sizes, MIXED_COUNT);
	for (; refused; skip++) {
		alloc_fail_arm(skip);
		bool works = pass_mixed(&all, 10007, 2);
		refused = alloc_fail_disarm();
		assert_true(works || refused);
	}
	assert_true(skip > 10);
	wire_writer_fini(&all);
}

static void a_big_message_is_given_away_with_its_buffer(void **state)
{
	static const size_t sizes[] = {10, 4 << 20, 20};
	struct budget budget = {.limit = 64 << 20, .whole = 64 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer buffer = {.holder = &holder};
	struct wire_writer all = {0};
	struct read_message message;
	struct read_taken taken;
	size_t fed = 0;
	(void)state;
	write_bins(&all, sizes, 3);
	assert_true(feed(&buffer, &all, &fed, SIZE_MAX));
	assert_int_equal(read_buffer_next(&buffer, &message), STATUS_OK);
	read_buffer_done(&buffer);
	while (read_buffer_next(&buffer, &message) == STATUS_AGAIN) {
		assert_true(feed(&buffer, &all, &fed, SIZE_MAX));
	}
	const uint8_t *before = message.data;
	assert_int_equal(read_buffer_take(&buffer, 0, &taken), STATUS_OK);
	assert_ptr_equal(taken.data, before);
	assert_in_range(taken.charged, taken.len, taken.len + READ_BUFFER_SLACK_BYTES + 64);
	assert_int_equal(budget_used(&budget), taken.charged);
	while (read_buffer_next(&buffer, &message) == STATUS_AGAIN) {
		assert_true(feed(&buffer, &all, &fed, SIZE_MAX));
	}
	assert_int_equal(message.len, 22);
	free(taken.data);
	budget_give(&holder, taken.charged);
	read_buffer_fini(&buffer);
	wire_writer_fini(&all);
}

static void growing_waits_for_the_budget(void **state)
{
	static const size_t sizes[] = {1 << 20};
	struct budget budget = {.limit = 1 << 20, .whole = 2 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer buffer = {.holder = &holder};
	struct wire_writer all = {0};
	struct read_message message;
	size_t fed = 0;
	uint8_t *space;
	size_t len;
	(void)state;
	write_bins(&all, sizes, 1);
	while (feed(&buffer, &all, &fed, SIZE_MAX)) {
		assert_int_equal(read_buffer_next(&buffer, &message), STATUS_AGAIN);
	}
	assert_int_equal(read_buffer_space(&buffer, &space, &len), STATUS_BUSY);
	budget.limit = 2 << 20;
	while (read_buffer_next(&buffer, &message) == STATUS_AGAIN) {
		assert_true(feed(&buffer, &all, &fed, SIZE_MAX));
	}
	struct read_taken taken;
	assert_int_equal(read_buffer_take(&buffer, 2 << 20, &taken), STATUS_BUSY);
	assert_int_equal(read_buffer_next(&buffer, &message), STATUS_OK);
	read_buffer_done(&buffer);
	assert_int_equal(budget_used(&budget), 0);
	read_buffer_fini(&buffer);
	wire_writer_fini(&all);
}

/* A head says 60 MiB, and what follows comes in pieces of any size. */
static void only_what_has_come_takes_memory(void **state)
{
	static const size_t sizes[] = {60 << 20};
	static const size_t steps[] = {5, 4096, 100000, SIZE_MAX};
	struct wire_writer all = {0};
	(void)state;
	write_bins(&all, sizes, 1);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct budget budget = {.limit = 256 << 20, .whole = 128 << 20};
		struct budget_user user = {0};
		struct budget_holder holder = {.budget = &budget, .user = &user};
		struct read_buffer buffer = {.holder = &holder};
		struct read_message message;
		size_t fed = 0;
		for (unsigned step = 0; step < 1000 && fed < all.len; step++) {
			assert_true(feed(&buffer, &all, &fed, steps[i]));
			(void)read_buffer_next(&buffer, &message);
			assert_in_range(budget_used(&budget), 0,
				fed < READ_BUFFER_BASE_BYTES - READ_BUFFER_SLACK_BYTES ? 0
										       : 4 * fed);
		}
		read_buffer_fini(&buffer);
		assert_int_equal(budget_used(&budget), 0);
	}
	wire_writer_fini(&all);
}

static void idle_buffers_share_one_piece_of_memory(void **state)
{
	static const size_t sizes[] = {10};
	struct budget budget = {.limit = 1 << 20, .whole = 2 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer first = {.holder = &holder};
	struct read_buffer second = {.holder = &holder};
	struct read_message message;
	struct wire_writer all = {0};
	uint8_t *spare = NULL;
	size_t fed = 0;
	(void)state;
	write_bins(&all, sizes, 1);
	read_buffer_borrow(&first, &spare);
	assert_true(feed(&first, &all, &fed, 5));
	/* Half a message keeps its memory. */
	read_buffer_rest(&first, &spare);
	assert_null(spare);
	assert_true(feed(&first, &all, &fed, SIZE_MAX));
	assert_int_equal(read_buffer_next(&first, &message), STATUS_OK);
	read_buffer_done(&first);
	read_buffer_rest(&first, &spare);
	assert_non_null(spare);
	assert_null(first.data);
	const uint8_t *shared = spare;
	read_buffer_borrow(&second, &spare);
	assert_ptr_equal(second.data, shared);
	fed = 0;
	assert_true(feed(&first, &all, &fed, SIZE_MAX));
	read_buffer_fini(&first);
	read_buffer_rest(&second, &spare);
	assert_ptr_equal(spare, shared);
	free(spare);
	wire_writer_fini(&all);
}

/* What a peer can ask for with a few bytes. */
static void many_small_values_grow_to_the_limit_and_no_further(void **state)
{
	struct budget budget = {.limit = 256 << 20, .whole = 128 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer buffer = {.holder = &holder};
	struct read_message message;
	static const uint8_t head[] = {0xdd, 0x00, 0x0f, 0x00, 0x00}; /* 983,040 elements */
	uint8_t *space;
	size_t len;
	size_t grown = 0;
	size_t cap = 0;
	(void)state;
	assert_int_equal(read_buffer_space(&buffer, &space, &len), STATUS_OK);
	memcpy(space, head, sizeof head);
	read_buffer_filled(&buffer, sizeof head);
	enum status status;
	while ((status = read_buffer_next(&buffer, &message)) == STATUS_AGAIN) {
		assert_int_equal(read_buffer_space(&buffer, &space, &len), STATUS_OK);
		grown += buffer.cap != cap;
		cap = buffer.cap;
		/* str 8 of 90 bytes, over and over, cut anywhere. */
		for (size_t i = 0; i < len; i++) {
			size_t at = (buffer.len + i - sizeof head) % 92;
			space[i] = at == 0 ? 0xd9 : at == 1 ? 90 : 'x';
		}
		read_buffer_filled(&buffer, len);
	}
	assert_int_equal(status, STATUS_TOO_LARGE);
	assert_in_range(buffer.cap, 1, LIMIT_MESSAGE_BYTES + READ_BUFFER_SLACK_BYTES);
	assert_in_range(grown, 1, 30);
	read_buffer_fini(&buffer);
	assert_int_equal(budget_used(&budget), 0);
}

/* A bin of nearly the limit, and more elements than fit behind it: what the message is known to
 * need is more than a buffer ever has. */
static void more_than_the_limit_can_be_announced_but_not_sent(void **state)
{
	struct budget budget = {.limit = 256 << 20, .whole = 128 << 20};
	struct budget_user user = {0};
	struct budget_holder holder = {.budget = &budget, .user = &user};
	struct read_buffer buffer = {.holder = &holder};
	struct read_message message;
	/* 983,040 elements, the first a bin of 65 MiB - 4096. */
	static const uint8_t head[] = {0xdd, 0, 0x0f, 0, 0, 0xc6, 0x04, 0x0f, 0xf0, 0};
	uint8_t *space;
	size_t len;
	bool needed_more = false;
	(void)state;
	assert_int_equal(read_buffer_space(&buffer, &space, &len), STATUS_OK);
	memcpy(space, head, sizeof head);
	read_buffer_filled(&buffer, sizeof head);
	enum status status;
	while ((status = read_buffer_next(&buffer, &message)) == STATUS_AGAIN) {
		assert_int_equal(read_buffer_space(&buffer, &space, &len), STATUS_OK);
		assert_true(len > 0);
		needed_more = needed_more || buffer.skim.need > LIMIT_MESSAGE_BYTES;
		memset(space, 0, len); /* behind the bin, small integers */
		read_buffer_filled(&buffer, len);
	}
	assert_true(needed_more);
	assert_int_equal(status, STATUS_TOO_LARGE);
	assert_true(buffer.len >= LIMIT_MESSAGE_BYTES);
	assert_in_range(buffer.cap, 1, LIMIT_MESSAGE_BYTES + READ_BUFFER_SLACK_BYTES);
	read_buffer_fini(&buffer);
	assert_int_equal(budget_used(&budget), 0);
}

/* ---- heads ---- */

static void heads_are_read_in_every_width(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		enum rpc_head_reach reach;
		uint32_t msgid;
	} cases[] = {
		{"\x94\x00\x05\xa4ping", 8, RPC_HEAD_WHOLE, 5},
		{"\xdc\x00\x04\x00\xcc\xff\xd9\x04ping", 12, RPC_HEAD_WHOLE, 255},
		{"\xdd\x00\x00\x00\x04\xcc\x00\xce\xff\xff\xff\xff\xc4\x04ping", 18, RPC_HEAD_WHOLE,
			UINT32_MAX},
		{"\x94\x00\xcf\x00\x00\x00\x00\x00\x00\x00\x07\xda\x00\x04ping", 18, RPC_HEAD_WHOLE,
			7},
		{"\x94\x00\xd1\x01\x00\xdb\x00\x00\x00\x04ping", 14, RPC_HEAD_WHOLE, 256},
		{"\x94\xca\x00\x00\x00\x00\xcb\x40\x1c\0\0\0\0\0\0\xa4ping", 20, RPC_HEAD_WHOLE, 7},
		{"\x94\x00\xcb\x3f\xe0\0\0\0\0\0\0\xa4ping", 16, RPC_HEAD_NONE, 0},
		{"\x94\x00\xcb\x41\xf0\0\0\0\0\0\0\xa4ping", 16, RPC_HEAD_NONE, 0},
		{"\x94\x00\xcb\xbf\xf0\0\0\0\0\0\0\xa4ping", 16, RPC_HEAD_NONE, 0},
		{"\x94\x00\xcb\x40\x1c\0\0", 7, RPC_HEAD_NONE, 0},
		{"\x93\x02\xa4ping", 7, RPC_HEAD_WHOLE, 0},
		{"\x94\x00\x05\xa4pin", 7, RPC_HEAD_MSGID, 5},
		{"\x94\x00\x05\xa0", 4, RPC_HEAD_MSGID, 5},
		{"\x94\x00\x05\x07", 4, RPC_HEAD_MSGID, 5},
		{"\x92\x00\x05\xa1", 4, RPC_HEAD_MSGID, 5},
		{"\x95\x00\x05\xa1p", 5, RPC_HEAD_MSGID, 5},
		{"\x91\x00\x05\xa1p", 5, RPC_HEAD_NONE, 0},
		{"\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x07\xa1p", 13, RPC_HEAD_NONE, 0},
		{"\x94\x00\xff\xa1p", 5, RPC_HEAD_NONE, 0},
		{"\x94\x00\xd0\xff\xa1p", 6, RPC_HEAD_NONE, 0},
		{"\x94\x01\x05\xa1p", 5, RPC_HEAD_NONE, 0},
		{"\x94\x02\xa1p", 4, RPC_HEAD_NONE, 0},
		{"\x84\x00\x05", 3, RPC_HEAD_NONE, 0},
		{"\x94\x00", 2, RPC_HEAD_NONE, 0},
		{"\x94", 1, RPC_HEAD_NONE, 0},
		{"", 0, RPC_HEAD_NONE, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rpc_head head = {0};
		/* In memory of its own, so that a byte read beyond it is found. */
		uint8_t *data = malloc(cases[i].len + 1);
		memcpy(data, cases[i].data, cases[i].len);
		data = realloc(data, cases[i].len > 0 ? cases[i].len : 1);
		assert_int_equal(rpc_head_read(data, cases[i].len, &head), cases[i].reach);
		if (cases[i].reach != RPC_HEAD_NONE) {
			assert_int_equal(head.msgid, cases[i].msgid);
		}
		if (cases[i].reach == RPC_HEAD_WHOLE) {
			assert_memory_equal(head.method.data, "ping", 4);
		}
		free(data);
	}
}

static void a_method_name_has_a_longest_length(void **state)
{
	struct wire_writer writer = {0};
	char name[LIMIT_METHOD_BYTES + 2];
	struct rpc_head head;
	(void)state;
	memset(name, 'm', sizeof name);
	name[LIMIT_METHOD_BYTES] = '\0';
	rpc_write_request(&writer, 1, name);
	assert_int_equal(rpc_head_read(writer.data, writer.len, &head), RPC_HEAD_WHOLE);
	wire_writer_clear(&writer);
	name[LIMIT_METHOD_BYTES] = 'm';
	name[LIMIT_METHOD_BYTES + 1] = '\0';
	rpc_write_request(&writer, 1, name);
	assert_int_equal(rpc_head_read(writer.data, writer.len, &head), RPC_HEAD_MSGID);
	wire_writer_fini(&writer);
}

static void a_param_is_found_without_a_parse(void **state)
{
	static const struct {
		const char *data; /* the params */
		size_t len;
		bool is_found;
		uint64_t value;
	} cases[] = {
		{"\x91\x81\xa1t\x05", 5, true, 5},
		{"\x91\x81\xc4\x01t\xcd\x01\x00", 8, true, 256},
		{"\x91\x82\xa1x\x92\x81\x01\x02\xc4\x03...\xa1t\xcb\x40\x1c\0\0\0\0\0\0", 24, true,
			7},
		{"\x91\xde\x00\x02\xa1x\xc7\x02\x01..\xa1t\xcc\x80", 15, true, 128},
		{"\x91\x81\xa1t\xa1t", 6, false, 0},
		{"\x91\x81\xa1t\xff", 5, false, 0},
		{"\x91\x81\xa1t\xc0", 5, false, 0},
		{"\x91\x81\xa2tt\x05", 6, false, 0},
		{"\x91\x81\x01\x05", 4, false, 0},
		{"\x91\x81\xa1x\x81\xa1t\x05", 8, false, 0},
		{"\x91\x80", 2, false, 0},
		{"\x91\x05", 2, false, 0},
		{"\x90", 1, false, 0},
		{"\x80", 1, false, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (unsigned type = 0; type <= 2; type += 2) {
			static const char *const heads[] = {"\x94\x00\x05\xa1m", "",
				"\x93\x02\xa1m"};
			const size_t head_len = type == 0 ? 5 : 4;
			uint64_t value = 0;
			uint8_t *data = malloc(head_len + cases[i].len);
			memcpy(data, heads[type], head_len);
			memcpy(data + head_len, cases[i].data, cases[i].len);
			assert_int_equal(rpc_param_read(data, head_len + cases[i].len, "t", &value),
				cases[i].is_found);
			if (cases[i].is_found) {
				assert_int_equal(value, cases[i].value);
			}
			free(data);
		}
	}
}

/* `t` behind an array of so many values. */
static void a_param_is_looked_for_so_far(void **state)
{
	(void)state;
	for (unsigned count = 1000; count <= 2000; count += 1000) {
		struct wire_writer writer = {0};
		uint64_t value = 0;
		rpc_write_request(&writer, 1, "m");
		wire_write_map(&writer, 2);
		wire_write_str(&writer, "x");
		wire_write_array(&writer, count);
		for (unsigned i = 0; i < count; i++) {
			wire_write_uint(&writer, i);
		}
		wire_write_str(&writer, "t");
		wire_write_uint(&writer, 9);
		assert_int_equal(rpc_param_read(writer.data, writer.len, "t", &value),
			count == 1000);
		wire_writer_fini(&writer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_any_size_come_out_whole),
		cmocka_unit_test(refused_memory_loses_nothing),
		cmocka_unit_test(a_big_message_is_given_away_with_its_buffer),
		cmocka_unit_test(growing_waits_for_the_budget),
		cmocka_unit_test(only_what_has_come_takes_memory),
		cmocka_unit_test(idle_buffers_share_one_piece_of_memory),
		cmocka_unit_test(many_small_values_grow_to_the_limit_and_no_further),
		cmocka_unit_test(more_than_the_limit_can_be_announced_but_not_sent),
		cmocka_unit_test(heads_are_read_in_every_width),
		cmocka_unit_test(a_method_name_has_a_longest_length),
		cmocka_unit_test(a_param_is_found_without_a_parse),
		cmocka_unit_test(a_param_is_looked_for_so_far),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
