/* catalog_key.h - the keys of the catalog's records, and the checksum behind each record.
 *
 * Behind each record stands its XXH3-64. The seed is the XXH3-64 of the key, so a record counts only in
 * its own place.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_CATALOG_CATALOG_KEY_H
#define DAEMON_STORE_CATALOG_CATALOG_KEY_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct wire_message;

enum { RECORD_HASH_BYTES = 8 };

/* A letter and up to three big-endian numbers, so that records sort by them. */
struct record_key {
	uint8_t bytes[25];
	size_t len;
};

struct record_key record_key(char letter, const uint64_t *numbers, size_t count);

/* The checksum of a record under a key. */
uint64_t record_hash(const void *key, size_t key_len, const void *data, size_t len);

/* Opens a record with its checksum. Errors: CORRUPT, NO_MEMORY; those of wire_open. */
enum status record_open(const void *key, size_t key_len, const void *value, size_t len,
	struct wire_message **out);

#endif
