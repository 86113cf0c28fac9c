/* seal_watch.h - shows how far a seal is while another thread waits for its answer.
 *
 * Threads: begin and end from one; it has a thread and a connection of its own in between.
 */
#ifndef TOOLS_COMMAND_SEAL_WATCH_H
#define TOOLS_COMMAND_SEAL_WATCH_H

#include "tools/command/session.h"

struct seal_watch;

/* NULL: nothing is shown, for want of memory. */
struct seal_watch *seal_watch_begin(const struct session *session, const char *release);
/* Removes what was shown. NULL is fine. */
void seal_watch_end(struct seal_watch *watch);

#endif
