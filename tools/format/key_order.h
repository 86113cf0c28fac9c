/* key_order.h - in which order a dump has the rows that were scanned.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_KEY_ORDER_H
#define TOOLS_FORMAT_KEY_ORDER_H

#include "repstore.h"
#include "schema/status.h"
#include "tools/format/buffer.h"
#include "tools/format/sink.h"

#include <stddef.h>
#include <stdint.h>

struct key_order {
	uint64_t count;         /* rows of the dump */
	uint64_t *from;         /* owned; row i of the dump is scanned row from[i]; NULL: row i */
	const uint8_t *packed;  /* borrowed; the keys as they were scanned */
	uint64_t *at;           /* owned; keys of bytes: where the length of each stands */
	size_t key_bytes_max;   /* keys of bytes: how long the longest is */
	struct mapping mapping; /* owned; the file of keys, for SINK_BY_FILE */
	const uint8_t *file;    /* its bytes */
	size_t file_bytes;
};

/* Orders `rows` keys; keys->count is not read. path: the npy file of SINK_BY_FILE.
 * Errors: NOT_FOUND  a key of the file was not scanned; NO_MEMORY; those of npy_read. */
enum status key_order_make(const struct rep_keys *keys, uint64_t rows, enum sink_order sort,
	const char *path, struct key_order *out, struct error *err);
void key_order_fini(struct key_order *order);

/* Copies the key of row i of the dump, a string, into `padded`, uint8_t[256], which is zeroed.
 * Errors: UNSUPPORTED  the key ends in NUL, which NumPy would drop. */
enum status key_order_string(const struct key_order *order, uint64_t i, uint8_t *padded,
	struct error *err);

#endif
