/* keys.h - keys that a caller gives.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_KEYS_H
#define CLIENT_KEYS_H

#include "repstore.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stddef.h>

/* Checks that the bytes hold as many keys as they say.
 * Errors: BAD_REQUEST, TOO_LARGE. */
enum status keys_check(const struct rep_keys *keys, struct error *err);

/* Writes keys that were checked, of a request that has at most so many `lists` of keys. They are packed, which does not
 * say of what type they are: byte strings that a table of u64 would take for as many keys of its own are written one
 * by one, so that it refuses them. */
void keys_write(struct wire_writer *writer, const struct rep_keys *keys, size_t lists);

#endif
