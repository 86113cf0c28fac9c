/* test_base.c - base files read back as written; a damaged one damages its own segments only. */
#include "daemon/store/base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/mapfault.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store/scratch.h"

enum { FILES = 2, SEGMENTS_A_FILE = 4, SEGMENTS = FILES * SEGMENTS_A_FILE, BITS = 3, ROWS = 60 };

/* Keeps the compiler from dropping a read. */
static volatile unsigned seen;

/* Two files of four segments each, and what the catalog would hold of them. */
struct bases {
	struct scratch *scratch;
	char folder[PATH_MAX];
	struct base_owner owner;
	struct base_file_info infos[FILES];
};

static uint64_t prefix_of(uint32_t segment, uint32_t bits)
{
	return bits == 0 ? 0 : (uint64_t)segment << (64 - bits);
}

static enum status write_segment(struct base_writer *writer, const struct base_owner *owner,
	uint32_t number, uint32_t bits, uint32_t rows, struct error *err)
{
	const struct segment_identity identity = {
		.release = owner->release,
		.table = owner->table,
		.prefix = prefix_of(number, bits),
		.prefix_bits = bits,
		.rows = rows,
	};
	uint64_t hashes[ROWS];
	for (uint32_t i = 0; i < rows; i++) {
		hashes[i] = identity.prefix + i * UINT64_C(0x100000000000);
	}
	struct segment_plan plan;
	segment_plan(&plan, &owner->spec, &identity, hashes, 0);
	uint8_t *data = NULL;
	enum status status = base_writer_begin(writer, plan.bytes, &data, err);
	if (status != STATUS_OK) {
		return status;
	}
	assert_int_equal((uintptr_t)data % 8, 0);
	struct segment_space space;
	segment_begin(&plan, hashes, data, &space);
	for (uint32_t i = 0; i < rows; i++) {
		space.keys[i] = number * 1000 + i;
		space.times[i] = i;
	}
	memset(space.row_data, (int)number + 1, rows * spec_row_bytes(&owner->spec));
	segment_end(&plan, data);
	return base_writer_commit(writer, &plan, err);
}

static void file_path_of(const struct bases *bases, size_t file, char *out)
{
	char name[64];
	base_file_name(name, sizeof name, bases->owner.table, file);
	(void)snprintf(out, PATH_MAX, "%.*s/%s", 200, bases->folder, name);
}

static int setup(void **state)
{
	struct bases *bases = calloc(1, sizeof *bases);
	assert_non_null(bases);
	void *scratch = NULL;
	(void)scratch_setup_small(&scratch);
	bases->scratch = scratch;
	(void)snprintf(bases->folder, sizeof bases->folder, "%s", bases->scratch->folder);
	bases->owner = (struct base_owner){.release = 5,
		.table = 2,
		.spec = scratch_spec("t", DTYPE_F32, KEY_U64, 64)};
	struct error err = {0};
	for (uint32_t file = 0; file < FILES; file++) {
		char path[PATH_MAX];
		struct base_writer *writer = NULL;
		file_path_of(bases, file, path);
		scratch_must(base_writer_open(path, 1 << 20, &writer, &err), &err);
		for (uint32_t i = 0; i < SEGMENTS_A_FILE; i++) {
			scratch_must(write_segment(writer, &bases->owner,
					     file * SEGMENTS_A_FILE + i, BITS, ROWS, &err),
				&err);
		}
		scratch_must(base_writer_finish(writer, &bases->infos[file], &err), &err);
		bases->infos[file].number = file;
	}
	*state = bases;
	return 0;
}

static int teardown(void **state)
{
	struct bases *bases = *state;
	void *scratch = bases->scratch;
	for (size_t i = 0; i < FILES; i++) {
		base_file_info_fini(&bases->infos[i]);
	}
	(void)scratch_teardown(&scratch);
	free(bases);
	return 0;
}

static struct base_set *open_set(const struct bases *bases, struct error *err)
{
	struct base_set *set = NULL;
	struct error none = {0};
	scratch_must(base_set_open(bases->folder, &bases->owner, bases->infos, FILES, &set,
			     err == NULL ? &none : err),
		&none);
	assert_int_equal(none.status, STATUS_OK);
	return set;
}

