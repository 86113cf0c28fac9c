/* log.h - one line an event, `key=value`, to stderr.
 *
 * Under a journal each line begins with its level as sd-daemon(3) has it, elsewhere with
 * `level=`.
 *
 * Threads: any; a line is written by one call.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

/* The numbers are those of syslog. */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6 };

void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
