/* test_redo.c - the log is cut at every byte, torn in any order, damaged: what it gives back. */
#include "daemon/store/log/redo.h"
#include "daemon/store/log/redo_write.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"
#include "tests/unit/seed.h"
#include "tests/unit/store/plain.h"
#include "tests/unit/store/scratch.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

enum { DIM = 4, GROUPS = 4, GROUP_FRAMES = 5, FRAMES = GROUPS * GROUP_FRAMES };

static const struct table_spec spec = {
	.name = {"t"},
	.entity = ENTITY_USER,
	.kind = KIND_UR,
	.dtype = DTYPE_F32,
	.key_type = KEY_U64,
	.dim = DIM,
	.views = 1,
};

/* What an opening has found. */
struct found {
	uint64_t frames;
	uint64_t last;
};

/* Frame n has n % 3 + 1 rows, whose keys and values follow from n. */
static enum status on_frame(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	struct found *found = arg;
	struct frame_part part;
	struct frame_walk walk;
	struct frame_row row;
	size_t at = 0;
	(void)err;
	uint64_t rows = 0;
	assert_true(frame_next_part(data, head, &at, &part));
	assert_int_equal(part.table, 1);
	frame_walk_begin(&walk, &part, &spec);
	while (frame_walk_next(&walk, &row)) {
		float values[DIM];
		uint64_t key;
		memcpy(&key, row.key, sizeof key);
		memcpy(values, row.data, sizeof values);
		assert_int_equal(key, head->sequence * 10 + rows);
		assert_true(values[DIM - 1] == (float)head->sequence);
		assert_int_equal(row.time_ms, (int64_t)head->sequence);
		rows++;
	}
	assert_int_equal(walk.left, 0);
	assert_false(frame_next_part(data, head, &at, &part));
	assert_int_equal(rows, head->sequence % 3 + 1);
	assert_int_equal(head->sequence, found->last + 1);
	found->last = head->sequence;
	found->frames++;
	return STATUS_OK;
}

static enum status try_open(struct scratch *scratch, uint64_t first_file, struct found *found,
	struct redo **redo, struct error *err)
{
	char folder[PATH_MAX];
	scratch_path(scratch, folder, "log");
	*found = (struct found){0};
	const struct redo_options options = {
		.folder = folder,
		.first_file = first_file,
		.next_sequence = 1,
		.on_frame = on_frame,
		.on_frame_arg = found,
	};
	return redo_open(&options, redo, err);
}

static struct redo *must_open(struct scratch *scratch, uint64_t first_file, struct found *found)
{
	struct error err = {0};
	struct redo *redo = NULL;
	scratch_must(try_open(scratch, first_file, found, &redo, &err), &err);
	return redo;
}

static void make_frame(uint64_t sequence, struct redo_frame *frame)
{
	const float values[DIM] = {1, 2, 3, (float)sequence};
	struct frame_head head = {.parts = 1, .sequence = sequence, .release = 1};
	struct frame_part part = {.kind = FRAME_PUT, .table = 1};
	frame->data = malloc(FRAME_HEAD_BYTES + frame_part_bytes_max(&spec, FRAME_PUT, 3, 24));
	assert_non_null(frame->data);
	uint8_t *first = frame->data + FRAME_HEAD_BYTES;
	uint8_t *end = first + FRAME_PART_BYTES;
	for (uint64_t i = 0; i < sequence % 3 + 1; i++) {
		const uint64_t key = sequence * 10 + i;
		const struct frame_row row = {
			.key = (const uint8_t *)&key,
			.key_len = 8,
			.time_ms = (int64_t)sequence,
			.data = (const uint8_t *)values,
		};
		end = frame_put_row(end, &spec, FRAME_PUT, &row);
		part.rows++;
	}
	frame_end(frame->data, frame_end_part(first, end, &part), &head);
	frame->len = head.bytes;
}

/* Appends a group, and syncs it if it is to be. */
static void append_synced(struct redo *redo, uint64_t count, bool sync)
{
	struct error err = {0};
	struct redo_frame frames[FRAMES];
	for (uint64_t i = 0; i < count; i++) {
		make_frame(redo_next_sequence(redo) + i, &frames[i]);
	}
	scratch_must(redo_append(redo, frames, count, &err), &err);
	scratch_must(sync ? redo_sync(redo, &err) : STATUS_OK, &err);
	for (uint64_t i = 0; i < count; i++) {
		free(frames[i].data);
	}
}