/* Checks every segment; those of the mask must be damaged, the others as written. */
static void expect_damaged(struct base_set *set, unsigned mask)
{
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		const enum base_segment_state state = base_segment_wait(set, i);
		if ((mask & 1u << i) != 0) {
			assert_int_equal(state, BASE_DAMAGED);
			continue;
		}
		assert_int_equal(state, BASE_READY);
		const struct segment *view = &set->segments[i]->view;
		assert_int_equal(view->rows, ROWS);
		for (uint32_t row = 0; row < ROWS; row++) {
			assert_int_equal(view->keys[row], i * 1000 + row);
			assert_int_equal(view->row_data[row * view->row_bytes], i + 1);
		}
	}
}

static void what_was_written_is_found_again(void **state)
{
	struct bases *bases = *state;
	struct error err = {0};
	struct base_set *set = open_set(bases, &err);
	assert_int_equal(err.status, STATUS_OK);
	assert_int_equal(set->segment_count, SEGMENTS);
	assert_int_equal(set->depth, BITS);
	assert_int_equal(set->bytes, bases->infos[0].bytes + bases->infos[1].bytes);
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		assert_int_equal(base_segment_state(set->segments[i]), BASE_UNCHECKED);
		assert_int_equal(base_set_find(set, prefix_of(i, BITS)), i);
		assert_int_equal(base_set_find(set, prefix_of(i, BITS) + (UINT64_MAX >> BITS)), i);
		assert_int_equal((uintptr_t)set->segments[i]->data % SEGMENT_ALIGN, 0);
	}
	expect_damaged(set, 0);
	for (size_t i = 0; i < SEGMENTS; i++) {
		base_segment_look(set, i);
	}
	expect_damaged(set, 0);
	base_set_close(set);
}

static void a_segment_may_be_of_any_size(void **state)
{
	struct bases *bases = *state;
	struct error err = {0};
	for (uint32_t rows = 0; rows <= ROWS; rows++) {
		char path[PATH_MAX];
		struct base_writer *writer = NULL;
		struct base_file_info info;
		struct base_set *set = NULL;
		file_path_of(bases, 9, path);
		scratch_must(base_writer_open(path, 1 << 20, &writer, &err), &err);
		scratch_must(write_segment(writer, &bases->owner, 0, 1, rows, &err), &err);
		scratch_must(write_segment(writer, &bases->owner, 1, 1, 0, &err), &err);
		scratch_must(base_writer_finish(writer, &info, &err), &err);
		info.number = 9;
		scratch_must(base_set_open(bases->folder, &bases->owner, &info, 1, &set, &err),
			&err);
		assert_int_equal(err.status, STATUS_OK);
		assert_int_equal(base_segment_wait(set, 0), BASE_READY);
		assert_int_equal(base_segment_wait(set, 1), BASE_READY);
		assert_int_equal(set->segments[0]->view.rows, rows);
		base_set_close(set);
		base_file_info_fini(&info);
	}
}

/* ---- damage ---- */

static void a_missing_file_damages_its_segments_only(void **state)
{
	struct bases *bases = *state;
	char path[PATH_MAX];
	struct error err = {0};
	file_path_of(bases, 1, path);
	assert_int_equal(unlink(path), 0);
	struct base_set *set = open_set(bases, &err);
	assert_int_equal(err.status, STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "base-2-1.mdb"));
	expect_damaged(set, 0xf0);
	base_set_close(set);
}

static void a_file_of_another_size_damages_its_segments_only(void **state)
{
	struct bases *bases = *state;
	char path[PATH_MAX];
	file_path_of(bases, 0, path);
	struct scratch_file whole = scratch_read(path);
	assert_int_equal(whole.len, bases->infos[0].bytes);
	const size_t lengths[] = {0, 1, 100, 4095, 4096, 8192, 12288, whole.len / 2,
		whole.len - 4096, whole.len - 1, whole.len + 1, whole.len + 4096};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct error err = {0};
		scratch_write(path, whole.data, whole.len);
		scratch_cut(path, lengths[i]);
		struct base_set *set = open_set(bases, &err);
		assert_int_equal(err.status, STATUS_CORRUPT);
		expect_damaged(set, 0x0f);
		base_set_close(set);
	}
	free(whole.data);
}

/* The segment that holds a byte of the first file, or SEGMENTS. */
static uint32_t segment_at(const struct bases *bases, uint64_t offset)
{
	for (uint32_t i = 0; i < SEGMENTS_A_FILE; i++) {
		const struct base_segment_info *info = &bases->infos[0].segments[i];
		if (offset >= info->offset && offset - info->offset < info->bytes) {
			return i;
		}
	}
	return SEGMENTS;
}

