/* faults.c - preloaded into the daemon: the system fails it as files of a folder say.
 *
 * REPSTORE_FAULTS names the folder. While a file of one of these names is there, what stands beside it fails; all
 * else is as ever. So a test makes and removes them while the daemon runs.
 *
 *   sync      fsync and fdatasync of a folder `log`, and of the files in it: EIO
 *   read      pread of files whose path has the text that the file holds: EIO
 *   threads   pthread_create: EAGAIN
 *   end       the process is killed in place of its n-th call of those that the disk's state hangs on, counted from its
 *             start: fsync, fdatasync, renameat, unlinkat; n is what the file says
 *   clock     the wall clock goes so many milliseconds before the system's, or behind it, as the file says
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_BYTES = 256 };

#define EXPORT __attribute__((visibility("default")))

/* Whether the fault is there, and its text. errno stays as it was. */
static bool is_told(const char *name, char text[TEXT_BYTES])
{
	const char *folder = getenv("REPSTORE_FAULTS");
	const int before = errno;
	char path[PATH_MAX];
	if (folder == NULL) {
		return false;
	}
	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = -1;
	if (fd >= 0) {
		len = syscall(SYS_pread64, fd, text, TEXT_BYTES - 1, 0);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	errno = before;
	return len >= 0;
}

static bool has_path(int fd, const char *part)
{
	char link[64];
	char path[PATH_MAX];
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	const ssize_t len = readlink(link, path, sizeof path - sizeof "/");
	if (len <= 0) {
		return false;
	}
	memcpy(path + len, "/", sizeof "/");
	return strstr(path, part) != NULL;
}

/* ---- end ---- */

static void count_or_end(void)
{
	static atomic_long calls;
	char text[TEXT_BYTES];
	const long call = atomic_fetch_add(&calls, 1) + 1;
	if (is_told("end", text) && strtol(text, NULL, 10) == call) {
		(void)kill(getpid(), SIGKILL);
	}
}

EXPORT int renameat(int oldfd, const char *old, int newfd, const char *new)
{
	count_or_end();
	return (int)syscall(SYS_renameat2, oldfd, old, newfd, new, 0);
}

EXPORT int unlinkat(int fd, const char *name, int flag)
{
	count_or_end();
	return (int)syscall(SYS_unlinkat, fd, name, flag);
}

/* ---- sync ---- */

static int sync_or_fail(long call, int fd)
{
	char text[TEXT_BYTES];
	count_or_end();
	if (is_told("sync", text) && has_path(fd, "/log/")) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(call, fd);
}

EXPORT int fsync(int fd)
{
	return sync_or_fail(SYS_fsync, fd);
}

EXPORT int fdatasync(int fildes)
{
	return sync_or_fail(SYS_fdatasync, fildes);
}

/* ---- read ---- */

static ssize_t read_or_fail(int fd, void *buf, size_t len, off_t offset)
{
	char text[TEXT_BYTES];
	if (is_told("read", text) && has_path(fd, text)) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, len, offset);
}

/* With offsets of 64 bits `pread` is the symbol pread64; liblmdb asks for the other one. */
EXPORT ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
	return read_or_fail(fd, buf, nbytes, offset);
}

EXPORT ssize_t pread_of_others(int fd, void *buf, size_t len, off_t offset) __asm__("pread");

ssize_t pread_of_others(int fd, void *buf, size_t len, off_t offset)
{
	return read_or_fail(fd, buf, len, offset);
}

/* ---- threads ---- */

EXPORT int pthread_create(pthread_t *newthread, const pthread_attr_t *attr,
	void *(*start_routine)(void *), void *arg)
{
	char text[TEXT_BYTES];
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
	return is_told("threads", text) ? EAGAIN : create(newthread, attr, start_routine, arg);
}

/* ---- clock ---- */

static struct timespec wall_clock(void)
{
	enum { MS_PER_S = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };
	char text[TEXT_BYTES];
	struct timespec now = {0};
	(void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	if (is_told("clock", text)) {
		const long long ms = strtoll(text, NULL, 10);
		now.tv_sec += ms / MS_PER_S;
		now.tv_nsec += ms % MS_PER_S * NS_PER_MS;
	}
	if (now.tv_nsec < 0) {
		now.tv_sec--;
		now.tv_nsec += NS_PER_S;
	} else if (now.tv_nsec >= NS_PER_S) {
		now.tv_sec++;
		now.tv_nsec -= NS_PER_S;
	}
	return now;
}

EXPORT int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
	if (clock_id != CLOCK_REALTIME) {
		return (int)syscall(SYS_clock_gettime, clock_id, tp);
	}
	*tp = wall_clock();
	return 0;
}

EXPORT time_t time(time_t *timer)
{
	const time_t now = wall_clock().tv_sec;
	if (timer != NULL) {
		*timer = now;
	}
	return now;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	const struct timespec now = wall_clock();
	(void)tz;
	*tv = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
