/* key_order.h - which scanned row comes when in a dump.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_KEY_ORDER_H
#define TOOLS_KEY_ORDER_H

#include "repstore.h"
#include "schema/status.h"
#include "tools/buffer.h"
#include "tools/sink.h"

#include <stddef.h>
#include <stdint.h>

struct key_order {
	uint64_t count;         /* rows of the dump */
	uint64_t *from;         /* owned; the scanned row of each; NULL: as scanned */
	const uint8_t *packed;  /* borrowed; the keys as they were scanned */
	uint64_t *at;           /* owned; keys of bytes: where each one's length stands */
	size_t key_bytes_max;   /* of keys of bytes: the longest */
	struct mapping mapping; /* owned; of the file of keys */
	const uint8_t *file;    /* the same, for SINK_BY_FILE */
	size_t file_bytes;
};

/* Orders `rows` keys; keys->count is not looked at. `path` is the npy file of SINK_BY_FILE.
 * Errors: NOT_FOUND  a key of the file that was not scanned; NO_MEMORY; those of npy_read. */
enum status key_order_make(const struct rep_keys *keys, uint64_t rows, enum sink_order sort,
	const char *path, struct key_order *out, struct error *err);
void key_order_fini(struct key_order *order);

/* Copies the string that is the key of dump row i into `padded`, uint8_t[256], which is zeroed.
 * Errors: UNSUPPORTED  it ends in NUL, which NumPy would drop. */
enum status key_order_string(const struct key_order *order, uint64_t i, uint8_t *padded,
	struct error *err);

#endif
