/* test_local_versions.c - which files of another build's daemon a reader reads, and which it refuses by name.
 *
 * `current` and `visible` say which readers can read them; so a daemon may be newer than the readers beside it. The log
 * and segments say their version alone, and a segment may have columns that readers pass over: here the store writes
 * some of later days.
 */
#include "tests/unit/local/local_fixture.h"

#include "daemon/store/base/segment_build.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/visible/visible.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"

enum { VERSION_AT = 8, READABLE_AT = 12, BODY_BYTES_AT = 16, HEAD_BYTES = 24, SUM_BYTES = 8 };

/* ---- segments of later days ---- */

enum { LATER_COLUMN = 77, LATER_PAGES = 2, LATER_BYTES = LATER_PAGES * SEGMENT_PAGE_BYTES };

/* What segments are made and opened as; zeroed: as they are. */
static struct later {
	bool has_column; /* those that are written from now on have an optional column more, at their end */
	bool has_version;         /* those that are opened are of the next version */
	_Atomic unsigned written; /* segments with that column */
} later;

void __real_segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes);
void __wrap_segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes);
void __real_segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space);
void __wrap_segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space);
enum status __real_segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err);
enum status __wrap_segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err);

void __wrap_segment_plan(struct segment_plan *plan, const struct table_spec *spec,
	const struct segment_identity *identity, const uint64_t *hashes, uint64_t blob_bytes)
{
	__real_segment_plan(plan, spec, identity, hashes, blob_bytes);
	if (!later.has_column) {
		return;
	}
	const uint32_t last = plan->column_count++;
	assert_true(last < SEGMENT_COLUMNS_MAX);
	plan->columns[last].kind = LATER_COLUMN;
	plan->columns[last].element_bytes = 8;
	plan->columns[last].offset = plan->bytes;
	plan->columns[last].bytes = LATER_BYTES;
	plan->bytes += LATER_BYTES;
	/* The list grows into what was left of its page, and so does the head. */
	assert_int_equal(plan->columns[0].kind, COLUMN_PAGES);
	plan->columns[0].bytes += LATER_PAGES * sizeof(uint64_t);
	assert_true(plan->columns[0].bytes <= SEGMENT_PAGE_BYTES);
}

void __wrap_segment_begin(const struct segment_plan *plan, const uint64_t *hashes, uint8_t *data,
	struct segment_space *space)
{
	const uint32_t last = plan->column_count - 1;
	const uint32_t flags = COLUMN_OPTIONAL;
	__real_segment_begin(plan, hashes, data, space);
	if (plan->columns[last].kind == LATER_COLUMN) {
		memcpy(data + SEGMENT_HEADER_BYTES + (size_t)last * SEGMENT_COLUMN_BYTES + 4,
			&flags, sizeof flags);
		memset(data + plan->columns[last].offset, 0xa5, plan->columns[last].bytes);
		atomic_fetch_add(&later.written, 1);
	}
}

enum status __wrap_segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err)
{
	const uint32_t version = SEGMENT_VERSION + 1;
	_Alignas(SEGMENT_ALIGN) uint8_t head[SEGMENT_HEADER_BYTES];
	if (!later.has_version) {
		return __real_segment_open(data, len, spec, identity, out, err);
	}
	memcpy(head, data, sizeof head);
	memcpy(head + VERSION_AT, &version, sizeof version);
	return __real_segment_open(head, len, spec, identity, out, err);
}

/* ---- files ---- */

/* `current` as it is written anew. */
struct current {
	char path[PATH_MAX];
	uint8_t *data; /* owned: with room for a field more */
	size_t len;
};

static void put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof value);
}

static struct current read_current(const struct pair *pair)
{
	struct current current;
	struct stat about;
	(void)snprintf(current.path, sizeof current.path, "%s/current", pair->world->folder);
	const int fd = open(current.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	current.len = (size_t)about.st_size;
	current.data = malloc(current.len + 64);
	assert_non_null(current.data);
	assert_int_equal(read(fd, current.data, current.len), about.st_size);
	(void)close(fd);
	return current;
}

static void write_current(struct current *current)
{
	const uint64_t sum = XXH3_64bits(current->data, current->len - SUM_BYTES);
	memcpy(current->data + current->len - SUM_BYTES, &sum, SUM_BYTES);
	const int fd = open(current->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, current->data, current->len), current->len);
	(void)close(fd);
}

