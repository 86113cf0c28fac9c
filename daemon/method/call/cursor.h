/* cursor.h - where a walk through a table goes on, as clients are told it.
 *
 * A walk is in the order of the hashes of keys, and goes on at a hash. No answer tells one, so a
 * client gets it encrypted: by a Feistel network of four rounds of SipHash, whose key is derived
 * from the seed of the release and the number of the table. It stays good over merges and restarts.
 * A cursor that was not given out leads somewhere into the table, and does no harm.
 *
 * Threads: any; there is no state. Source: M. Luby and C. Rackoff, "How to construct pseudorandom
 * permutations from pseudorandom functions", 1988.
 */
#ifndef DAEMON_METHOD_CALL_CURSOR_H
#define DAEMON_METHOD_CALL_CURSOR_H

#include "schema/siphash.h"

#include <stdint.h>

/* 0 stands for the beginning, in both directions; any other number has one other. */
uint64_t cursor_of_hash(const struct key_seed *seed, uint64_t table, uint64_t hash);
uint64_t cursor_to_hash(const struct key_seed *seed, uint64_t table, uint64_t cursor);

#endif