static void a_flipped_bit_damages_what_it_is_in(void **state)
{
	struct bases *bases = *state;
	char path[PATH_MAX];
	file_path_of(bases, 0, path);
	unsigned outside = 0;
	/* The first bytes of pages are LMDB's. */
	for (uint64_t at = 0; at < bases->infos[0].bytes; at += at % 4096 < 80 ? 9 : 251) {
		struct error err = {0};
		const uint32_t segment = segment_at(bases, at);
		scratch_flip(path, at);
		struct base_set *set = open_set(bases, &err);
		if (segment == SEGMENTS) {
			assert_int_equal(err.status, STATUS_CORRUPT);
			expect_damaged(set, 0x0f);
			outside++;
		} else {
			expect_damaged(set, 1u << segment);
		}
		base_set_close(set);
		scratch_flip(path, at);
	}
	assert_true(outside > 20);
}

static void a_file_of_another_table_is_damage(void **state)
{
	struct bases *bases = *state;
	for (unsigned i = 0; i < 3; i++) {
		struct bases other = *bases;
		struct error err = {0};
		other.owner.release += i == 0;
		other.owner.spec.dim += i == 1;
		other.owner.spec.tags = i == 2;
		struct base_set *set = open_set(&other, &err);
		assert_int_equal(err.status, STATUS_CORRUPT);
		expect_damaged(set, 0xff);
		base_set_close(set);
	}
}

static void files_put_in_each_others_place_are_damage(void **state)
{
	struct bases *bases = *state;
	char first[PATH_MAX];
	char second[PATH_MAX];
	struct error err = {0};
	file_path_of(bases, 0, first);
	file_path_of(bases, 1, second);
	struct scratch_file one = scratch_read(first);
	struct scratch_file two = scratch_read(second);
	scratch_write(first, two.data, two.len);
	scratch_write(second, one.data, one.len);
	struct base_set *set = open_set(bases, &err);
	assert_int_equal(err.status, STATUS_CORRUPT);
	expect_damaged(set, 0xff);
	base_set_close(set);
	free(one.data);
	free(two.data);
}

static void a_file_cut_while_it_is_open_is_damage(void **state)
{
	struct bases *bases = *state;
	char path[PATH_MAX];
	file_path_of(bases, 0, path);
	struct base_set *set = open_set(bases, NULL);
	/* Here, since cmocka takes the signal for itself before each test. */
	assert_int_equal(mapfault_install(), STATUS_OK);
	assert_int_equal(base_segment_wait(set, 0), BASE_READY);
	scratch_cut(path, bases->infos[0].segments[1].offset);
	base_set_look(set);
	expect_damaged(set, 0x0f);
	atomic_store(&set->segments[0]->state, BASE_READY);
	/* Segment 0 stands before the cut; one whose pages went after its check is found out when
	 * it is read. */
	scratch_cut(path, 4096);
	for (uint64_t i = 0; i < bases->infos[0].segments[0].bytes; i++) {
		seen = set->segments[0]->data[i];
	}
	expect_damaged(set, 0x0f);
	base_set_close(set);
}

/* ---- what the catalog says ---- */

static void segments_must_cover_every_hash_once(void **state)
{
	struct bases *bases = *state;
	struct error err = {0};
	struct base_set *set = NULL;
	struct base_segment_info *last = &bases->infos[1].segments[3];
	const struct base_segment_info kept = *last;
	const struct {
		uint64_t prefix;
		uint32_t bits;
	} wrong[] = {
		{0, 3},                               /* twice, and a gap */
		{kept.prefix, 4},                     /* a gap */
		{kept.prefix - 1, 3},                 /* its neighbour's */
		{UINT64_C(0xc) << 60, 2},             /* overlaps its neighbour */
		{kept.prefix, 33},                    /* too deep */
		{kept.prefix, UINT32_MAX},            /* far too deep */
		{kept.prefix | UINT64_C(1) << 59, 2}, /* not a prefix */
		{0, 0},                               /* all of them */
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		last->prefix = wrong[i].prefix;
		last->prefix_bits = wrong[i].bits;
		assert_int_equal(base_set_open(bases->folder, &bases->owner, bases->infos, FILES,
					 &set, &err),
			STATUS_CORRUPT);
		assert_null(set);
	}
	*last = kept;
	assert_int_equal(base_set_open(bases->folder, &bases->owner, bases->infos, 1, &set, &err),
		STATUS_CORRUPT);
}