/* Writes numbers into a file in place. */
static void patch(const struct pair *pair, const char *name, off_t at, uint32_t value)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/%s", pair->world->folder, name);
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, sizeof value, at), sizeof value);
	(void)close(fd);
}

static void refused(struct pair *pair, const char *text)
{
	struct error err;
	const struct local_options options = {.folder = pair->folder};
	assert_int_equal(local_open(&options, &pair->local, &err), STATUS_UNSUPPORTED);
	if (strstr(err.text, text) == NULL) {
		fail_msg("'%s' does not say '%s'", err.text, text);
	}
	pair->local = NULL;
}

/* A reader that opens the folder now answers as the store does, or did. */
static void reads(struct pair *pair, struct wire_bytes theirs)
{
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	const struct wire_bytes mine = pair_ask(pair);
	assert_int_equal(mine.len, theirs.len);
	assert_memory_equal(mine.data, theirs.data, mine.len);
	pair_close(pair);
}

static void a_current_that_says_so_is_read(void **state)
{
	static const uint8_t field[] = {0xa3, 'n', 'e', 'w', 1};
	struct pair *pair = *state;
	(void)pair_put_both(pair, 0, 50, 7);
	world_arg_parts(pair->world);
	pair_request(pair, "fetch");
	const struct wire_bytes theirs = pair_ask_store(pair);
	pair_close_store(pair);
	struct current current = read_current(pair);
	/* Of a later build, with a field that nobody knows yet. */
	assert_int_equal(current.data[HEAD_BYTES], 0x82); /* a map of two */
	current.data[HEAD_BYTES]++;
	memcpy(current.data + current.len - SUM_BYTES, field, sizeof field);
	current.len += sizeof field;
	put_u32(current.data + BODY_BYTES_AT, (uint32_t)(current.len - HEAD_BYTES - SUM_BYTES));
	put_u32(current.data + VERSION_AT, CURRENT_VERSION + 7);
	write_current(&current);
	reads(pair, theirs);
	put_u32(current.data + READABLE_AT, CURRENT_VERSION + 1);
	write_current(&current);
	refused(pair, "current: format version 12, for readers of 6 or newer");
	put_u32(current.data + VERSION_AT, CURRENT_OLDEST - 1);
	put_u32(current.data + READABLE_AT, CURRENT_OLDEST - 1);
	write_current(&current);
	refused(pair, "current: format version 3");
	free(current.data);
}

/* Version 4 had no readable_from, and 8 bytes less of a head. */
static void a_current_of_the_build_before_is_read(void **state)
{
	struct pair *pair = *state;
	(void)pair_put_both(pair, 0, 50, 7);
	world_arg_parts(pair->world);
	pair_request(pair, "fetch");
	const struct wire_bytes theirs = pair_ask_store(pair);
	pair_close_store(pair);
	struct current current = read_current(pair);
	put_u32(current.data + VERSION_AT, 4);
	put_u32(current.data + READABLE_AT, (uint32_t)(current.len - HEAD_BYTES - SUM_BYTES));
	memmove(current.data + BODY_BYTES_AT, current.data + HEAD_BYTES, current.len - HEAD_BYTES);
	current.len -= HEAD_BYTES - BODY_BYTES_AT;
	write_current(&current);
	reads(pair, theirs);
	free(current.data);
}

/* Beside the store, whose writes are followed. */
static void a_page_that_says_so_is_followed(void **state)
{
	struct pair *pair = *state;
	patch(pair, "visible", VERSION_AT, VISIBLE_VERSION + 7);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	for (uint32_t i = 0; i < 5; i++) {
		pair_await(pair, pair_put_both(pair, i, 50, (float)i));
		pair_expect_rows(pair, 0, 100);
	}
	pair_close(pair);
	patch(pair, "visible", READABLE_AT, VISIBLE_VERSION + 1);
	refused(pair, "visible: format version 8, for readers of 2 or newer");
	pair_close_store(pair);
	refused(pair, "visible: format version 8");
	pair_open_store(pair); /* it is written anew */
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
}

