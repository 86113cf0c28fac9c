/* batch.h - rows as they come from outside, and what must hold before they are taken.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_ROW_BATCH_H
#define DAEMON_STORE_ROW_BATCH_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Keys and columns; all borrowed, of any alignment. */
struct row_batch {
	struct keys keys;
	enum dtype dtype;      /* of rows */
	const uint8_t *rows;   /* keys.count rows */
	size_t rows_bytes;     /* of all of them */
	const uint8_t *scales; /* f32[count] for i8, else NULL */
	const uint8_t *times;  /* i64[count], or NULL: the default that goes with the batch */
	const uint8_t *tags;   /* u64[count], or NULL: 0 */
	/* of an aggregating table, whose rows are sums: f32[count], above 0; or NULL: 1 */
	const uint8_t *weights;
	bool allow_nonfinite;
};

/* Whether keys, dtype, rows, tags, weights and times fit the table, and the rows are finite as they
 * were given. Errors: BAD_REQUEST, naming the column, what was given and what is allowed. */
enum status batch_check(const struct row_batch *batch, const struct table_spec *spec,
	struct error *err);

/* Whether the rows, `kept` being what they became in the table's dtype, are finite still. */
enum status batch_check_kept(const struct row_batch *batch, const struct table_spec *spec,
	const struct dtype_rows *kept, struct error *err);

/* Time, tags and weight of row i. */
int64_t batch_time(const struct row_batch *batch, uint32_t i, int64_t otherwise);
uint64_t batch_tags(const struct row_batch *batch, uint32_t i);
float batch_weight(const struct row_batch *batch, uint32_t i);

#endif
