/* admit.c - counts the connections of all loops, and chooses one. */
#include "daemon/net/admit.h"

#include "daemon/access/access.h"
#include "daemon/net/net.h"
#include "daemon/net/session.h"

#include <assert.h>
#include <unistd.h>

enum {
	/* Of all connections a user without a role may have one in so many, but always so many. */
	ADMIT_STRANGER_PART = 4,
	ADMIT_STRANGER_MIN = 64,
};

static unsigned connections_of(const struct loop *loop)
{
	return atomic_load_explicit(&loop->connections, memory_order_relaxed);
}

unsigned admit_kept(unsigned most, unsigned wanted)
{
	return wanted < most / 2 ? wanted : most / 2;
}

/* Are there too many for one more? Some connections are kept for the daemon's own user, at most half of all, and
 * that user may have them all. */
static bool is_full(const struct net_limits *limits, bool is_own, unsigned connected)
{
	/* Each is read once: a reload may change it meanwhile. */
	const unsigned most = limits->max_connections;
	return connected >= most - (is_own ? 0 : admit_kept(most, limits->kept_connections));
}

/* Which limit keeps the peer out, when so many are connected; REFUSAL_COUNT: none. */
static enum refusal find_limit(struct net *net, const struct peer_identity *peer,
	unsigned connected)
{
	const struct net_limits *limits = &net->limits;
	const bool is_own = users_is_own(peer);
	if (is_full(limits, is_own, connected)) {
		return REFUSAL_MAX_CONNECTIONS;
	}
	const unsigned connections = is_own ? 0 : users_connections(&net->users, peer);
	uint64_t version;
	if (connections >= ADMIT_STRANGER_MIN &&
		connections >= limits->max_connections / ADMIT_STRANGER_PART &&
		access_ask(net->access, peer, &version) == ROLE_ANYBODY) {
		return REFUSAL_NO_ROLE;
	}
	const unsigned of_user = limits->user_connections;
	return of_user != 0 && !is_own && connections >= of_user ? REFUSAL_USER_CONNECTIONS
								 : REFUSAL_COUNT;
}

static unsigned count_connections(const struct admission *to)
{
	unsigned total = 0;
	for (unsigned i = 0; i < to->loop_count; i++) {
		total += connections_of(&to->loops[i]);
	}
	return total;
}

static struct loop *choose_loop(const struct admission *to)
{
	struct loop *best = &to->loops[0];
	for (unsigned i = 1; i < to->loop_count; i++) {
		if (connections_of(&to->loops[i]) < connections_of(best)) {
			best = &to->loops[i];
		}
	}
	return best;
}

bool admit_has_room(const struct admission *to)
{
	return !is_full(&to->net->limits, false, count_connections(to));
}

void arrival_close(struct arrival *arrival)
{
	identity_fini(&arrival->peer);
	tls_close(arrival->tls);
	close(arrival->fd);
}

void admit_count_refusal(const struct admission *to, enum refusal refusal)
{
	atomic_fetch_add_explicit(&to->net->refused[refusal], 1, memory_order_relaxed);
}

enum status admit(const struct admission *to, struct arrival *arrival, enum refusal *refusal)
{
	*refusal = find_limit(to->net, &arrival->peer, count_connections(to));
	if (*refusal != REFUSAL_COUNT) {
		arrival_close(arrival);
		return STATUS_BUSY;
	}
	struct loop *loop = choose_loop(to);
	assert(loop->net == to->net);
	const bool tcp = arrival->tcp;
	const bool tls = arrival->tls != NULL;
	struct session *session = session_new(to->net, arrival);
	if (session == NULL) {
		*refusal = REFUSAL_NO_MEMORY;
		return STATUS_NO_MEMORY;
	}
	atomic_fetch_add_explicit(&loop->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->tcp_connections, tcp && !tls, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->tls_connections, tls, memory_order_relaxed);
	loop_add(loop, session);
	return STATUS_OK;
}
