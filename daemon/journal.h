/* journal.h - writes events to stderr, one line each, as `key=value`.
 *
 * Under systemd's journal a line begins with its level as sd-daemon(3) writes it. Elsewhere it
 * begins with `level=`. A line that is too long is cut.
 *
 * Threads: any. One system call writes a whole line, so lines do not mix.
 */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

/* The numbers are those of syslog. */
enum journal_level { JOURNAL_ERROR = 3, JOURNAL_WARNING = 4, JOURNAL_INFO = 6 };

void journal_event(enum journal_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