static void append(struct redo *redo, uint64_t count)
{
	append_synced(redo, count, true);
}

/* A log of GROUPS groups in one file; *synced is where the last group begins. */
static struct scratch_file make_log(struct scratch *scratch, size_t *synced)
{
	struct found found;
	char path[PATH_MAX];
	(void)mkdir(scratch->data, 0700);
	struct redo *redo = must_open(scratch, 0, &found);
	for (unsigned i = 0; i + 1 < GROUPS; i++) {
		append(redo, GROUP_FRAMES);
	}
	scratch_path(scratch, path, "log/1.log");
	const struct scratch_file before = scratch_read(path);
	*synced = before.len;
	free(before.data);
	append(redo, GROUP_FRAMES);
	redo_close(redo);
	return scratch_read(path);
}

/* Opens what is in the file now: all synced frames must be there, of the others any number, in
 * order; and it must go on from there. */
static void expect_prefix(struct scratch *scratch)
{
	struct found found;
	struct redo *redo = must_open(scratch, 1, &found);
	assert_true(found.frames >= FRAMES - GROUP_FRAMES);
	assert_true(found.frames <= FRAMES);
	assert_int_equal(redo_next_sequence(redo), found.frames + 1);
	append(redo, 1);
	redo_close(redo);
	const uint64_t before = found.frames;
	redo_close(must_open(scratch, 1, &found));
	assert_int_equal(found.frames, before + 1);
}

/* ---- the page cache ---- */

/* How many pages of a file the system has in memory. */
static size_t count_cached(const char *path)
{
	struct stat about;
	const int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	const size_t pages = ((size_t)about.st_size + 4095) / 4096;
	unsigned char *there = malloc(pages);
	void *map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_non_null(there);
	assert_int_equal(mincore(map, (size_t)about.st_size, there), 0);
	size_t count = 0;
	for (size_t i = 0; i < pages; i++) {
		count += there[i] & 1;
	}
	(void)munmap(map, (size_t)about.st_size);
	free(there);
	close(fd);
	return count;
}

/* Not in the scratch folder, which may be in memory: there its pages are the file. */
static void what_is_synced_leaves_the_page_cache(void **state)
{
	/* Some pages stay with the last one, in whatever blocks they came. */
	enum { APPENDS = 4 * REDO_DROP_BYTES / (180 * FRAMES), LEFT_MAX = REDO_DROP_BYTES / 4096 };
	struct scratch on_disk = {.data = "/var/tmp/repstore_test.XXXXXX"};
	struct found found;
	char path[PATH_MAX];
	struct statfs system;
	(void)state;
	assert_non_null(mkdtemp(on_disk.data));
	struct redo *redo = must_open(&on_disk, 0, &found);
	for (unsigned i = 0; i < APPENDS; i++) {
		append_synced(redo, FRAMES, i % 512 == 511 || i + 1 == APPENDS);
	}
	scratch_path(&on_disk, path, "log/1.log");
	const uint64_t frames = redo_next_sequence(redo) - 1;
	assert_true(redo_bytes(redo) / 2 > REDO_DROP_BYTES);
	assert_int_equal(statfs(path, &system), 0);
	const size_t left = count_cached(path);
	redo_close(redo);
	redo_close(must_open(&on_disk, 1, &found)); /* reads all of it from the disk */
	assert_int_equal(found.frames, frames);
	scratch_path(&on_disk, path, "log");
	assert_int_equal(file_remove_folder(path, NULL), STATUS_OK);
	assert_int_equal(file_remove_folder(on_disk.data, NULL), STATUS_OK);
	if (system.f_type == TMPFS_MAGIC) {
		skip();
	}
	assert_true(left <= LEFT_MAX);
}

/* ---- what is torn ---- */

