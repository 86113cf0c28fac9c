/* user.c - keeps a list of the users that are connected. */
#include "daemon/net/user.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void users_init(struct users *users, unsigned loops)
{
	users->loops = loops;
	atomic_init(&users->count, 0);
	atomic_init(&users->written, 0);
	lock_init(&users->lock);
	link_init(&users->all);
}

void users_fini(struct users *users)
{
	assert(link_is_alone(&users->all));
	lock_fini(&users->lock);
}

static bool is_own(uid_t uid)
{
	return uid == geteuid() || uid == 0;
}

/* Who a peer is as a user: two peers that look alike are one. */
static struct user key_of(const struct peer_identity *peer)
{
	struct user key = {.kind = peer->kind};
	if (peer->kind == IDENTITY_UNIX) {
		key.uid = peer->uid;
	} else if (peer->kind == IDENTITY_CERTIFICATE) {
		identity_text(key.name, peer);
	} else {
		key.kind = IDENTITY_LOOPBACK; /* strangers, too: nothing tells them apart */
	}
	return key;
}

static struct user *find(const struct users *users, const struct user *key)
{
	lock_assert_held(&users->lock);
	for (struct link *at = users->all.next; at != &users->all; at = at->next) {
		struct user *user = LINK_OWNER(at, struct user, all);
		if (user->kind == key->kind && user->uid == key->uid &&
			strcmp(user->name, key->name) == 0) {
			return user;
		}
	}
	return NULL;
}

static struct user *add(struct users *users, const struct user *key)
{
	struct user *user = calloc(1, sizeof *user + users->loops * sizeof user->of_loops[0]);
	if (user != NULL) {
		user->users = users;
		user->kind = key->kind;
		user->uid = key->uid;
		memcpy(user->name, key->name, sizeof user->name);
		user->own = key->kind == IDENTITY_UNIX && is_own(key->uid);
		link_init(&user->all);
		link_append(&users->all, &user->all);
		atomic_fetch_add_explicit(&users->count, 1, memory_order_relaxed);
	}
	return user;
}

struct user *users_enter(struct users *users, const struct peer_identity *peer)
{
	const struct user key = key_of(peer);
	lock_take(&users->lock);
	struct user *user = find(users, &key);
	if (user == NULL) {
		user = add(users, &key);
	}
	if (user != NULL) {
		user->connections++;
	}
	lock_release(&users->lock);
	return user;
}

unsigned users_connections(struct users *users, const struct peer_identity *peer)
{
	const struct user key = key_of(peer);
	lock_take(&users->lock);
	const struct user *user = find(users, &key);
	const unsigned connections = user != NULL ? user->connections : 0;
	lock_release(&users->lock);
	return connections;
}

bool users_is_own(const struct peer_identity *peer)
{
	return peer->kind == IDENTITY_UNIX && is_own(peer->uid);
}

void user_count_write(struct user *user, uint64_t bytes)
{
	atomic_fetch_add_explicit(&user->written, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&user->users->written, bytes, memory_order_relaxed);
}

bool user_writes_most(const struct user *user)
{
	const uint64_t all = atomic_load_explicit(&user->users->written, memory_order_relaxed);
	return atomic_load_explicit(&user->written, memory_order_relaxed) > all / 2;
}

/* What is counted meanwhile by others may be lost: it is an estimate. */
void users_forget_writes(struct users *users)
{
	uint64_t all = 0;
	lock_take(&users->lock);
	for (struct link *at = users->all.next; at != &users->all; at = at->next) {
		struct user *user = LINK_OWNER(at, struct user, all);
		const uint64_t half =
			atomic_load_explicit(&user->written, memory_order_relaxed) / 2;
		atomic_store_explicit(&user->written, half, memory_order_relaxed);
		all += half;
	}
	atomic_store_explicit(&users->written, all, memory_order_relaxed);
	lock_release(&users->lock);
}

void users_leave(struct user *user)
{
	if (user == NULL) {
		return;
	}
	struct users *users = user->users;
	lock_take(&users->lock);
	assert(user->connections > 0);
	const bool is_last = --user->connections == 0;
	if (is_last) {
		link_remove(&user->all);
		atomic_fetch_sub_explicit(&users->count, 1, memory_order_relaxed);
	}
	lock_release(&users->lock);
	if (is_last) {
		assert(atomic_load(&user->requests.used) == 0);
		assert(atomic_load(&user->replies.used) == 0);
		for (unsigned i = 0; i < LANE_COUNT; i++) {
			assert(user->turns[i].place.running == 0);
			assert(user->turns[i].place.waiting == 0);
		}
		free(user);
	}
}
