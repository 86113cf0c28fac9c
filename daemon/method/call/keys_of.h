/* keys_of.h - the keys that a request gives, as a batch.
 *
 * A bin holds packed keys. Packed u64 are used where they stand; for packed byte strings we find
 * where each begins. An array of integers or of strings is packed into memory of our own.
 *
 *     keys_of_begin  checks type and count, allocates nothing
 *     keys_of_pack   checks each element of an array; keys->batch is ready
 *     keys_of_fini   also after a failure, or when zeroed
 *
 * Threads: one at a time; the batch points into the call's message, or into `memory`.
 */
#ifndef DAEMON_METHOD_CALL_KEYS_OF_H
#define DAEMON_METHOD_CALL_KEYS_OF_H

#include "schema/key.h"
#include "schema/status.h"
#include "schema/wire.h"

struct keys_of {
	struct keys batch; /* type and count from keys_of_begin on, the rest from keys_of_pack on */
	struct wire_value given; /* borrowed */
	const char *where;       /* borrowed; errors write it before "keys": "", "parts[1]." */
	void *memory;            /* owned */
};

/* `keys` is filled, and needs keys_of_fini, also after a failure.
 * Errors: BAD_REQUEST  neither bin nor array, or packed wrongly for a table whose keys
 *         are of `type`; TOO_LARGE  more than LIMIT_KEYS. */
enum status keys_of_begin(struct keys_of *keys, struct wire_value given, enum key_type type,
	const char *where, struct error *err);

/* Errors: BAD_REQUEST  an element that is no key of the table's type; NO_MEMORY. */
enum status keys_of_pack(struct keys_of *keys, struct error *err);

void keys_of_fini(struct keys_of *keys);

#endif
