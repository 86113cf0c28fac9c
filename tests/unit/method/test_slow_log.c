/* test_slow_log.c - the ring of slow requests, and what is read of their messages. */
#include "daemon/method/call/slow_log.h"
#include "daemon/method/call/slow_subject.h"
#include "schema/rpc_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slow_entry read_entries[SLOW_LOG_ENTRIES];

static void add(struct slow_log *log, uint64_t us)
{
	struct slow_entry entry = {.method = "fetch", .total_us = us};
	slow_log_add(log, &entry);
}

static void the_newest_are_kept(void **state)
{
	(void)state;
	struct slow_log *log = calloc(1, sizeof *log);
	assert_non_null(log);
	slow_log_init(log, 10);
	assert_int_equal(slow_log_read(log, read_entries, SLOW_LOG_ENTRIES), 0);
	for (uint64_t i = 1; i <= SLOW_LOG_ENTRIES + 5; i++) {
		add(log, i);
	}
	assert_int_equal(slow_log_read(log, read_entries, SLOW_LOG_ENTRIES), SLOW_LOG_ENTRIES);
	assert_int_equal(read_entries[0].id, SLOW_LOG_ENTRIES + 5);
	assert_int_equal(read_entries[0].total_us, SLOW_LOG_ENTRIES + 5);
	assert_int_equal(read_entries[SLOW_LOG_ENTRIES - 1].id, 6);
	assert_int_equal(slow_log_read(log, read_entries, 2), 2);
	slow_log_reset(log);
	assert_int_equal(slow_log_read(log, read_entries, SLOW_LOG_ENTRIES), 0);
	add(log, 1);
	assert_int_equal(slow_log_read(log, read_entries, SLOW_LOG_ENTRIES), 1);
	uint64_t count;
	uint64_t sum_us;
	slow_log_figures(log, &count, &sum_us);
	assert_int_equal(count, SLOW_LOG_ENTRIES + 6);
	assert_int_equal(sum_us, (SLOW_LOG_ENTRIES + 5) * (SLOW_LOG_ENTRIES + 6) / 2 + 1);
	slow_log_fini(log);
	free(log);
}

static void the_longest_names_fit_or_are_left_out(void **state)
{
	(void)state;
	struct slow_entry entry = {.method = "release.rollback", .status = STATUS_BAD_REQUEST};
	memset(entry.release, 'r', sizeof entry.release - 1);
	memset(entry.layer, 'l', sizeof entry.layer - 1);
	memset(entry.tables, 't', sizeof entry.tables - 1);
	memset(entry.peer, 'p', sizeof entry.peer - 1);
	memset(entry.client, 'c', sizeof entry.client - 1);
	memset(entry.trace, 'x', sizeof entry.trace - 1);
	char whole[1024];
	slow_entry_text(&entry, whole, sizeof whole);
	assert_non_null(strstr(whole, " trace=\"xxx"));
	const size_t len = strlen(whole);
	for (size_t size = 1; size <= len + 1; size++) {
		/* Of its own size, so that the sanitizers see a byte too many. */
		char *text = malloc(size);
		assert_non_null(text);
		slow_entry_text(&entry, text, size);
		assert_true(strlen(text) < size);
		assert_true(strlen(text) == 0 || text[strlen(text) - 1] == '"' ||
			    strchr(text, '"') == NULL); /* no value is cut */
		free(text);
	}
}

static void a_threshold_of_zero_is_none(void **state)
{
	(void)state;
	struct slow_log *log = calloc(1, sizeof *log);
	assert_non_null(log);
	slow_log_init(log, 0);
	assert_false(slow_log_wants(log, UINT64_C(3600) * 1000 * 1000 * 1000));
	assert_int_equal(slow_log_threshold_ms(log), 0);
	slow_log_set_threshold(log, 10);
	assert_int_equal(slow_log_threshold_ms(log), 10);
	assert_false(slow_log_wants(log, 9999999));
	assert_true(slow_log_wants(log, 10000000));
	slow_log_fini(log);
	free(log);
}

