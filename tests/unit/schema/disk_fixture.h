/* disk_fixture.h - tables of a page held against bytes that the code writes.
 *
 * Threads: one. What does not fit fails the test.
 */
#ifndef TESTS_UNIT_SCHEMA_DISK_FIXTURE_H
#define TESTS_UNIT_SCHEMA_DISK_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of a text file, malloc'ed. */
char *disk_read_text(const char *path);

/* As fail_msg. */
_Noreturn void disk_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { DISK_FIELDS_MAX = 16 };

/* One row of a table of offsets. */
struct disk_field {
	const char *name; /* "magic": `value` is not looked at; "zero": 0 */
	uint64_t value;   /* what the written bytes have there; of "checksum" any but 0 */
};

/* The table under "### heading", and what writes such bytes. */
struct disk_layout {
	const char *heading;
	const char *magic; /* NULL: it has none */
	size_t bytes;      /* that the table covers, from 0 on without a gap */
	void (*write)(uint8_t *out);
	struct disk_field fields[DISK_FIELDS_MAX];
};

extern const struct disk_layout *const disk_layouts[];
/* Of these. */
extern const struct disk_layout disk_samples_head;
extern const struct disk_layout disk_served_head;
extern const struct disk_layout disk_served_frame;
extern const struct disk_layout disk_current_head;
extern const struct disk_layout disk_visible_head;
extern const struct disk_layout disk_visible_copy;
extern const size_t disk_layout_count;

/* Compares the page's table with the fields, and with the bytes at its offsets. */
void disk_check_layout(const char *page, const struct disk_layout *layout);

/* Compares the tables of records with maps that record.h writes. */
void disk_check_records(const char *page);

#endif
