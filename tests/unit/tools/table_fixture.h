/* table_fixture.h - a table's rows in memory, and a folder for the files they go through.
 *
 * Rows are made by rule, so that what comes back can be told from anything else.
 */
#ifndef TESTS_UNIT_TOOLS_TABLE_FIXTURE_H
#define TESTS_UNIT_TOOLS_TABLE_FIXTURE_H

#include "repstore.h"
#include "schema/status.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;
struct sink;

struct rows {
	struct rep_table_spec spec;
	size_t row_bytes;
	uint32_t count;
	struct buffer keys; /* packed */
	struct buffer values;
	struct buffer scales;
	struct buffer times;
	struct buffer tags;
};

/* Fills `count` rows whose keys are not in ascending order. */
void rows_init(struct rows *rows, const struct rep_table_spec *spec, uint32_t count);
void rows_fini(struct rows *rows);
/* Rows [first, first + count), as a scan hands them out. */
void rows_scan(const struct rows *rows, uint32_t first, uint32_t count, struct rep_scan *out);
/* Gives a sink all rows in steps of `step`, and finishes it. */
enum status rows_write(const struct rows *rows, struct sink *sink, uint32_t step,
	struct error *err);
/* Reads a source to its end into `out`, which has the spec already. */
enum status rows_read(struct source *source, struct rows *out, struct error *err);
/* Fails the test unless both hold the same rows in the same order. */
void rows_assert_equal(const struct rows *a, const struct rows *b);

/* A new folder; fixture_fini removes it and fails the test if a file is in it that
 * fixture_path did not name. */
struct fixture {
	char folder[64];
	char paths[16][96];
	size_t path_count;
};

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);
const char *fixture_path(struct fixture *fixture, const char *name);
/* A file's bytes; the caller frees them. */
uint8_t *fixture_read(const char *path, size_t *len);
void fixture_write(const char *path, const void *data, size_t len);

#endif