static void text_of_a_peer_is_made_printable(void **state)
{
	(void)state;
	static const struct {
		const char *given;
		size_t cap;
		const char *said;
	} rows[] = {
		{"ranker 1.2 (eu)", 64, "ranker 1.2 (eu)"},
		{"a\nevent=stopped \"x\" \\ '", 64, "a\\x0aevent=stopped \\x22x\\x22 \\x5c \\x27"},
		{"\x1b[2J\x7f\xc3\xa9", 64, "\\x1b[2J\\x7f\\xc3\\xa9"},
		{"abcdef", 4, "abc"},
		{"ab\n", 6, "ab"}, /* an escape is whole or not there */
		{"ab\n", 7, "ab\\x0a"},
		{"", 4, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[64];
		memset(out, 'z', sizeof out);
		slow_text(out, rows[i].cap,
			(struct wire_bytes){(const uint8_t *)rows[i].given, strlen(rows[i].given)});
		assert_string_equal(out, rows[i].said);
	}
}

/* ---- what a message is about ---- */

static void write_text(struct wire_writer *writer, const char *name, const char *text)
{
	wire_write_str(writer, name);
	wire_write_str(writer, text);
}

/* A fetch of two parts: packed u64 keys, and an array of keys. */
static void write_fetch(struct wire_writer *writer)
{
	rpc_write_request(writer, 7, "fetch");
	wire_write_map(writer, 4);
	wire_write_str(writer, "timeout_ms");
	wire_write_uint(writer, 1000);
	write_text(writer, "trace", "00-a-b-01");
	write_text(writer, "release", "r1");
	wire_write_str(writer, "parts");
	wire_write_array(writer, 2);
	wire_write_map(writer, 3);
	write_text(writer, "table", "ur");
	wire_write_str(writer, "through");
	wire_write_array(writer, 1);
	wire_write_str(writer, "relu");
	wire_write_str(writer, "keys");
	wire_write_bin(writer, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16);
	wire_write_map(writer, 2);
	wire_write_str(writer, "keys");
	wire_write_array(writer, 3);
	for (uint64_t i = 0; i < 3; i++) {
		wire_write_uint(writer, i);
	}
	write_text(writer, "table", "ir");
}

static bool is(struct wire_bytes bytes, const char *text)
{
	return wire_bytes_are(bytes, text);
}

static void a_request_says_what_it_is_about(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	struct rpc_subject subject;
	write_fetch(&writer);
	rpc_subject_read(writer.data, writer.len, &subject);
	assert_true(is(subject.release, "r1") && is(subject.trace, "00-a-b-01"));
	assert_int_equal(subject.table_count, 2);
	assert_true(is(subject.tables[0], "ur") && is(subject.tables[1], "ir"));
	assert_int_equal(subject.keys_if_u64, 5);
	wire_writer_clear(&writer);
	rpc_write_request(&writer, 7, "retrieve");
	wire_write_map(&writer, 2);
	wire_write_str(&writer, "from");
	wire_write_map(&writer, 2);
	write_text(&writer, "table", "ur");
	wire_write_str(&writer, "keys");
	wire_write_bin(&writer, "\1a\2bb\1c", 7); /* packed bytes */
	write_text(&writer, "in", "ir");
	rpc_subject_read(writer.data, writer.len, &subject);
	assert_int_equal(subject.table_count, 2);
	assert_int_equal(subject.keys_if_bytes, 3);
	wire_writer_clear(&writer);
	rpc_write_request(&writer, 7, "observe");
	wire_write_map(&writer, 4);
	wire_write_str(&writer, "layer");
	wire_write_nil(&writer); /* of another type than its name's: passed over */
	write_text(&writer, "client", "c");
	wire_write_str(&writer, "users");
	wire_write_bin(&writer, "12345678", 8);
	wire_write_str(&writer, "items");
	wire_write_bin(&writer, "12345678", 8);
	rpc_subject_read(writer.data, writer.len, &subject);
	assert_true(subject.layer.data == NULL && is(subject.client, "c"));
	assert_int_equal(subject.keys_if_u64, 1);
	wire_writer_fini(&writer);
}

/* Of a message that is cut all is there that stands before the cut. */
static void a_beginning_is_enough(void **state)
{
	(void)state;
	struct wire_writer writer = {0};
	struct rpc_subject subject;
	write_fetch(&writer);
	uint32_t tables = 0;
	for (size_t len = 0; len <= writer.len; len++) {
		uint8_t *copy = malloc(len + 1); /* as long as it is, for AddressSanitizer */
		assert_non_null(copy);
		memcpy(copy, writer.data, len);
		rpc_subject_read(copy, len, &subject);
		assert_true(subject.table_count >= tables && subject.table_count <= 2);
		assert_true(subject.table_count == 0 || is(subject.release, "r1"));
		tables = subject.table_count;
		free(copy);
	}
	assert_int_equal(tables, 2);
	for (size_t at = 0; at < writer.len; at++) {
		for (unsigned bit = 1; bit < 256; bit *= 2) {
			writer.data[at] ^= (uint8_t)bit;
			rpc_subject_read(writer.data, writer.len, &subject);
			writer.data[at] ^= (uint8_t)bit;
		}
	}
	wire_writer_fini(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_are_kept),
		cmocka_unit_test(the_longest_names_fit_or_are_left_out),
		cmocka_unit_test(a_threshold_of_zero_is_none),
		cmocka_unit_test(text_of_a_peer_is_made_printable),
		cmocka_unit_test(a_request_says_what_it_is_about),
		cmocka_unit_test(a_beginning_is_enough),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
