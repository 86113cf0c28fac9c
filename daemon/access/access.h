/* access.h - the rules that are in force, which a reload replaces while peers are served.
 *
 * A connection keeps the roles that it was found to have, with the version of the rules that gave them. When the version has
 * moved on, it asks again before its next request: access_version is one load.
 *
 * Threads: any.
 */
#ifndef DAEMON_ACCESS_ACCESS_H
#define DAEMON_ACCESS_ACCESS_H

#include "daemon/access/rules.h"
#include "daemon/store/system/lock.h"

#include <stdatomic.h>

enum { ACCESS_SHOWN_MAX = 16 };

struct access {
	struct lock lock;
	struct access_rules rules; /* guarded by lock */
	_Atomic uint64_t version;  /* from 1 on: 0 is that of nobody's roles */
};

void access_init(struct access *access, const struct access_rules *rules);
void access_fini(struct access *access);

/* Puts other rules in force: for every request that is read from now on. */
void access_replace(struct access *access, const struct access_rules *rules);

static inline uint64_t access_version(const struct access *access)
{
	return atomic_load_explicit(&access->version, memory_order_acquire);
}

/* The entries that speak of a peer, at most ACCESS_SHOWN_MAX of them. Returns how many they are. */
unsigned access_entries(struct access *access, const struct peer_identity *peer,
	struct access_entry out[ACCESS_SHOWN_MAX]);

/* Is it admin without an entry? */
bool access_is_owner(struct access *access, const struct peer_identity *peer);

/* The roles of a peer now, and the version of the rules that give them. */
unsigned access_ask(struct access *access, const struct peer_identity *peer, uint64_t *version);

#endif
