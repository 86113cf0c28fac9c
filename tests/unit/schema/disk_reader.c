/* disk_reader.c - writes the heads of what readers without the daemon follow, for the tables of the page. */
#include "daemon/store/catalog/current.h"
#include "daemon/store/system/bytes.h"
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