static void the_last_group_may_end_at_every_byte(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	size_t synced;
	const struct scratch_file file = make_log(scratch, &synced);
	scratch_path(scratch, path, "log/1.log");
	for (size_t len = synced; len <= file.len; len++) {
		scratch_write(path, file.data, len);
		expect_prefix(scratch);
	}
	free(file.data);
}

static void the_last_group_may_be_torn_in_any_order(void **state)
{
	enum { ROUNDS = 2000, SECTOR = 64 };
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	size_t synced;
	uint64_t random = seed_from(7);
	const struct scratch_file file = make_log(scratch, &synced);
	uint8_t *torn = malloc(file.len);
	assert_non_null(torn);
	scratch_path(scratch, path, "log/1.log");
	for (unsigned round = 0; round < ROUNDS; round++) {
		memcpy(torn, file.data, file.len);
		for (size_t at = synced; at < file.len; at += SECTOR) {
			const size_t len = file.len - at < SECTOR ? file.len - at : SECTOR;
			const uint64_t what = plain_random(&random) % 3;
			if (what == 0) {
				memset(torn + at, 0, len);
			} else if (what == 1) {
				memcpy(torn + at, file.data + plain_random(&random) % synced, len);
			}
		}
		scratch_write(path, torn, file.len);
		expect_prefix(scratch);
	}
	free(torn);
	free(file.data);
}

/* ---- damage ---- */

