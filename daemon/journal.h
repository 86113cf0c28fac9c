/* journal.h - writes events to stderr, one line each, as `key=value`.
 *
 * Under systemd's journal a line begins with its level as sd-daemon(3) writes it. Elsewhere it
 * begins with `level=`. A line that is too long is cut.
 *
 * Threads: any. One system call writes a whole line, so lines do not mix.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdint.h>

/* The numbers are those of syslog. */
enum journal_level { JOURNAL_ERROR = 3, JOURNAL_WARNING = 4, JOURNAL_INFO = 6 };

void journal_event(enum journal_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Writes a line of a part that does not log by itself: what it tells is a reason to look, but for some
 * events. */
void journal_tell(void *arg, const char *line);

enum { JOURNAL_KEPT = 20, JOURNAL_KEPT_BYTES = 256 };

/* One of the last events. */
struct journal_line {
	int64_t ms;                    /* Unix time */
	const char *level;             /* info, warning, error */
	char text[JOURNAL_KEPT_BYTES]; /* its beginning */
};

/* Writes the last events, the oldest first, and returns how many. */
unsigned journal_last(struct journal_line out[JOURNAL_KEPT]);

#endif
