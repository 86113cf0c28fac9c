/* access.c - looks peers up in the rules that are in force. */
#include "daemon/access/access.h"

void access_init(struct access *access, const struct access_rules *rules)
{
	lock_init(&access->lock);
	access->rules = *rules;
	atomic_init(&access->version, 1);
}

void access_fini(struct access *access)
{
	lock_fini(&access->lock);
}

void access_replace(struct access *access, const struct access_rules *rules)
{
	lock_take(&access->lock);
	access->rules = *rules;
	atomic_fetch_add_explicit(&access->version, 1, memory_order_release);
	lock_release(&access->lock);
}

unsigned access_ask(struct access *access, const struct peer_identity *peer, uint64_t *version)
{
	lock_take(&access->lock);
	const unsigned roles = access_roles(&access->rules, peer);
	*version = access_version(access);
	lock_release(&access->lock);
	return roles;
}

unsigned access_entries(struct access *access, const struct peer_identity *peer,
	struct access_entry out[ACCESS_SHOWN_MAX])
{
	unsigned count = 0;
	lock_take(&access->lock);
	for (unsigned i = 0; i < access->rules.count && count < ACCESS_SHOWN_MAX; i++) {
		if (access_entry_is_of(&access->rules.entries[i], peer)) {
			out[count++] = access->rules.entries[i];
		}
	}
	lock_release(&access->lock);
	return count;
}

bool access_is_owner(struct access *access, const struct peer_identity *peer)
{
	lock_take(&access->lock);
	const bool is_own = access_is_own(&access->rules, peer);
	lock_release(&access->lock);
	return is_own;
}
