/* thread.c - a refused thread, for a person. */
#include "daemon/store/system/thread.h"

#include <errno.h>
#include <string.h>

const char *thread_reason(int error_number)
{
	return error_number == EAGAIN
		       ? "Resource temporarily unavailable; raise TasksMax of the unit, or how many "
			 "threads its user may have"
		       : strerror(error_number);
}

enum status thread_start(pthread_t *out, void *(*run)(void *arg), void *arg, const char *what,
	struct error *err)
{
	const int failed = pthread_create(out, NULL, run, arg);
	return failed == 0 ? STATUS_OK
			   : error_set(err, STATUS_NO_MEMORY, "start the thread '%s': %s", what,
				     thread_reason(failed));
}
