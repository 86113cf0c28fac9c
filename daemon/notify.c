/* notify.c - speaks with the service manager, as sd_notify(3) and sd_listen_fds(3) say: a datagram a state, and variables
 * of the environment. */
#include "daemon/notify.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_PASSED_FD = 3 };

/* A number of the environment, of decimal digits; 0: there is none. */
static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	if (text == NULL || text[0] < '0' || text[0] > '9') {
		return 0;
	}
	const unsigned long long number = strtoull(text, &end, 10);
	return *end == '\0' ? number : 0;
}

/* Nobody answers the datagram, and one that is lost is told of by the service manager: the start, or the stop, takes
 * too long, or the watchdog ends the daemon. */
static void tell(const char *state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	const size_t len = path == NULL ? 0 : strlen(path);
	if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
		return;
	}
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') {
		to.sun_path[0] = '\0'; /* a name, and no file */
	}
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
		close(fd);
	}
}

void notify_ready(void)
{
	tell("READY=1");
}

void notify_stopping(void)
{
	tell("STOPPING=1");
}

void notify_alive(void)
{
	tell("WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	const bool is_ours =
		getenv("WATCHDOG_PID") == NULL || number_of("WATCHDOG_PID") == (uint64_t)getpid();
	return is_ours ? number_of("WATCHDOG_USEC") / 1000 : 0;
}

/* The names stand between colons. Without the variable all are "unknown". */
static void take_name(const char **names, char out[NOTIFY_NAME_BYTES])
{
	if (*names == NULL) {
		(void)snprintf(out, NOTIFY_NAME_BYTES, "unknown");
		return;
	}
	const size_t len = strcspn(*names, ":");
	(void)snprintf(out, NOTIFY_NAME_BYTES, "%.*s", (int)len, *names);
	*names += len + ((*names)[len] == ':');
}

unsigned notify_sockets(struct notify_socket out[NOTIFY_SOCKETS_MAX])
{
	const bool is_ours = number_of("LISTEN_PID") == (uint64_t)getpid();
	const uint64_t passed = is_ours ? number_of("LISTEN_FDS") : 0;
	const unsigned count = passed < (unsigned)sysconf(_SC_OPEN_MAX) ? (unsigned)passed : 0;
	const char *names = getenv("LISTEN_FDNAMES");
	for (unsigned i = 0; i < count; i++) {
		const int fd = FIRST_PASSED_FD + (int)i;
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (i < NOTIFY_SOCKETS_MAX) {
			out[i].fd = fd;
			take_name(&names, out[i].name);
		}
	}
	/* They are for this process and for none that it starts. */
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return count;
}
