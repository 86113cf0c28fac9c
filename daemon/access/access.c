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
