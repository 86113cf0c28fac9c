/* catalog_check.c - reads the catalog in a process of its own first, since damage may end it. */
#include "daemon/store/catalog/catalog.h"

#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The reader's exit codes. If it ends in any other way, it has not chosen to. */
enum { READER_OK = 64, READER_REFUSED = 65 };

/* AddressSanitizer's allocator is not made for forks: if another thread was allocating, the reader waits for it for good. So
 * under it, and nowhere else, a reader that takes so long is begun anew. */
#if defined(__SANITIZE_ADDRESS__)
enum { READER_SECONDS = 10, READER_TRIES = 10 };
#else
enum { READER_SECONDS = 0 /* as long as it takes */, READER_TRIES = 1 };
#endif

/* form: what is only read is of it; NULL: it is of today's, and changes are rehearsed. */
static int read_catalog(const char *path, size_t bytes, const struct catalog_form *form)
{
	struct catalog *catalog = NULL;
	struct snapshot *snapshot = NULL;
	enum status status = form != NULL ? catalog_open_read(path, bytes, form, &catalog, NULL)
					  : catalog_open(path, bytes, &catalog, NULL);
	if (status == STATUS_OK) {
		status = catalog_read(catalog, &snapshot, NULL);
	}
	if (status == STATUS_OK && form == NULL) {
		status = catalog_rehearse(catalog);
	}
	return status == STATUS_OK ? READER_OK : READER_REFUSED;
}

/* The reader prints nothing, leaves no core file and frees nothing. The folder stays locked as long
 * as anybody has a copy of the lock's descriptor; so the reader closes its copy, as all others but
 * that of the folder itself, and ends with its parent. */
static void run_reader(const char *path, size_t bytes, const struct catalog_form *form)
{
	const char *rest;
	const int folder = folder_find(path, &rest, NULL);
	const unsigned first = STDERR_FILENO + 1;
	if (folder >= (int)first) {
		(void)close_range((unsigned)folder + 1, ~0U, 0);
		if (folder > (int)first) {
			(void)close_range(first, (unsigned)folder - 1, 0);
		}
	} else {
		(void)close_range(first, ~0U, 0);
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)alarm(READER_SECONDS);
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		(void)dup2(null, STDERR_FILENO);
	}
	(void)prctl(PR_SET_DUMPABLE, 0);
	_exit(read_catalog(path, bytes, form));
}

/* *how: how it ended (waitpid). */
static enum status let_read_once(const char *path, size_t bytes, const struct catalog_form *form,
	int *how, struct error *err)
{
	const pid_t reader = fork();
	if (reader < 0) {
		return error_set(err, STATUS_NO_MEMORY,
			"catalog: start the process that reads it: %s", thread_reason(errno));
	}
	if (reader == 0) {
		run_reader(path, bytes, form);
	}
	while (waitpid(reader, how, 0) < 0) {
		if (errno != EINTR) {
			return error_set(err, STATUS_IO, "catalog: wait for its reader: %s",
				strerror(errno));
		}
	}
	return STATUS_OK;
}

/* Lets a child read the catalog. *code: how it ended, READER_OK or READER_REFUSED. Errors: CORRUPT,
 * naming the signal that has ended it; IO. */
static enum status let_read(const char *path, size_t bytes, const struct catalog_form *form,
	int *code, struct error *err)
{
	int how = 0;
	enum status status = let_read_once(path, bytes, form, &how, err);
	for (unsigned tries = 1; tries < READER_TRIES && status == STATUS_OK && WIFSIGNALED(how) &&
				 WTERMSIG(how) == SIGALRM;
		tries++) {
		status = let_read_once(path, bytes, form, &how, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	*code = WIFEXITED(how) ? WEXITSTATUS(how) : 0;
	if (*code == READER_OK || *code == READER_REFUSED) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_CORRUPT,
		"catalog: '%s' is damaged: who reads it is ended by signal %d", path,
		WIFSIGNALED(how) ? WTERMSIG(how) : 0);
}

enum status catalog_check(const char *path, size_t bytes, const struct catalog_form *form,
	struct error *err)
{
	int code;
	return file_exists(path) ? let_read(path, bytes, form, &code, err) : STATUS_OK;
}

enum status catalog_verify(const char *path, size_t bytes, const struct catalog_form *form,
	struct error *err)
{
	int code = READER_OK;
	const enum status status = let_read(path, bytes, form, &code, err);
	return status == STATUS_OK && code == READER_REFUSED
		       ? error_set(err, STATUS_CORRUPT, "catalog: a record of '%s' cannot be read",
				 path)
		       : status;
}