static void damage_before_the_last_group_is_refused_with_its_place(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	size_t synced;
	struct found found;
	struct redo *redo = NULL;
	const struct scratch_file file = make_log(scratch, &synced);
	scratch_path(scratch, path, "log/1.log");
	for (size_t at = 0; at < synced; at++) {
		struct error err = {0};
		scratch_write(path, file.data, file.len);
		scratch_flip(path, at);
		const enum status status = try_open(scratch, 1, &found, &redo, &err);
		assert_true(status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
		assert_non_null(strstr(err.text, "1.log"));
	}
	free(file.data);
}

static void a_lost_file_is_refused_by_name(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char path[PATH_MAX];
	size_t synced;
	struct found found;
	struct redo *redo;
	free(make_log(scratch, &synced).data);
	redo = must_open(scratch, 1, &found);
	scratch_must(redo_rotate(redo, &err), &err);
	append(redo, 2);
	scratch_must(redo_rotate(redo, &err), &err);
	append(redo, 2);
	assert_int_equal(redo_file_of(redo, 1), 1);
	assert_int_equal(redo_file_of(redo, FRAMES + 1), 2);
	assert_int_equal(redo_file_of(redo, FRAMES + 3), 3);
	redo_close(redo);
	scratch_path(scratch, path, "log/2.log");
	const struct scratch_file second = scratch_read(path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(try_open(scratch, 1, &found, &redo, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "2.log"));
	scratch_write(path, second.data, second.len);
	free(second.data);
	redo_close(must_open(scratch, 1, &found));
	assert_int_equal(found.frames, FRAMES + 4);
	scratch_path(scratch, path, "log/1.log");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(try_open(scratch, 1, &found, &redo, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "1.log' is missing"));
}

static void an_unused_file_that_was_being_created_is_made_anew(void **state)
{
	struct scratch *scratch = *state;
	char path[PATH_MAX];
	size_t synced;
	struct found found;
	free(make_log(scratch, &synced).data);
	scratch_path(scratch, path, "log/2.log");
	for (size_t len = 0; len < REDO_HEAD_BYTES; len += 9) {
		static const uint8_t half[REDO_HEAD_BYTES] = "repstlog";
		scratch_write(path, half, len);
		struct redo *redo = must_open(scratch, 1, &found);
		assert_int_equal(found.frames, FRAMES);
		assert_int_equal(redo_file(redo), 2);
		redo_close(redo);
	}
}

static void files_go_when_no_table_needs_them(void **state)
{
	struct scratch *scratch = *state;
	struct error err = {0};
	char path[PATH_MAX];
	size_t synced;
	struct found found;
	free(make_log(scratch, &synced).data);
	struct redo *redo = must_open(scratch, 1, &found);
	scratch_must(redo_rotate(redo, &err), &err);
	append(redo, 1);
	scratch_must(redo_remove_before(redo, 2, &err), &err);
	assert_int_equal(redo_first_file(redo), 2);
	scratch_path(scratch, path, "log/1.log");
	assert_false(scratch_exists(path));
	struct redo_figures figures;
	redo_figures(redo, &figures);
	assert_int_equal(figures.files, 1);
	redo_close(redo);
}

/* ---- rows that look like frames ---- */

enum { FORGED_BYTES = 16 << 20, UNIT_BYTES = FRAME_HEAD_BYTES + FRAME_PART_BYTES };

/* A frame of one part that reaches to the end of the file, but for the checksum. */
static void forge(uint8_t *at, const uint8_t *end, uint64_t sequence, size_t part_bytes)
{
	static const uint8_t magic[4] = {'r', 'f', 'r', 'm'};
	memset(at, 0, UNIT_BYTES);
	memcpy(at, magic, sizeof magic);
	bytes_put_u32(at + 4, (uint32_t)(end - at));
	bytes_put_u16(at + 8, FRAME_VERSION);
	bytes_put_u16(at + 10, 1);
	bytes_put_u64(at + 16, sequence);
	bytes_put_u64(at + 24, sequence);
	bytes_put_u16(at + FRAME_HEAD_BYTES, FRAME_PUT);
	bytes_put_u64(at + FRAME_HEAD_BYTES + 16, part_bytes);
}

/* A log whose last, bad frame has nothing but forged ones in it, then a good one of a later group
 * if it is asked for. What opening it says. */
static enum status open_forged(struct scratch *scratch, bool in_form, bool has_later,
	struct error *err)
{
	char path[PATH_MAX];
	size_t synced;
	struct found found;
	struct redo *redo = NULL;
	const struct scratch_file file = make_log(scratch, &synced);
	redo = must_open(scratch, 1, &found);
	append(redo, 1);
	scratch_path(scratch, path, "log/1.log");
	const struct scratch_file one = scratch_read(path);
	append(redo, 1);
	redo_close(redo);
	const struct scratch_file two = scratch_read(path);
	const size_t later = has_later ? two.len - one.len : 0;
	const size_t len = file.len + FORGED_BYTES + later;
	uint8_t *all = calloc(1, len);
	assert_non_null(all);
	memcpy(all, file.data, file.len);
	memcpy(all + len - later, two.data + one.len, later);
	for (size_t at = 0; at + 2 * (size_t)UNIT_BYTES <= FORGED_BYTES; at += UNIT_BYTES) {
		uint8_t *to = all + file.len + at;
		const size_t part = (size_t)(all + len - to) - FRAME_HEAD_BYTES;
		forge(to, all + len, FRAMES + 2, in_form ? part : part + 8);
	}
	scratch_write(path, all, len);
	free(all);
	free(file.data);
	free(one.data);
	free(two.data);
	const enum status status = try_open(scratch, 1, &found, &redo, err);
	if (status == STATUS_OK) {
		assert_int_equal(found.frames, FRAMES);
		redo_close(redo);
	}
	return status;
}

static void a_torn_end_full_of_forged_heads_is_cut_off(void **state)
{
	struct error err = {0};
	scratch_must(open_forged(*state, false, false, &err), &err);
}

static void forged_heads_do_not_hide_a_later_frame(void **state)
{
	struct error err = {0};
	assert_int_equal(open_forged(*state, false, true, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "written after it had been synced"));
}

static void forged_frames_are_not_compared_for_ever(void **state)
{
	struct error err = {0};
	assert_int_equal(open_forged(*state, true, false, &err), STATUS_CORRUPT);
	assert_non_null(strstr(err.text, "looks like writes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_synced_leaves_the_page_cache),
		cmocka_unit_test_setup_teardown(the_last_group_may_end_at_every_byte, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(the_last_group_may_be_torn_in_any_order,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(
			damage_before_the_last_group_is_refused_with_its_place, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_lost_file_is_refused_by_name, scratch_setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(an_unused_file_that_was_being_created_is_made_anew,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_torn_end_full_of_forged_heads_is_cut_off,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(forged_heads_do_not_hide_a_later_frame,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(forged_frames_are_not_compared_for_ever,
			scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(files_go_when_no_table_needs_them, scratch_setup,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
