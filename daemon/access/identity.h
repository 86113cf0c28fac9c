/* identity.h - who a peer is, as far as that was proven: what the kernel or a certificate says of it.
 *
 * Never its process id, which is 0 from another pid namespace and may be of another process by now; and never
 * what the peer says itself.
 *
 * Threads: one at a time to fill it; any to read it afterwards.
 */
#ifndef DAEMON_ACCESS_IDENTITY_H
#define DAEMON_ACCESS_IDENTITY_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum identity_kind {
	IDENTITY_STRANGER, /* nothing is known of it */
	IDENTITY_UNIX,     /* a user of this machine, as the kernel says */
	/* Some process of this machine, over TCP in the clear: it may be any user's. */
	IDENTITY_LOOPBACK,
	IDENTITY_CERTIFICATE, /* it has proven to have the key of a certificate */
};

enum identity_name_kind {
	IDENTITY_URI, /* subject alternative name */
	IDENTITY_DNS, /* subject alternative name */
	IDENTITY_CN,  /* common name of the subject */
};

enum {
	IDENTITY_KINDS = IDENTITY_CERTIFICATE + 1,
	/* Whoever the kernel cannot name, since another user namespace does not map it, has this number, for a
	 * user and for a group. So it is many, and no entry is theirs. */
	IDENTITY_UNMAPPED = 65534,
	IDENTITY_NAMES_MAX = 64,    /* of one certificate; the others are passed over */
	IDENTITY_NAME_BYTES = 2048, /* a longer one is passed over */
	IDENTITY_TEXT_BYTES = 200,
};

struct identity_name {
	enum identity_name_kind kind;
	char *text; /* owned; no NUL within, else any bytes: whoever asked for the certificate chose them */
};

/* Zeroed it is a stranger. */
struct peer_identity {
	enum identity_kind kind;
	uint32_t uid; /* of IDENTITY_UNIX, as the next three */
	uint32_t gid;
	uint32_t *groups; /* owned: the supplementary ones */
	size_t group_count;
	struct identity_name
		*names; /* owned; of IDENTITY_CERTIFICATE, URIs first, then DNS, then CN */
	size_t name_count;
};

/* Asks the kernel who has connected this Unix socket. Errors: NO_MEMORY; IO  the kernel does not say: `out` is
 * a stranger. */
enum status identity_of_socket(int fd, struct peer_identity *out);

/* Adds a name of a certificate. Names may come in any order. One with a NUL within is passed over, as is one that is
 * empty or too long: what is cut must not match. Errors: NO_MEMORY. */
enum status identity_add_name(struct peer_identity *identity, enum identity_name_kind kind,
	const void *text, size_t len);

/* Names a kind as the settings do: "URI". */
const char *identity_name_kind(enum identity_name_kind kind);

/* Says who it is, for a line of the journal: `uid:1001`, `tcp:loopback`, `cert:URI=spiffe://ads/ranker` (the first of its
 * names), `unknown`. Bytes that are no printable ASCII, blanks and quotes come as \xNN, so that no peer writes a line, or
 * a key, of its own. Returns `out`. */
const char *identity_text(char out[IDENTITY_TEXT_BYTES], const struct peer_identity *identity);

/* Writes a text of a peer in the same way, into `size` bytes; "..." stands behind one that is cut. Returns `out`. */
const char *identity_escape(char *out, size_t size, const void *text, size_t len);

/* Frees what it owns; it is a stranger afterwards. */
void identity_fini(struct peer_identity *identity);

#endif
