/* fail_sync.c - preloaded into the daemon: its log cannot be synced while a file exists.
 *
 * REPSTORE_FAIL_SYNC names that file. While it is there, fsync and fdatasync of a folder `log` and
 * of the files in it fail with EIO; all else is synced as ever.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_of_log(int fd)
{
	char link[64];
	char path[PATH_MAX];
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	const ssize_t len = readlink(link, path, sizeof path - sizeof "/");
	if (len <= 0) {
		return false;
	}
	memcpy(path + len, "/", sizeof "/");
	return strstr(path, "/log/") != NULL;
}

static int sync_or_fail(long call, int fd)
{
	const char *trigger = getenv("REPSTORE_FAIL_SYNC");
	if (trigger != NULL && access(trigger, F_OK) == 0 && is_of_log(fd)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(call, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_or_fail(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fildes)
{
	return sync_or_fail(SYS_fdatasync, fildes);
}
