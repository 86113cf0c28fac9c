/* sample_row.h - reads one sample as one JSON object: its user, item and time, and its vector at each layer.
 *
 *   {"user": 7, "item": "movie-3", "time": 1700000000, "mlp2": [0.5, -1], "fm": [2, 0]}
 *
 * A key is an integer or a string. All samples must be as the first one is: keys of the same kind, vectors of
 * the same lengths. Members that nobody asked for are passed over.
 *
 * Threads: one a reader.
 */
#ifndef TOOLS_FORMAT_SAMPLE_ROW_H
#define TOOLS_FORMAT_SAMPLE_ROW_H

#include "schema/limits.h"
#include "schema/status.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAMPLE_USER, SAMPLE_ITEM, SAMPLE_SIDES };

struct sample_key {
	bool is_string;
	size_t len; /* 8 of an integer, which is little-endian */
	uint8_t bytes[LIMIT_KEY_BYTES];
};

struct sample_row_layer {
	const char *name;     /* borrowed; it ends at a '=', or at its NUL */
	uint32_t dim;         /* 0: not yet known */
	struct buffer vector; /* f32[dim], of the last line */
};

struct sample_row_reader {
	bool is_first;                        /* no sample was read yet */
	struct sample_key keys[SAMPLE_SIDES]; /* of the last line, as the next */
	int64_t time;                         /* of whatever unit */
	struct sample_row_layer *layers;      /* owned */
	size_t layer_count;
};

/* layers: borrowed. Errors: NO_MEMORY. */
enum status sample_row_open(const char *const *layers, size_t layer_count,
	struct sample_row_reader *out, struct error *err);
/* Fine for one that is zeroed. */
void sample_row_close(struct sample_row_reader *reader);

/* Reads the sample of one line. Errors, after which `reader` has no sample: BAD_REQUEST, naming the member;
 * NO_MEMORY. */
enum status sample_row_read(struct sample_row_reader *reader, const char *text, size_t len,
	struct error *err);

#endif
