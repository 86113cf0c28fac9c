/* presence.h - tells a daemon that this process reads its folder, for the daemon to count it.
 *
 * It keeps a connection to the daemon, whose hello says `local`, in a thread of its own. Nothing of the reader waits for
 * it: a daemon that is not there, or goes, is looked for again every few seconds, and hears of it when it is back. A
 * daemon without the feature `local` is told nothing. In a child of a fork nobody tells anything.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_LOCAL_PRESENCE_H
#define CLIENT_LOCAL_PRESENCE_H

#include "schema/status.h"

struct presence;

/* Waits for nothing. A daemon that does not take the certificates of the environment is as one that is not there.
 * Errors: BAD_REQUEST  it is no address; NO_MEMORY. */
enum status presence_start(const char *address, struct presence **out, struct error *err);

/* Ends within a second, but for a host whose name is being looked up: that may take the resolver longer. NULL is fine. */
void presence_stop(struct presence *presence);

#endif
