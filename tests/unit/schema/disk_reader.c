/* disk_reader.c - writes the heads of what readers without the daemon follow, for the tables of the page. */
#include "daemon/store/catalog/current.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/visible/visible.h"
#include "tests/unit/schema/disk_fixture.h"
#include "tests/unit/store/scratch.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void write_current_head(uint8_t *out)
{
	char folder[] = "/tmp/repstore-disk-XXXXXX";
	char path[PATH_MAX];
	const struct snapshot snapshot = {.next_release = 1};
	assert_non_null(mkdtemp(folder));
	assert_int_equal(current_write(folder, &snapshot, false, NULL), STATUS_OK);
	(void)snprintf(path, sizeof path, "%s/current", folder);
	struct scratch_file file = scratch_read(path);
	assert_true(file.len > 32);
	/* So that the number is known here, whatever a body has. */
	assert_int_equal(bytes_get_u32(file.data + 16), file.len - 32);
	memcpy(out, file.data, 24);
	memset(out + 16, 0x41, 4);
	free(file.data);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

const struct disk_layout disk_current_head = {"Head of current", "repstcur", 24, write_current_head,
	{{"magic", 0}, {"version", CURRENT_VERSION}, {"readable_from", CURRENT_READABLE_FROM},
		{"body_bytes", 0x41414141}, {"zero", 0}}};

static void write_visible_head(uint8_t *out)
{
	uint8_t page[VISIBLE_BYTES];
	visible_begin(page);
	memcpy(out, page, 16);
}

const struct disk_layout disk_visible_head = {"Head of visible", "repstvis", 16, write_visible_head,
	{{"magic", 0}, {"version", VISIBLE_VERSION}, {"readable_from", VISIBLE_READABLE_FROM}}};

static void write_visible_copy(uint8_t *out)
{
	uint64_t words[VISIBLE_BYTES / 8]; /* aligned, as a map is */
	uint8_t *page = (uint8_t *)words;
	const struct visible state = {
		.seq = 0x7101,
		.start = 0x7102,
		.replayed = 0x7103,
		.visible = 0x7104,
		.file = 0x7105,
		.offset = 0x7106,
		.current = 0x7107,
		.monotonic_ns = 0x7108,
		.wall_ms = 0x7109,
	};
	visible_begin(page);
	visible_store(page, &state);
	memcpy(out, page + VISIBLE_COPY_ODD, VISIBLE_COPY_BYTES);
}

const struct disk_layout disk_visible_copy = {"Copy of visible", NULL, VISIBLE_COPY_BYTES,
	write_visible_copy,
	{{"seq", 0x7101}, {"start", 0x7102}, {"replayed", 0x7103}, {"visible", 0x7104},
		{"file", 0x7105}, {"offset", 0x7106}, {"current", 0x7107}, {"monotonic_ns", 0x7108},
		{"wall_ms", 0x7109}, {"checksum", 0}}};
