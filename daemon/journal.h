/* journal.h - one line an event, `key=value`, to stderr.
 *
 * Under a journal each line begins with its level as sd-daemon(3) has it, elsewhere with
 * `level=`.
 *
 * Threads: any; a line is written by one call.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

/* The numbers are those of syslog. */
enum journal_level { JOURNAL_ERROR = 3, JOURNAL_WARNING = 4, JOURNAL_INFO = 6 };

void journal_event(enum journal_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
