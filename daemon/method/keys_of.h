/* keys_of.h - keys as they came over the wire, made a batch.
 *
 * A bin is packed: u64 are used where they stand; byte strings get an index. An array
 * of integers, or of strings, is packed into memory of our own.
 *
 *     keys_of_begin  checks type and count, allocates nothing
 *     keys_of_pack   checks each element of an array; keys->batch is ready
 *     keys_of_fini   also after a failure, or when zeroed
 *
 * Threads: one at a time; the batch points into the call's message, or into `memory`.
 */
#ifndef DAEMON_METHOD_KEYS_OF_H
#define DAEMON_METHOD_KEYS_OF_H

#include "schema/key.h"
#include "schema/status.h"
#include "schema/wire.h"

struct keys_of {
	struct keys batch; /* type and count from keys_of_begin on, the rest from keys_of_pack on */
	struct wire_value given; /* borrowed */
	const char *where;       /* borrowed: what errors put before "keys": "", "parts[1]." */
	void *memory;            /* owned */
};

/* `keys` is filled whatever it returns.
 * Errors: BAD_REQUEST  neither bin nor array, or packed wrongly for a table whose keys
 *         are of `type`; TOO_LARGE  more than LIMIT_KEYS. */
enum status keys_of_begin(struct keys_of *keys, struct wire_value given, enum key_type type,
	const char *where, struct error *err);

/* Errors: BAD_REQUEST  an element that is no key of the table's type; NO_MEMORY. */
enum status keys_of_pack(struct keys_of *keys, struct error *err);

void keys_of_fini(struct keys_of *keys);

#endif
