/* test_given_filter.c - which keys and tags a filter lets pass, and what is no filter. */
#include "daemon/method/query/given_filter.h"

#include "daemon/method/call/call.h"
#include "daemon/method/call/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "schema/wire.h"
#include "tests/unit/alloc_fail.h"

static const char *const names[] = {"allow", "deny", "tags_any", "tags_all", "tags_none", NULL};

static const struct table_spec tagged = {.name = {"ir"},
	.key_type = KEY_U64,
	.tags = true,
	.dim = 4,
	.views = 1};
static const struct table_spec plain = {.name = {"ir"}, .key_type = KEY_U64, .dim = 4, .views = 1};

/* The params of a call: what a test writes, the filter reads. */
struct asked {
	struct wire_writer writer;
	struct wire_message *read;
	struct call call; /* on a loop */
	struct given_filter of;
	struct error err;
};

static void asked_init(struct asked *asked, size_t count)
{
	static struct service service = {.request_keys = UINT32_MAX};
	memset(asked, 0, sizeof *asked);
	asked->call.service = &service;
	wire_write_map(&asked->writer, count);
}

static void ask_uint(struct asked *asked, const char *name, uint64_t value)
{
	wire_write_str(&asked->writer, name);
	wire_write_uint(&asked->writer, value);
}

static void ask_keys(struct asked *asked, const char *name, const uint64_t *keys, size_t count)
{
	wire_write_str(&asked->writer, name);
	wire_write_bin(&asked->writer, keys, count * sizeof *keys);
}

static enum status asked_read(struct asked *asked, const struct table_spec *spec)
{
	struct params params;
	if (asked->writer.status != STATUS_OK) {
		return asked->writer.status;
	}
	const enum status status = wire_open(asked->writer.data, asked->writer.len, &asked->read);
	if (status != STATUS_OK) {
		return status;
	}
	params_begin(&params, wire_root(asked->read), "", names, &asked->err);
	return given_filter_read(&asked->of, &params, &asked->call, spec);
}

static void asked_fini(struct asked *asked)
{
	given_filter_fini(&asked->of);
	wire_close(asked->read);
	wire_writer_fini(&asked->writer);
}

static void nothing_asked_lets_everything_pass(void **state)
{
	static const struct filter zeroed;
	struct asked asked;
	(void)state;
	asked_init(&asked, 0);
	assert_int_equal(asked_read(&asked, &plain), STATUS_OK);
	assert_false(asked.of.filter.has_allow);
	assert_false(asked.of.filter.has_tags);
	assert_true(filter_passes_tags(&asked.of.filter, 0));
	assert_true(filter_passes_tags(&zeroed, UINT64_MAX));
	asked_fini(&asked);
}

