/* interrupt.c - remembers a signal. */
#include "tools/format/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
	seen = number;
}

void interrupt_watch(void)
{
	/* Without SA_RESTART, so that a read of a pipe returns. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool interrupt_seen(void)
{
	return seen != 0;
}

void interrupt_end(void)
{
	if (seen != 0) {
		fflush(NULL);
		signal(seen, SIG_DFL);
		raise(seen);
	}
}

void interrupt_end_pipe(int error_number)
{
	if (error_number == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
}
