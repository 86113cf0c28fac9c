/* watch.h - shows how far long work of the daemon is, while its answer is waited for.
 *
 * Threads: one at a time; it asks on a thread and a connection of its own.
 */
#ifndef TOOLS_COMMAND_WATCH_H
#define TOOLS_COMMAND_WATCH_H

#include "tools/command/progress.h"
#include "tools/command/session.h"

struct watch;

/* Where it is asked how far the work is. */
struct watch_subject {
	const char *what;    /* the work is called so */
	const char *method;  /* whose answer has the figures */
	const char *figures; /* the name of their map, in which `done` is how much is done */
	const char *total;   /* and this how much there is; 0: it does not run */
	enum progress_unit unit;
};

/* `release`: that the method is asked for; NULL: none. NULL: nothing is shown, for want of memory. */
struct watch *watch_begin(const struct session *session, const struct watch_subject *subject,
	const char *release);
/* Removes what was shown. NULL is fine. */
void watch_end(struct watch *watch);

/* What is done with an answer. */
struct watch_answer {
	void (*look)(
		struct wire_value result); /* before it is printed in any form; NULL: nothing */
	void (*print)(struct wire_value result);
};

/* Connects, and calls a method that takes as long as its work takes, which is shown meanwhile; ends
 * `params`, and prints the answer as session_print does. subject: NULL if it is nowhere asked how far the
 * work is. Returns the exit status. */
int watch_call(struct session *session, const struct watch_subject *subject, const char *method,
	struct wire_writer *params, const struct watch_answer *then);

#endif
