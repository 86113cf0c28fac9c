/* rules.h - who has which role: the entries of the settings' section [access].
 *
 *   user:NAME           a user of this machine, by name or number
 *   group:NAME          the users of a group, by their own or a supplementary one
 *   cert:KIND=PATTERN   who has a certificate with such a name; KIND is URI, DNS or CN
 *   tcp:loopback        every process of this machine, over TCP in the clear
 *
 * Whatever the entries say, root and the user whom the daemon runs as are admin, and the user 65534 is nobody.
 *
 * Threads: one at a time to fill them; any to read them afterwards.
 */
#ifndef DAEMON_ACCESS_RULES_H
#define DAEMON_ACCESS_RULES_H

#include "daemon/access/identity.h"
#include "daemon/access/role.h"

#include <stdbool.h>

enum {
	ACCESS_ENTRIES_MAX = 256,
	ACCESS_ENTRY_BYTES = 192,
};

enum access_entry_kind {
	ACCESS_USER,
	ACCESS_GROUP,
	ACCESS_CERTIFICATE,
	ACCESS_LOOPBACK,
};

struct access_entry {
	enum role role;
	enum access_entry_kind kind;
	uint32_t number;                   /* of the user or of the group */
	enum identity_name_kind name_kind; /* of ACCESS_CERTIFICATE */
	uint16_t pattern_at;               /* where the pattern begins in `text` */
	char text[ACCESS_ENTRY_BYTES];     /* as it was given */
};

/* A value: it may be copied, and compared byte by byte. What is beyond `count` is zero. */
struct access_rules {
	uint32_t own_uid; /* the user whom the daemon runs as */
	unsigned count;
	struct access_entry entries[ACCESS_ENTRIES_MAX];
};

/* No entries. */
void access_rules_init(struct access_rules *rules);

/* Adds the entries of `list`, which blanks part, to those of the role; none is fine. Users and groups become numbers here, and never
 * later. Errors: BAD_REQUEST  err says which entry, and what is allowed; IO, NO_MEMORY of the look-up of a name. Nothing has
 * changed then. */
enum status access_rules_add(struct access_rules *rules, enum role role, const char *list,
	struct error *err);

/* Makes the identity of whom a text names: user:NAME as after a login of that user, cert:KIND=NAME with that one
 * name, or tcp:loopback. Errors: BAD_REQUEST, IO, NO_MEMORY; err says what is allowed. */
enum status access_identity_of(const char *text, struct peer_identity *out, struct error *err);

/* Removes the entries of a role. */
void access_rules_forget(struct access_rules *rules, enum role role);

/* Is there no such entry, of the same role and the same number? */
bool access_rules_lack(const struct access_rules *rules, const struct access_entry *entry);

/* Do both give this role to the same? */
bool access_rules_are_same(const struct access_rules *one, const struct access_rules *other,
	enum role role);

/* The roles of a peer; ROLE_ANYBODY is always one. */
unsigned access_roles(const struct access_rules *rules, const struct peer_identity *peer);

/* Does the entry speak of this peer? */
bool access_entry_is_of(const struct access_entry *entry, const struct peer_identity *peer);

/* Is it the user whom the daemon runs as, or root, who are admin without an entry? */
bool access_is_own(const struct access_rules *rules, const struct peer_identity *peer);

/* Does a name of a certificate fit? `*` stands for any number of bytes, `?` for one: of a DNS name without dots, of
 * a URI without slashes, of a CN any. DNS names are compared without case. */
bool access_pattern_fits(const char *pattern, enum identity_name_kind kind, const char *text);

#endif
