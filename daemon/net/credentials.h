/* credentials.h - the certificate that the daemon shows now, and how many peers were refused theirs.
 *
 * Another certificate, authority or list of revoked ones holds for new connections at once, and for the
 * others at their next request: a session notices by the generation.
 *
 * Threads: any.
 */
#ifndef DAEMON_NET_CREDENTIALS_H
#define DAEMON_NET_CREDENTIALS_H

#include "daemon/access/identity.h"
#include "daemon/store/system/lock.h"
#include "tls/tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct net;

struct credentials {
	struct lock lock;
	struct tls_context *context; /* guarded by lock; NULL: nobody listens for TLS */
	_Atomic uint64_t generation; /* of the context: it grows with each */
	_Atomic uint64_t accepted;   /* peers that were let in */
	_Atomic uint64_t crowded;    /* peers that showed who they are, but there was no room */
	_Atomic uint64_t refused[TLS_REFUSED_COUNT];
};

/* context: becomes theirs; or NULL. */
void credentials_init(struct credentials *credentials, struct tls_context *context);
void credentials_fini(struct credentials *credentials);

/* The context of now, to be closed, and its generation. NULL: there is none. */
struct tls_context *credentials_take(struct credentials *credentials, uint64_t *generation);

/* Makes another context the one of now; it becomes theirs. */
void credentials_replace(struct credentials *credentials, struct tls_context *context);

/* Who a peer is by the names of its certificate. Errors: NO_MEMORY. */
enum status credentials_identify(const struct tls_peer *names, struct peer_identity *out);

/* Counts a peer that is refused, and tells of it in a line of the audit, if there is room for one (guard.h).
 *
 *   fd     its socket
 *   names  of its certificate; NULL: it has shown none
 *   why    for a person
 */
void credentials_note_refusal(struct net *net, int fd, enum tls_refusal refusal,
	const struct tls_peer *names, const char *why);

#endif
