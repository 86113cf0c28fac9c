/* notify.c - calls sd_notify, and reads the watchdog's interval and the passed sockets. */
#include "daemon/notify.h"

#include "config.h"

#if REPSTORE_HAVE_SYSTEMD

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

unsigned notify_sockets(int *first)
{
	int count = sd_listen_fds(1);
	*first = SD_LISTEN_FDS_START;
	return count > 0 ? (unsigned)count : 0;
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

unsigned notify_sockets(int *first)
{
	*first = -1;
	return 0;
}

#endif
