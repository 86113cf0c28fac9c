/* interrupt.h - Ctrl-C while rows are sent: it is noticed between two steps, so that the work ends in
 * order and the person is told what is kept.
 *
 * Threads: one at a time; signals are of the process.
 */
#ifndef TOOLS_FORMAT_INTERRUPT_H
#define TOOLS_FORMAT_INTERRUPT_H

#include <stdbool.h>

/* From now on the first SIGINT or SIGTERM is only remembered; the second ends the process. */
void interrupt_watch(void);
bool interrupt_seen(void);
/* Ends the process by the signal that was seen, as whoever started it expects. Returns if none was
 * seen. */
void interrupt_end(void);
/* Ends the process by SIGPIPE if this is the error of a write whose reader has left, as `head` does
 * when it has its lines: nothing is wrong then, and nothing is said. Returns otherwise. */
void interrupt_end_pipe(int error_number);

#endif
