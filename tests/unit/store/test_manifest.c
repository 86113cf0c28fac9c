/* test_manifest.c - a manifest is read as it was written, and anything else is refused. */
#include "daemon/store/backup/manifest.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/store/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

static void fill(struct manifest *manifest)
{
	*manifest = (struct manifest){.kind = MANIFEST_BACKUP, .sequence = 41};
	assert_int_equal(manifest_add(manifest, "releases/1/base-1-1.mdb", UINT64_MAX, 7),
		STATUS_OK);
	assert_int_equal(manifest_add(manifest, "catalog.mdb", 0, UINT64_MAX), STATUS_OK);
	manifest_sort(manifest);
}

static void a_manifest_is_read_as_it_was_written(void **state)
{
	struct scratch *scratch = *state;
	struct manifest manifest;
	struct manifest read;
	struct error err;
	fill(&manifest);
	scratch_must(manifest_write(scratch->folder, &manifest, &err), &err);
	scratch_must(manifest_read(scratch->folder, &read, &err), &err);
	assert_int_equal(read.kind, MANIFEST_BACKUP);
	assert_int_equal(read.sequence, 41);
	assert_int_equal(read.count, 2);
	assert_string_equal(read.files[0].name, "catalog.mdb");
	const struct manifest_file *file = manifest_find(&read, "releases/1/base-1-1.mdb");
	assert_non_null(file);
	assert_int_equal(file->sum, 7);
	assert_int_equal(file->bytes, UINT64_MAX);
	assert_null(manifest_find(&read, "releases"));
	manifest_cut(&read, 1);
	assert_int_equal(read.count, 1);
	manifest_fini(&read);
	manifest_fini(&manifest);
	/* One of no files. */
	manifest.kind = MANIFEST_RELEASE;
	scratch_must(manifest_write(scratch->folder, &manifest, &err), &err);
	scratch_must(manifest_read(scratch->folder, &read, &err), &err);
	assert_int_equal(read.kind, MANIFEST_RELEASE);
	assert_int_equal(read.count, 0);
	assert_null(manifest_find(&read, "catalog.mdb"));
	manifest_fini(&read);
}

/* Parses `body` with the last line that belongs to it. */
static enum status parse(const char *body, struct manifest *out)
{
	char text[1024];
	struct error err;
	const int len = snprintf(text, sizeof text, "%send %016llx\n", body,
		(unsigned long long)XXH3_64bits(body, strlen(body)));
	return manifest_parse(text, (size_t)len, out, &err);
}

#define HEAD "repstore-manifest 1\nkind backup\nsequence 5\n"
#define SUM  "0000000000000007"

static void what_is_no_manifest_is_refused(void **state)
{
	static const struct {
		const char *body;
		enum status status;
	} cases[] = {
		{HEAD, STATUS_OK},
		{HEAD "file " SUM " 1 a\nfile " SUM " 1 b/c\n", STATUS_OK},
		{"", STATUS_CORRUPT},
		{"repstore-manifest 2\nkind backup\nsequence 5\n", STATUS_UNSUPPORTED},
		{"repstore-manifest 1\nkind other\nsequence 5\n", STATUS_CORRUPT},
		{"repstore-manifest 1\nkind backup\nsequence 05\n", STATUS_CORRUPT},
		{"repstore-manifest 1\nkind backup\nsequence -5\n", STATUS_CORRUPT},
		{"repstore-manifest 1\nkind backup\n", STATUS_CORRUPT},
		{"\nsequence 5\n" HEAD, STATUS_CORRUPT},
		{HEAD "file " SUM " 1 b\nfile " SUM " 1 a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a\nfile " SUM " 1 a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 \n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 /a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a/\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a//b\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 ..\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a/../b\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 .a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 1 a b\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 01 a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " +1 a\n", STATUS_CORRUPT},
		{HEAD "file " SUM "  1 a\n", STATUS_CORRUPT},
		{HEAD "file 7 1 a\n", STATUS_CORRUPT},
		{HEAD "file " SUM " 18446744073709551616 a\n", STATUS_CORRUPT},
		{HEAD "file\n", STATUS_CORRUPT},
		{HEAD "\n", STATUS_CORRUPT},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct manifest manifest;
		const enum status status = parse(cases[i].body, &manifest);
		if (status != cases[i].status) {
			fail_msg("case %zu: %s", i, status_name(status));
		}
		manifest_fini(&manifest);
	}
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
	struct scratch *scratch = *state;
	struct manifest manifest;
	struct error err;
	char path[PATH_MAX];
	fill(&manifest);
	scratch_must(manifest_write(scratch->folder, &manifest, &err), &err);
	manifest_fini(&manifest);
	(void)snprintf(path, sizeof path, "%s/manifest", scratch->folder);
	const struct scratch_file file = scratch_read(path);
	uint8_t *copy = malloc(file.len + 1);
	for (size_t i = 0; i < file.len * 8; i++) {
		memcpy(copy, file.data, file.len);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_not_equal(manifest_parse((char *)copy, file.len, &manifest, &err),
			STATUS_OK);
	}
	for (size_t len = 0; len < file.len; len++) {
		memcpy(copy, file.data, file.len);
		assert_int_not_equal(manifest_parse((char *)copy, len, &manifest, &err), STATUS_OK);
	}
	free(copy);
	free(file.data);
}

static bool attempt(void *arg)
{
	const struct scratch *scratch = arg;
	struct manifest manifest = {.kind = MANIFEST_BACKUP};
	struct manifest read = {0};
	bool done = manifest_add(&manifest, "a", 1, 2) == STATUS_OK &&
		    manifest_add(&manifest, "b", 1, 2) == STATUS_OK &&
		    manifest_write(scratch->folder, &manifest, NULL) == STATUS_OK &&
		    manifest_read(scratch->folder, &read, NULL) == STATUS_OK;
	manifest_fini(&manifest);
	manifest_fini(&read);
	return done;
}

static void refused_memory_is_an_error(void **state)
{
	alloc_fail_each(attempt, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_manifest_is_read_as_it_was_written, scratch_setup,
			scratch_teardown),
		cmocka_unit_test(what_is_no_manifest_is_refused),
		cmocka_unit_test_setup_teardown(every_flipped_bit_and_every_cut_is_refused,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(refused_memory_is_an_error, scratch_setup,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
