/* buffer.c - memory that grows by doubling, and mapped files. */
#include "tools/format/buffer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES_MIN = 4096 };

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

void *buffer_room(struct buffer *buffer, size_t len)
{
	assert(buffer->len <= buffer->cap);
	if (len > SIZE_MAX / 4 - buffer->len) {
		return NULL;
	}
	if (buffer->len + len > buffer->cap) {
		size_t cap = buffer->cap > 0 ? buffer->cap : BUFFER_BYTES_MIN;
		while (cap < buffer->len + len) {
			cap *= 2;
		}
		uint8_t *data = realloc(buffer->data, cap);
		if (data == NULL) {
			return NULL;
		}
		buffer->data = data;
		buffer->cap = cap;
	}
	assert(buffer->len + len <= buffer->cap);
	return buffer->data + buffer->len;
}

enum status buffer_add(struct buffer *buffer, const void *data, size_t len)
{
	if (len == 0) {
		return STATUS_OK;
	}
	void *room = buffer_room(buffer, len);
	if (room == NULL) {
		return STATUS_NO_MEMORY;
	}
	memcpy(room, data, len);
	buffer->len += len;
	return STATUS_OK;
}

enum status buffer_add_widened(struct buffer *buffer, const void *values, size_t count)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		float value;
		memcpy(&value, (const uint8_t *)values + i * sizeof value, sizeof value);
		const double wide = (double)value;
		status = buffer_add(buffer, &wide, sizeof wide);
	}
	return status;
}

/* ---- mapped files ---- */

/* The files that are mapped; a handler of SIGBUS looks at them. */
enum { MAPPINGS_MAX = 32 };
static struct mapped {
	const uint8_t *volatile data; /* NULL: the slot is free */
	size_t len;
	const char *path; /* borrowed */
	dev_t device;
	ino_t inode;
} mapped[MAPPINGS_MAX];
static const char *volatile cut_path; /* of the file that was cut; NULL: none was */

/* The page is behind the end that the file has now. Zeros take the place of the whole file, so that
 * the program goes on to mapping_check. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	(void)context;
	const uint8_t *at = info->si_addr;
	for (size_t i = 0; i < MAPPINGS_MAX; i++) {
		const uint8_t *data = mapped[i].data;
		if (data != NULL && at >= data && at < data + mapped[i].len &&
			mmap((void *)data, mapped[i].len, PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
			cut_path = mapped[i].path;
			return;
		}
	}
	signal(number, SIG_DFL); /* another fault: it happens again, and ends the program */
}

static void watch(const char *path, const uint8_t *data, size_t len, const struct stat *info)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	for (size_t i = 0; data != NULL && i < MAPPINGS_MAX; i++) {
		if (mapped[i].data == NULL) {
			mapped[i].path = path;
			mapped[i].len = len;
			mapped[i].device = info->st_dev;
			mapped[i].inode = info->st_ino;
			mapped[i].data = data;
			return;
		}
	}
}

static void unwatch(const uint8_t *data)
{
	for (size_t i = 0; i < MAPPINGS_MAX; i++) {
		if (mapped[i].data == data) {
			mapped[i].data = NULL;
		}
	}
}

enum status mapping_check(struct error *err)
{
	for (size_t i = 0; i < MAPPINGS_MAX; i++) {
		struct stat now;
		/* Another file of that path leaves the mapped one as it was. */
		if (mapped[i].data != NULL && stat(mapped[i].path, &now) == 0 &&
			now.st_dev == mapped[i].device && now.st_ino == mapped[i].inode &&
			(uint64_t)now.st_size < mapped[i].len) {
			cut_path = mapped[i].path;
		}
	}
	return cut_path == NULL ? STATUS_OK
				: error_set(err, STATUS_BAD_REQUEST,
					  "'%s': it was cut while it was read", cut_path);
}

enum status mapping_open(const char *path, struct mapping *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO is told, not waited for */
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open '%s': %s", path,
			strerror(errno));
	}
	struct stat info = {0};
	void *data = NULL;
	bool regular = false;
	int error_number = fstat(fd, &info) == 0 ? 0 : errno;
	if (error_number == 0) {
		regular = S_ISREG(info.st_mode);
	}
	size_t len = (size_t)info.st_size;
	if (regular && len > 0) {
		data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
		error_number = data == MAP_FAILED ? errno : 0;
	}
	close(fd);
	if (error_number != 0) {
		return error_set(err, status_of_errno(error_number), "map '%s': %s", path,
			strerror(error_number));
	}
	if (!regular) {
		return error_set(err, STATUS_BAD_REQUEST, "'%s': not a regular file", path);
	}
	watch(path, data, len, &info);
	*out = (struct mapping){data, len};
	return STATUS_OK;
}

void mapping_close(struct mapping *mapping)
{
	if (mapping->data != NULL) {
		unwatch(mapping->data);
		munmap((void *)mapping->data, mapping->len);
	}
	*mapping = (struct mapping){0};
}
