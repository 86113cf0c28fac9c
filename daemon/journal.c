/* journal.c - makes lines for systemd's journal, or for a terminal. */
#include "daemon/journal.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { JOURNAL_LINE_BYTES = 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool under_journal;

/* systemd sets JOURNAL_STREAM to the device and inode of the journal. If stderr has the same,
 * nobody has redirected it. */
static void look(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat found;
	char here[64];
	if (stream == NULL || fstat(STDERR_FILENO, &found) != 0) {
		return;
	}
	(void)snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)found.st_dev,
		(uintmax_t)found.st_ino);
	under_journal = strcmp(stream, here) == 0;
}

static const char *name_of(enum journal_level level)
{
	switch (level) {
	case JOURNAL_ERROR:
		return "error";
	case JOURNAL_WARNING:
		return "warning";
	case JOURNAL_INFO:
		return "info";
	}
	return "info";
}

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct journal_line kept[JOURNAL_KEPT]; /* a ring, guarded by kept_lock; the next, too */
static unsigned kept_count;

/* Does the line say who somebody is? The kept lines are shown to whoever may see the status page. */
static bool is_of_peers(const char *text)
{
	static const char *const events[] = {"event=audit ", "event=request_slow ",
		"event=request_failed "};
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
		if (strncmp(text, events[i], strlen(events[i])) == 0) {
			return true;
		}
	}
	return false;
}

static void keep(enum journal_level level, const char *text)
{
	if (is_of_peers(text)) {
		return;
	}
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&kept_lock);
	struct journal_line *line = &kept[kept_count++ % JOURNAL_KEPT];
	line->ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	line->level = name_of(level);
	(void)snprintf(line->text, sizeof line->text, "%s", text);
	pthread_mutex_unlock(&kept_lock);
}

unsigned journal_last(struct journal_line out[JOURNAL_KEPT])
{
	pthread_mutex_lock(&kept_lock);
	const unsigned count = kept_count < JOURNAL_KEPT ? kept_count : JOURNAL_KEPT;
	for (unsigned i = 0; i < count; i++) {
		out[i] = kept[(kept_count - count + i) % JOURNAL_KEPT];
	}
	pthread_mutex_unlock(&kept_lock);
	return count;
}

void journal_event(enum journal_level level, const char *format, ...)
{
	char line[JOURNAL_LINE_BYTES];
	va_list args;
	pthread_once(&once, look);
	int at = under_journal ? snprintf(line, sizeof line, "<%d>", (int)level)
			       : snprintf(line, sizeof line, "level=%s ", name_of(level));
	assert(at > 0);
	assert((size_t)at < sizeof line);
	va_start(args, format);
	int len = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, args);
	va_end(args);
	if (len < 0) {
		return;
	}
	size_t room = sizeof line - (size_t)at - 2;
	size_t end = (size_t)at + ((size_t)len < room ? (size_t)len : room);
	assert(end < sizeof line);
	line[end] = '\0';
	keep(level, line + at);
	line[end] = '\n';
	/* If stderr is gone, there is nobody to tell of it. */
	ssize_t written = write(STDERR_FILENO, line, end + 1);
	(void)written;
}

void journal_tell(void *arg, const char *line)
{
	static const struct {
		const char *begin;
		enum journal_level level;
	} known[] = {
		{"event=index_built ", JOURNAL_INFO},
		{"event=request_slow ", JOURNAL_INFO},
		{"event=served_resumed ", JOURNAL_INFO},
		{"event=audit result=DENIED ", JOURNAL_WARNING},
		{"event=audit ", JOURNAL_INFO},
	};
	enum journal_level level = JOURNAL_WARNING;
	(void)arg;
	for (size_t i = sizeof known / sizeof known[0]; i-- > 0;) {
		if (strncmp(line, known[i].begin, strlen(known[i].begin)) == 0) {
			level = known[i].level;
		}
	}
	journal_event(level, "%s", line);
}
