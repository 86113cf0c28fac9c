/* net.c - makes the line of an event, for the process to print. */
#include "daemon/net/net.h"

#include <stdarg.h>
#include <stdio.h>

enum { EVENT_BYTES = 512 };

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
