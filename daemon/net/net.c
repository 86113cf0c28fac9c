/* net.c - makes the line of an event, for the process to print. */
#include "daemon/net/net.h"

#include <stdarg.h>
#include <stdio.h>

enum { EVENT_BYTES = 900, EVENT_RARE_MS = 10000 };

void net_event(struct net *net, const char *format, ...)
{
	char line[EVENT_BYTES];
	if (net->on_event == NULL) {
		return;
	}
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	net->on_event(net->on_event_arg, line);
}

void net_event_closed(struct net *net, struct net_rare_event *event, uint64_t now_ms,
	enum closing why, size_t bytes)
{
	uint64_t told_ms = atomic_load(&event->told_ms);
	const bool is_due = told_ms == 0 || now_ms >= told_ms + EVENT_RARE_MS;
	if (!is_due || !atomic_compare_exchange_strong(&event->told_ms, &told_ms, now_ms)) {
		atomic_fetch_add(&event->untold, 1);
		return;
	}
	net_event(net, "event=connection_closed reason=%s bytes=%zu untold=%u", closing_name(why),
		bytes, atomic_exchange(&event->untold, 0));
}
