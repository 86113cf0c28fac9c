/* redo_write.c - writes parts until all are there; drops pages behind a sync. */
#include "daemon/store/log/redo_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

enum { PAGE_BYTES = 4096 };

/* Drops the first `len` bytes of what is to be written. */
static void advance(struct iovec **parts, size_t *count, size_t len)
{
	while (*count > 0 && len >= (*parts)->iov_len) {
		len -= (*parts)->iov_len;
		(*parts)++;
		(*count)--;
	}
	if (*count > 0) {
		(*parts)->iov_base = (uint8_t *)(*parts)->iov_base + len;
		(*parts)->iov_len -= len;
	}
	assert(*count > 0 || len == 0); /* the system writes no more than it is given */
}

enum status redo_write(int fd, struct iovec *parts, size_t count, uint64_t offset)
{
	while (count > 0) {
		const ssize_t n = pwritev(fd, parts, (int)count, (off_t)offset);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return n == 0 ? STATUS_IO : status_of_errno(errno);
		}
		offset += (uint64_t)n;
		advance(&parts, &count, (size_t)n);
	}
	return STATUS_OK;
}

uint64_t redo_drop_pages(int fd, uint64_t dropped, uint64_t bytes)
{
	const uint64_t end = bytes - bytes % PAGE_BYTES;
	assert(dropped <= end);
	if (end - dropped < REDO_DROP_BYTES) {
		return dropped;
	}
	/* From the beginning: the cache may hold pages in blocks, and one that lies across the end of what
	 * was asked before has stayed. What is gone already costs nothing. */
	(void)posix_fadvise(fd, 0, (off_t)end, POSIX_FADV_DONTNEED);
	return end;
}
