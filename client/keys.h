/* keys.h - keys that a caller gives.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_KEYS_H
#define CLIENT_KEYS_H

#include "repstore.h"
#include "schema/status.h"

/* Checks that the bytes hold as many keys as they say.
 * Errors: BAD_REQUEST, TOO_LARGE. */
enum status keys_check(const struct rep_keys *keys, struct error *err);

#endif