static void masks_are_any_all_and_none(void **state)
{
	static const struct {
		uint64_t any;
		uint64_t all;
		uint64_t none;
	} rows[] = {{3, 0, 0}, {0, 5, 0}, {0, 0, 8}, {6, 1, 8}, {4, 4, 4}, {1, 3, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct asked asked;
		asked_init(&asked, rows[i].any != 0 ? 3 : 2);
		if (rows[i].any != 0) {
			ask_uint(&asked, "tags_any", rows[i].any);
		}
		ask_uint(&asked, "tags_all", rows[i].all);
		ask_uint(&asked, "tags_none", rows[i].none);
		assert_int_equal(asked_read(&asked, &tagged), STATUS_OK);
		assert_true(asked.of.filter.has_tags);
		for (uint64_t tags = 0; tags < 16; tags++) {
			bool any = rows[i].any == 0;
			bool all = true;
			bool none = true;
			for (uint64_t bit = 1; bit < 16; bit *= 2) {
				const bool is_set = (tags & bit) != 0;
				any = any || (is_set && (rows[i].any & bit) != 0);
				all = all && (is_set || (rows[i].all & bit) == 0);
				none = none && !(is_set && (rows[i].none & bit) != 0);
			}
			assert_int_equal(filter_passes_tags(&asked.of.filter, tags),
				any && all && none);
		}
		asked_fini(&asked);
	}
}

static void one_of_no_tags_is_none(void **state)
{
	static const char *const besides[] = {"tags_all", "tags_none"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct asked asked;
		asked_init(&asked, i < 2 ? 2 : 1);
		ask_uint(&asked, "tags_any", 0);
		if (i < 2) {
			ask_uint(&asked, besides[i], 1);
		}
		assert_int_equal(asked_read(&asked, &tagged), STATUS_OK);
		assert_true(asked.of.filter.has_tags);
		for (uint64_t tags = 0; tags < 16; tags++) {
			assert_false(filter_passes_tags(&asked.of.filter, tags));
		}
		asked_fini(&asked);
	}
}

static void the_highest_tag_is_one_like_the_others(void **state)
{
	const uint64_t highest = UINT64_C(1) << 63;
	struct asked asked;
	(void)state;
	asked_init(&asked, 1);
	ask_uint(&asked, "tags_all", highest);
	assert_int_equal(asked_read(&asked, &tagged), STATUS_OK);
	assert_true(filter_passes_tags(&asked.of.filter, highest | 1));
	assert_false(filter_passes_tags(&asked.of.filter, highest - 1));
	asked_fini(&asked);
}

static bool has(const struct key_set *set, uint64_t key)
{
	return key_set_has(set, (const uint8_t *)&key, sizeof key);
}

static void lists_hold_their_keys(void **state)
{
	static const uint64_t allowed[] = {7, 9, 7, UINT64_MAX};
	static const uint64_t denied[] = {0, 9};
	struct asked asked;
	(void)state;
	asked_init(&asked, 2);
	ask_keys(&asked, "allow", allowed, 4);
	ask_keys(&asked, "deny", denied, 2);
	assert_int_equal(asked_read(&asked, &plain), STATUS_OK);
	assert_true(asked.of.filter.has_allow);
	assert_int_equal(asked.of.filter.allow.count, 4);
	assert_true(has(&asked.of.filter.allowed, 7) && has(&asked.of.filter.allowed, 9));
	assert_true(has(&asked.of.filter.allowed, UINT64_MAX));
	assert_false(has(&asked.of.filter.allowed, 0));
	assert_true(has(&asked.of.filter.denied, 0) && has(&asked.of.filter.denied, 9));
	assert_false(has(&asked.of.filter.denied, 7));
	asked_fini(&asked);
}

static void an_empty_list_allows_nothing(void **state)
{
	struct asked asked;
	const uint64_t none = 0;
	(void)state;
	asked_init(&asked, 2);
	ask_keys(&asked, "allow", &none, 0);
	ask_keys(&asked, "deny", &none, 0);
	assert_int_equal(asked_read(&asked, &plain), STATUS_OK);
	assert_true(asked.of.filter.has_allow);
	assert_false(has(&asked.of.filter.allowed, 0));
	assert_false(has(&asked.of.filter.denied, 0));
	asked_fini(&asked);
}

static void expect_refused(struct asked *asked, const char *text)
{
	assert_int_equal(asked_read(asked, &plain), STATUS_BAD_REQUEST);
	if (strstr(asked->err.text, text) == NULL) {
		fail_msg("'%s' is not in '%s'", text, asked->err.text);
	}
	asked_fini(asked);
}

static void what_does_not_fit_is_named(void **state)
{
	static const char *const masks[] = {"tags_any", "tags_all", "tags_none"};
	struct asked asked;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char text[64];
		asked_init(&asked, 1);
		ask_uint(&asked, masks[i], 4);
		(void)snprintf(text, sizeof text, "%s: table 'ir' has no tags", masks[i]);
		expect_refused(&asked, text);
	}
	asked_init(&asked, 1);
	ask_uint(&asked, "allow", 4);
	expect_refused(&asked, "allow: ");
	asked_init(&asked, 1);
	wire_write_str(&asked.writer, "deny");
	wire_write_bin(&asked.writer, "1234567", 7);
	expect_refused(&asked, "deny: ");
	asked_init(&asked, 1);
	ask_uint(&asked, "tags_any", 0);
	expect_refused(&asked, "tags_any: table 'ir' has no tags");
	/* Rows without tags have all of none, and none of any. */
	asked_init(&asked, 2);
	ask_uint(&asked, "tags_all", 0);
	ask_uint(&asked, "tags_none", 0);
	assert_int_equal(asked_read(&asked, &plain), STATUS_OK);
	assert_false(asked.of.filter.has_tags);
	asked_fini(&asked);
}

static bool read_both_lists(void *arg)
{
	static const uint64_t keys[] = {1, 2, 3};
	struct asked asked;
	(void)arg;
	asked_init(&asked, 2);
	ask_keys(&asked, "allow", keys, 3);
	ask_keys(&asked, "deny", keys, 3);
	const enum status status = asked_read(&asked, &plain);
	assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
	asked_fini(&asked);
	return status == STATUS_OK;
}

static void refused_memory_is_no_filter(void **state)
{
	(void)state;
	assert_true(alloc_fail_each(read_both_lists, NULL) >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_lets_everything_pass),
		cmocka_unit_test(masks_are_any_all_and_none),
		cmocka_unit_test(one_of_no_tags_is_none),
		cmocka_unit_test(the_highest_tag_is_one_like_the_others),
		cmocka_unit_test(lists_hold_their_keys),
		cmocka_unit_test(an_empty_list_allows_nothing),
		cmocka_unit_test(what_does_not_fit_is_named),
		cmocka_unit_test(refused_memory_is_no_filter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
