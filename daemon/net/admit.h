/* admit.h - gives a connection to the loop with the fewest, if there is room for one more.
 *
 * Threads: any, while the loops run.
 */
#ifndef DAEMON_NET_ADMIT_H
#define DAEMON_NET_ADMIT_H

#include "daemon/access/identity.h"
#include "daemon/net/closing.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct net;
struct tls;

/* To whom connections are given. All borrowed. */
struct admission {
	struct net *net;
	struct loop *loops;
	unsigned loop_count;
};

/* A connection that was accepted, and whose peer is known as far as it will be. Owned, all of it. */
struct arrival {
	int fd;
	bool tcp;
	struct peer_identity peer;
	struct tls *tls;         /* its handshake is over; NULL: it is plain */
	uint64_t tls_generation; /* of the credentials that it used */
};

/* How many of at most so many connections are kept for the daemon's own user, when so many were asked for. */
unsigned admit_kept(unsigned most, unsigned wanted);

/* Would a peer find room of whom nothing is known yet? If not, it is max_connections that keeps it out. */
bool admit_has_room(const struct admission *to);

/* The arrival is no longer the caller's, also after a failure: then it is closed, and *refusal says why.
 * Errors: BUSY, NO_MEMORY. Whoever accepted it counts it. */
enum status admit(const struct admission *to, struct arrival *arrival, enum refusal *refusal);

/* Counts a peer that is kept out, by its reason. */
void admit_count_refusal(const struct admission *to, enum refusal refusal);

void arrival_close(struct arrival *arrival);

#endif
