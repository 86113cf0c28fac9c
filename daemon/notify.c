/* notify.c - calls sd_notify, and reads the watchdog's interval and the passed sockets. */
#include "daemon/notify.h"

#include "config.h"

#if REPSTORE_HAVE_SYSTEMD

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

void notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t interval_us = 0;
	return sd_watchdog_enabled(0, &interval_us) > 0 ? interval_us / 1000 : 0;
}

unsigned notify_sockets(struct notify_socket out[NOTIFY_SOCKETS_MAX])
{
	char **names = NULL;
	const int got = sd_listen_fds_with_names(1, &names);
	const unsigned count = got > 0 ? (unsigned)got : 0;
	for (unsigned i = 0; i < count; i++) {
		if (i < NOTIFY_SOCKETS_MAX) {
			out[i].fd = SD_LISTEN_FDS_START + (int)i;
			(void)snprintf(out[i].name, sizeof out[i].name, "%s", names[i]);
		}
		free(names[i]);
	}
	free(names);
	return count;
}

#else

void notify_ready(void)
{
}

void notify_stopping(void)
{
}

void notify_alive(void)
{
}

uint64_t notify_watchdog_ms(void)
{
	return 0;
}

unsigned notify_sockets(struct notify_socket out[NOTIFY_SOCKETS_MAX])
{
	(void)out;
	return 0;
}

#endif