static void a_log_of_another_version_or_with_a_damaged_head_is_refused(void **state)
{
	struct pair *pair = *state;
	struct error err;
	uint8_t head[REDO_HEAD_BYTES];
	uint8_t other[REDO_HEAD_BYTES];
	char path[PATH_MAX];
	const struct local_options options = {.folder = pair->folder};
	(void)pair_put_both(pair, 0, 50, 7);
	pair_close_store(pair);
	pair_await_dead(pair);
	(void)snprintf(path, sizeof path, "%s/log/1.log", pair->world->folder);
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
	memcpy(other, head, sizeof head);
	put_u32(other + VERSION_AT, REDO_VERSION + 1);
	assert_int_equal(pwrite(fd, other, sizeof other, 0), sizeof other);
	assert_int_equal(local_open(&options, &pair->local, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "log/1.log' has no head that this build can read"));
	const uint64_t sum = XXH3_64bits(other, sizeof other - SUM_BYTES);
	memcpy(other + sizeof other - SUM_BYTES, &sum, SUM_BYTES);
	assert_int_equal(pwrite(fd, other, sizeof other, 0), sizeof other);
	refused(pair, "log/1.log' has format version 2, this build knows 1");
	assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
	(void)close(fd);
	pair_open_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
}

/* The same of the file that follows. One that is no longer than a head was being made. */
static void a_log_goes_on_in_no_file_with_a_damaged_head(void **state)
{
	static const uint8_t zeros[2 * REDO_HEAD_BYTES];
	struct pair *pair = *state;
	struct error err;
	char path[PATH_MAX];
	const struct local_options options = {.folder = pair->folder};
	(void)pair_put_both(pair, 0, 50, 7);
	world_arg_parts(pair->world);
	pair_request(pair, "fetch");
	const struct wire_bytes theirs = pair_ask_store(pair);
	pair_close_store(pair);
	pair_await_dead(pair);
	(void)snprintf(path, sizeof path, "%s/log/2.log", pair->world->folder);
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, zeros, REDO_HEAD_BYTES), REDO_HEAD_BYTES);
	reads(pair, theirs);
	assert_int_equal(write(fd, zeros, 1), 1);
	(void)close(fd);
	assert_int_equal(local_open(&options, &pair->local, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "log/2.log' has no head that this build can read"));
	pair->local = NULL;
	assert_int_equal(unlink(path), 0);
	pair_open_store(pair);
}

static void a_column_of_later_days_is_passed_over(void **state)
{
	struct pair *pair = *state;
	later.has_column = true;
	(void)pair_put_both(pair, 0, 50, 7);
	pair_merge(pair);
	assert_true(atomic_load(&later.written) >= 2); /* of both tables */
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
	/* Beside a reader that follows, too; and a daemon starts with such files, and merges them. */
	pair_await(pair, pair_put_both(pair, 20, 60, 8));
	pair_merge(pair);
	pair_await_current(pair);
	pair_expect_rows(pair, 0, 100);
	pair_close_store(pair);
	pair_open_store(pair);
	(void)world_run(pair->world, "verify");
	later.has_column = false;
	pair_await(pair, pair_put_both(pair, 40, 50, 9));
	pair_merge(pair);
	pair_await_current(pair);
	pair_expect_rows(pair, 0, 100);
}

static void segments_of_another_version_are_refused_and_are_no_damage(void **state)
{
	struct pair *pair = *state;
	struct error err = {0};
	(void)pair_put_both(pair, 0, 50, 7);
	pair_close_store(pair);
	later.has_version = true;
	refused(pair, "format version 4, this build knows 3: take one that knows that version");
	assert_int_equal(pair_try_open_store(pair, &err), STATUS_UNSUPPORTED);
	assert_non_null(strstr(err.text, "release 'r1', table 'a'"));
	assert_non_null(strstr(err.text, "segment: format version 4, this build knows 3"));
	later.has_version = false;
	pair_open_store(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	pair_expect_rows(pair, 0, 100);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_current_that_says_so_is_read),
		cmocka_unit_test(a_current_of_the_build_before_is_read),
		cmocka_unit_test(a_page_that_says_so_is_followed),
		cmocka_unit_test(a_log_of_another_version_or_with_a_damaged_head_is_refused),
		cmocka_unit_test(a_log_goes_on_in_no_file_with_a_damaged_head),
		cmocka_unit_test(a_column_of_later_days_is_passed_over),
		cmocka_unit_test(segments_of_another_version_are_refused_and_are_no_damage),
	};
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
