/* pass.c - reads a file block by block, and sleeps where it is ahead of its pace. */
#include "daemon/store/backup/pass.h"

#include "daemon/store/base/base_stream.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	PASS_BLOCK_BYTES = 1 << 20, /* read at once */
	PASS_ALIGN = 4096,          /* what O_DIRECT wants, of any disk */
	PAUSE_NS = 5 * 1000 * 1000, /* how long it sleeps at once */
};

enum status pass_begin(struct pass *pass, const struct stop *stop, uint64_t rate, struct error *err)
{
	*pass = (struct pass){.stop = stop};
	pass->block = aligned_alloc(PASS_ALIGN, PASS_BLOCK_BYTES);
	pace_begin(&pass->pace, rate, clock_monotonic_ns());
	return pass->block != NULL ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "no memory");
}

void pass_end(struct pass *pass)
{
	free(pass->block);
	pass->block = NULL;
}

enum status pass_wait(struct pass *pass, uint64_t bytes)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const uint64_t until_ns = pace_add(&pass->pace, bytes, clock_monotonic_ns());
	enum status status = stop_check(pass->stop, NULL);
	while (status == STATUS_OK && clock_monotonic_ns() < until_ns) {
		(void)nanosleep(&pause, NULL);
		status = stop_check(pass->stop, NULL);
	}
	return status;
}

/* Reads what is at `at`: a whole block, unless the file ends. A file system that has no O_DIRECT says so
 * at the first read. */
static enum status read_block(const struct pass *pass, int from, uint64_t at, size_t *len)
{
	*len = 0;
	while (*len < PASS_BLOCK_BYTES) {
		const ssize_t n = pread(from, pass->block + *len, PASS_BLOCK_BYTES - *len,
			(off_t)(at + *len));
		if (n < 0 && errno == EINTR) {
			continue;
		}
		const int flags = n < 0 && errno == EINVAL ? fcntl(from, F_GETFL) : 0;
		if (n < 0 && (flags & O_DIRECT) != 0 &&
			fcntl(from, F_SETFL, flags & ~O_DIRECT) == 0) {
			continue;
		}
		if (n < 0) {
			return STATUS_IO;
		}
		*len += (size_t)n;
		if (n == 0 || *len % PASS_ALIGN != 0) {
			break; /* the end */
		}
	}
	return STATUS_OK;
}

enum status pass_read(struct pass *pass, int from, uint64_t bytes, struct base_stream *stream,
	int to)
{
	enum status status = STATUS_OK;
	for (uint64_t at = 0; status == STATUS_OK && at < bytes;) {
		size_t len;
		status = read_block(pass, from, at, &len);
		len = len < bytes - at ? len : (size_t)(bytes - at);
		if (status == STATUS_OK && len == 0) {
			return STATUS_CORRUPT;
		}
		if (status == STATUS_OK) {
			base_stream_add(stream, pass->block, len);
			status = to < 0 ? status : file_write_at(to, pass->block, len, at);
		}
		if (status == STATUS_OK) {
			status = pass_wait(pass, len);
		}
		at += len;
	}
	return status;
}
