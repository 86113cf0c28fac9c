/* given_keys.h - the keys that a request gives, as a batch.
 *
 * A bin holds packed keys. Packed u64 are used where they stand; for packed byte strings we find
 * where each begins. An array of integers or of strings is packed into memory of our own.
 *
 *     given_keys_begin  checks type and count, allocates nothing
 *     given_keys_pack   checks each element of an array; keys->batch is ready
 *     given_keys_fini   also after a failure, or when zeroed
 *
 * Threads: one at a time; the batch points into the call's message, or into `memory`.
 */
#ifndef DAEMON_METHOD_CALL_GIVEN_KEYS_H
#define DAEMON_METHOD_CALL_GIVEN_KEYS_H

#include "schema/key.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdint.h>

struct given_keys {
	struct keys
		batch; /* type and count from given_keys_begin on, the rest from given_keys_pack on */
	struct wire_value given; /* borrowed */
	const char *where;       /* borrowed; errors write it before "keys": "", "parts[1]." */
	void *memory;            /* owned */
};

/* What given_keys_begin and given_keys_pack will cost together, in nanoseconds (cost.h). */
uint64_t given_keys_cost(struct wire_value given, enum key_type type);

/* `keys` is filled, and needs given_keys_fini, also after a failure.
 * Errors: BAD_REQUEST  neither bin nor array, or packed wrongly for a table whose keys
 *         are of `type`; TOO_LARGE  more than LIMIT_KEYS. */
enum status given_keys_begin(struct given_keys *keys, struct wire_value given, enum key_type type,
	const char *where, struct error *err);

/* Errors: BAD_REQUEST  an element that is no key of the table's type; NO_MEMORY. */
enum status given_keys_pack(struct given_keys *keys, struct error *err);

void given_keys_fini(struct given_keys *keys);

#endif
