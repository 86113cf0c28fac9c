/* local_thread.c - starts threads that leave signals to the host. */
#include "daemon/local/local_thread.h"

#include "daemon/store/system/thread.h"

#include <signal.h>
#include <stddef.h>

enum status local_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg,
	struct error *err)
{
	sigset_t all;
	sigset_t before;
	(void)sigfillset(&all);
	/* A fault of the thread itself that is blocked would end the process, whatever handler there is. */
	static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		(void)sigdelset(&all, faults[i]);
	}
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	const enum status status = thread_start(out, run, arg, "reader of a folder", err);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return status;
}
