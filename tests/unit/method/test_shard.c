/* test_shard.c - shards cover the hashes, each once, and are equally large. */
#include "daemon/method/call/shard.h"
#include "schema/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void shards_follow_one_another(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= LIMIT_SCAN_SHARDS; count++) {
		uint64_t before = 0;
		const uint64_t least = count == 1 ? UINT64_MAX : UINT64_MAX / count;
		for (uint32_t i = 0; i < count; i++) {
			const struct shard shard = {.number = i, .count = count};
			const uint64_t first = shard_first(&shard);
			const uint64_t behind = shard_behind(&shard);
			assert_true(first == before);
			assert_true((behind == 0) == (i + 1 == count));
			assert_true(behind - 1 - first + 1 == least ||
				    behind - 1 - first == least); /* hashes of it, less than 2^64 */
			before = behind;
		}
		assert_true(before == 0);
	}
}

static void a_bound_is_the_exact_share(void **state)
{
	(void)state;
	const struct {
		struct shard shard;
		uint64_t first;
		uint64_t behind;
	} rows[] = {
		{{0, 1}, 0, 0},
		{{0, 2}, 0, UINT64_C(1) << 63},
		{{1, 2}, UINT64_C(1) << 63, 0},
		{{1, 3}, UINT64_C(0x5555555555555555), UINT64_C(0xaaaaaaaaaaaaaaaa)},
		{{5, 7}, UINT64_C(0xb6db6db6db6db6db), UINT64_C(0xdb6db6db6db6db6d)},
		{{1023, 1024}, UINT64_C(1023) << 54, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(shard_first(&rows[i].shard) == rows[i].first);
		assert_true(shard_behind(&rows[i].shard) == rows[i].behind);
	}
}

/* A params map with `shard`, read; `text` is what the error must hold. */
struct asked {
	struct wire_writer writer;
	struct error err;
};

static struct shard read_shard(struct asked *asked, enum status *status)
{
	static const char *const names[] = {"shard", NULL};
	struct wire_message *message = NULL;
	assert_int_equal(wire_open(asked->writer.data, asked->writer.len, &message), STATUS_OK);
	struct params params;
	params_begin(&params, wire_root(message), "", names, &asked->err);
	const struct shard shard = shard_read(&params, "shard");
	*status = params.status;
	wire_close(message);
	wire_writer_fini(&asked->writer);
	return shard;
}

static void begin(struct asked *asked)
{
	*asked = (struct asked){0};
	wire_write_map(&asked->writer, 1);
	wire_write_str(&asked->writer, "shard");
}

static void left_out_it_is_the_whole(void **state)
{
	(void)state;
	struct asked asked;
	enum status status;
	begin(&asked);
	wire_write_nil(&asked.writer);
	const struct shard shard = read_shard(&asked, &status);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(shard.number, 0);
	assert_int_equal(shard.count, 1);
}

static void a_pair_is_read(void **state)
{
	(void)state;
	struct asked asked;
	enum status status;
	begin(&asked);
	wire_write_array(&asked.writer, 2);
	wire_write_uint(&asked.writer, 1023);
	wire_write_uint(&asked.writer, 1024);
	const struct shard shard = read_shard(&asked, &status);
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(shard.number, 1023);
	assert_int_equal(shard.count, 1024);
}

static void numbers_out_of_bounds_are_named(void **state)
{
	(void)state;
	static const uint64_t pairs[][2] = {{0, 0}, {1, 1}, {8, 8}, {0, 1025}, {1024, 1024},
		{UINT64_MAX, 2}, {0, UINT64_MAX}, {UINT64_C(1) << 32, 2}, {0, UINT64_C(1) << 32}};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct asked asked;
		enum status status;
		char given[64];
		begin(&asked);
		wire_write_array(&asked.writer, 2);
		wire_write_uint(&asked.writer, pairs[i][0]);
		wire_write_uint(&asked.writer, pairs[i][1]);
		(void)read_shard(&asked, &status);
		assert_int_equal(status, STATUS_BAD_REQUEST);
		snprintf(given, sizeof given, "shard: [%llu, %llu] given, ",
			(unsigned long long)pairs[i][0], (unsigned long long)pairs[i][1]);
		assert_non_null(strstr(asked.err.text, given));
		assert_non_null(strstr(asked.err.text, "1..1024"));
	}
}

static void other_things_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct asked asked;
		enum status status;
		begin(&asked);
		if (i == 0) {
			wire_write_uint(&asked.writer, 1);
		} else if (i == 1) {
			wire_write_str(&asked.writer, "0/2");
		} else {
			wire_write_array(&asked.writer, i - 1);
			for (unsigned j = 0; j < i - 1; j++) {
				if (i == 3) {
					wire_write_str(&asked.writer, "1");
				} else {
					wire_write_uint(&asked.writer, 1);
				}
			}
		}
		(void)read_shard(&asked, &status);
		assert_int_equal(status, STATUS_BAD_REQUEST);
		assert_non_null(strstr(asked.err.text, "shard: "));
		assert_non_null(strstr(asked.err.text, "[i, n] allowed"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shards_follow_one_another),
		cmocka_unit_test(a_bound_is_the_exact_share),
		cmocka_unit_test(left_out_it_is_the_whole),
		cmocka_unit_test(a_pair_is_read),
		cmocka_unit_test(numbers_out_of_bounds_are_named),
		cmocka_unit_test(other_things_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