static void a_segment_must_be_where_the_catalog_says(void **state)
{
	struct bases *bases = *state;
	struct base_segment_info *info = &bases->infos[0].segments[2];
	const struct base_segment_info kept = *info;
	for (unsigned i = 0; i < 6; i++) {
		struct error err = {0};
		info->offset += i == 0 ? 64 : 0;
		info->bytes += i == 1 ? 64 : 0;
		info->rows += i == 2;
		info->head_hash += i == 3;
		info->offset = i == 4 ? 0 : info->offset;
		info->bytes = i == 5 ? 0 : info->bytes;
		struct base_set *set = open_set(bases, &err);
		for (uint32_t j = 0; j < SEGMENTS; j++) {
			const enum base_segment_state state_now = base_segment_wait(set, j);
			assert_true(j == 2 ? state_now == BASE_DAMAGED
				    : j < SEGMENTS_A_FILE
					    ? state_now == BASE_READY || state_now == BASE_DAMAGED
					    : state_now == BASE_READY);
		}
		base_set_close(set);
		*info = kept;
	}
}

static void a_leftover_is_replaced_and_an_aborted_file_gone(void **state)
{
	struct bases *bases = *state;
	struct error err = {0};
	char path[PATH_MAX];
	struct base_writer *writer = NULL;
	file_path_of(bases, 8, path);
	scratch_write(path, "leftover", 8);
	scratch_must(base_writer_open(path, 1 << 20, &writer, &err), &err);
	scratch_must(write_segment(writer, &bases->owner, 0, 0, ROWS, &err), &err);
	assert_true(base_writer_bytes(writer) > 0);
	assert_true(scratch_exists(path));
	base_writer_abort(writer);
	assert_false(scratch_exists(path));
	base_writer_abort(NULL);
}

/* ---- writing, memory ---- */

static bool writes_a_file(void *arg)
{
	struct bases *bases = arg;
	struct error err = {0};
	char path[PATH_MAX];
	struct base_writer *writer = NULL;
	struct base_file_info info;
	file_path_of(bases, 8, path);
	enum status status = base_writer_open(path, 1 << 20, &writer, &err);
	for (uint32_t i = 0; status == STATUS_OK && i < 2; i++) {
		status = write_segment(writer, &bases->owner, i, 1, ROWS, &err);
	}
	if (status == STATUS_OK) {
		status = base_writer_finish(writer, &info, &err);
		writer = NULL;
	}
	base_writer_abort(writer);
	if (status == STATUS_OK) {
		base_file_info_fini(&info);
	} else {
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_int_equal(err.status, STATUS_NO_MEMORY);
	}
	return status == STATUS_OK;
}

static bool opens_a_set(void *arg)
{
	struct bases *bases = arg;
	struct error err = {0};
	struct base_set *set = NULL;
	const enum status status =
		base_set_open(bases->folder, &bases->owner, bases->infos, FILES, &set, &err);
	if (status != STATUS_OK) {
		assert_int_equal(status, STATUS_NO_MEMORY);
		assert_null(set);
		return false;
	}
	assert_int_equal(err.status, STATUS_OK); /* a lack of memory is no damage */
	base_set_close(set);
	return true;
}

static void refused_memory_is_told_as_such(void **state)
{
	assert_true(alloc_fail_each(writes_a_file, *state) >= 3);
	assert_true(alloc_fail_each(opens_a_set, *state) >= 6);
}

/* As for memory: what the process has too little of says nothing about the file. */
static void too_many_open_files_are_no_damage(void **state)
{
	struct bases *bases = *state;
	struct error err = {0};
	struct base_set *set = NULL;
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const enum status status =
		base_set_open(bases->folder, &bases->owner, bases->infos, FILES, &set, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(status, STATUS_NO_MEMORY);
	assert_non_null(strstr(err.text, "Too many open files"));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_found_again),
		cmocka_unit_test(a_segment_may_be_of_any_size),
		cmocka_unit_test(a_missing_file_damages_its_segments_only),
		cmocka_unit_test(a_file_of_another_size_damages_its_segments_only),
		cmocka_unit_test(a_flipped_bit_damages_what_it_is_in),
		cmocka_unit_test(a_file_of_another_table_is_damage),
		cmocka_unit_test(files_put_in_each_others_place_are_damage),
		cmocka_unit_test(a_file_cut_while_it_is_open_is_damage),
		cmocka_unit_test(segments_must_cover_every_hash_once),
		cmocka_unit_test(a_segment_must_be_where_the_catalog_says),
		cmocka_unit_test(a_leftover_is_replaced_and_an_aborted_file_gone),
		cmocka_unit_test(refused_memory_is_told_as_such),
		cmocka_unit_test(too_many_open_files_are_no_damage),
	};
	return fixture_run(tests, sizeof tests / sizeof *tests, setup, teardown);
}
