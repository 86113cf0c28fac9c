/* names.h - the numbers of users and groups, as the system's database has them.
 *
 * A look-up may take long, where the database is on another machine: never on a loop.
 *
 * Threads: any.
 */
#ifndef DAEMON_ACCESS_NAMES_H
#define DAEMON_ACCESS_NAMES_H

#include "daemon/access/identity.h"

/* Finds the number of a user, or of a group. The name may be a number itself. Errors: NOT_FOUND, IO, NO_MEMORY; err
 * names it. */
enum status names_user(const char *name, uint32_t *uid, struct error *err);
enum status names_group(const char *name, uint32_t *gid, struct error *err);

/* Makes the identity of a user as it would be after a login: with its groups. A number that no user has gives
 * one without groups. Errors: as names_user. */
enum status names_login(const char *name, struct peer_identity *out, struct error *err);

#endif
