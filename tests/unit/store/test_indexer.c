/* test_indexer.c - an index whose build has failed is tried again. */
#include "daemon/store/admin/admin.h"
#include "daemon/store/figures.h"
#include "daemon/store/indexing/index_figures.h"
#include "daemon/store/indexing/indexer.h"

#include <setjmp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/index/index.h"
#include "tests/unit/store/scratch.h"
#include "tests/unit/wait.h"

enum {
	ROWS = 1000,         /* that want an index */
	BASE_FILES_MAX = 64, /* that they take, at most */
};

/* A release with a table "t" that wants an index; its rows are loaded. */
static void load(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	struct name name = {0};
	uint64_t number;
	const struct release_labels labels = {.model = "m", .checkpoint = "c"};
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.index = INDEX_BALLS;
	(void)snprintf(name.text, sizeof name.text, "%s", id);
	scratch_must(store_release_create(scratch->store, &name, &labels, &number, &err), &err);
	scratch_must(store_table_create(scratch->store, id, &spec, &err), &err);
	scratch_chunk(scratch, id, "all", 0, (struct scratch_rows){1, ROWS, 1});
	scratch_end(scratch, id, "all", 1, ROWS);
}

/* Folders stand where the files of indexes would be written, or stand there no more. */
static void stand_in_the_way(const struct scratch *scratch, bool stand)
{
	for (uint64_t newest = 1; newest <= BASE_FILES_MAX; newest++) {
		char name[64];
		char in[96];
		char path[PATH_MAX];
		index_file_name_of(name, sizeof name, 1, newest);
		(void)snprintf(in, sizeof in, "releases/1/%s", name);
		scratch_path(scratch, path, in);
		assert_int_equal(stand ? mkdir(path, 0700) : rmdir(path), 0);
	}
}

static struct index_figures figures_of(struct scratch *scratch)
{
	struct store_figures figures;
	store_figures(scratch->store, &figures);
	return figures.index;
}

/* Until so many builds have failed, and so many have not. */
static struct index_figures wait_for(struct scratch *scratch, uint64_t failed, uint64_t builds)
{
	struct wait wait = {0};
	struct index_figures figures = figures_of(scratch);
	while (figures.failed < failed || figures.builds < builds) {
		wait_a_moment(&wait);
		figures = figures_of(scratch);
	}
	return figures;
}

static void a_build_that_failed_is_tried_again(void **state)
{
	struct scratch *scratch = *state;
	load(scratch, "r");
	stand_in_the_way(scratch, true);
	scratch_seal(scratch, "r");
	/* Nobody wakes it. */
	assert_int_equal(wait_for(scratch, 3, 0).builds, 0);
	assert_true(scratch_heard(scratch, "event=index_failed release=1 table=t reason="));
	stand_in_the_way(scratch, false);
	const struct index_figures figures = wait_for(scratch, 0, 1);
	assert_int_equal(figures.builds, 1);
	assert_true(figures.bytes > 0);
}

static void a_store_closes_while_an_index_waits_to_be_tried_again(void **state)
{
	struct scratch *scratch = *state;
	load(scratch, "r");
	stand_in_the_way(scratch, true);
	scratch_seal(scratch, "r");
	assert_int_equal(wait_for(scratch, 1, 0).builds, 0);
	scratch_close(scratch);
	/* The index is still due: another store finds that out, and builds it. */
	stand_in_the_way(scratch, false);
	scratch_open(scratch);
	const struct index_figures figures = wait_for(scratch, 0, 1);
	assert_int_equal(figures.builds, 1);
	assert_int_equal(figures.failed, 0);
	assert_true(figures.bytes > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_build_that_failed_is_tried_again,
			scratch_setup_small_store, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			a_store_closes_while_an_index_waits_to_be_tried_again,
			scratch_setup_small_store, scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
