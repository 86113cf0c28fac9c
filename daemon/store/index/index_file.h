/* index_file.h - the head of an index file, for the code that reads and the code that writes it.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_INDEX_INDEX_FILE_H
#define DAEMON_STORE_INDEX_INDEX_FILE_H

#include <stdint.h>

struct index_owner;

enum {
	INDEX_VERSION = 3,
	INDEX_HEAD_BYTES = 72,
	INDEX_IMAGE_OFFSET = 4096, /* a page, so that the image is aligned in the map */
};

struct index_head {
	uint64_t base_hash; /* index_base_hash */
	uint64_t rows;
	uint64_t bytes; /* of the image */
	uint64_t hash;  /* XXH3-64 of it */
	uint64_t build_ms;
	uint64_t changed; /* rows that were written or removed since balls and recalls were found */
};

void index_head_write(const struct index_head *head, uint8_t out[INDEX_HEAD_BYTES]);

/* A hash that says which base file an index is of; 0: no memory. */
uint64_t index_base_hash(const struct index_owner *owner);

#endif
