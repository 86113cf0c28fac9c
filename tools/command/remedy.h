/* remedy.h - what a person can do about what the daemon has refused, as a command to type.
 *
 * The daemon says what is wrong to programs of any kind. What `repstore` can do about it is added
 * here.
 *
 * Threads: one a session.
 */
#ifndef TOOLS_COMMAND_REMEDY_H
#define TOOLS_COMMAND_REMEDY_H

#include "tools/command/session.h"

enum { REMEDY_BYTES = 400 };

/* Fills `out`, char[REMEDY_BYTES]; "" when there is nothing to add. May ask the daemon, over a
 * connection of its own, for a name that is near. */
void remedy_of(const struct session *session, enum status status, const char *text, char *out);

#endif
