/* buffer.c - memory that grows by doubling, and mapped files. */
#include "tools/format/buffer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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

enum status mapping_open(const char *path, struct mapping *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
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
	*out = (struct mapping){data, len};
	return STATUS_OK;
}

void mapping_close(struct mapping *mapping)
{
	if (mapping->data != NULL) {
		munmap((void *)mapping->data, mapping->len);
	}
	*mapping = (struct mapping){0};
}
