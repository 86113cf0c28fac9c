/* listener.c - binds and listens; replaces the socket file that a killed process left behind. */
#include "daemon/net/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
	LISTENER_BACKLOG = 1024, /* the kernel takes net.core.somaxconn if that is less */
};

static int open_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static enum status fail(const struct address *address, const char *what, struct error *err)
{
	return error_set(err, STATUS_IO, "listen '%s': %s: %s", address->text, what,
		strerror(errno));
}

/* Unlinks a socket file that nobody listens at. Only ECONNREFUSED proves that nobody does: a daemon
 * that is busy may cause any other error. */
static enum status remove_stale(const struct address *address, struct error *err)
{
	const char *path = address->socket.un.sun_path;
	struct stat found;
	if (lstat(path, &found) != 0) {
		return fail(address, "stat", err);
	}
	if (!S_ISSOCK(found.st_mode)) {
		return error_set(err, STATUS_EXISTS,
			"listen '%s': the file is there and is no socket", address->text);
	}
	int fd = open_socket(AF_UNIX);
	if (fd < 0) {
		return fail(address, "socket", err);
	}
	bool refused =
		connect(fd, &address->socket.any, address->len) != 0 && errno == ECONNREFUSED;
	close(fd);
	if (!refused) {
		return error_set(err, STATUS_EXISTS, "listen '%s': another process answers there",
			address->text);
	}
	if (unlink(path) != 0 && errno != ENOENT) {
		return fail(address, "unlink", err);
	}
	return STATUS_OK;
}

/* Nobody can connect before listen is called. So the file has its mode before the first peer. */
static enum status bind_unix(struct listener *listener, mode_t mode, struct error *err)
{
	const struct address *address = &listener->address;
	const char *path = address->socket.un.sun_path;
	int failed = bind(listener->fd, &address->socket.any, address->len);
	if (failed != 0 && errno == EADDRINUSE) {
		enum status status = remove_stale(address, err);
		if (status != STATUS_OK) {
			return status;
		}
		failed = bind(listener->fd, &address->socket.any, address->len);
	}
	if (failed != 0 && errno == ENOENT) {
		return error_set(err, STATUS_IO,
			"listen '%s': its folder is not there; make it, or name another place "
			"(--listen unix:PATH)",
			address->text);
	}
	if (failed != 0) {
		return fail(address, "bind", err);
	}
	struct stat made;
	if (lstat(path, &made) != 0) {
		return fail(address, "stat", err);
	}
	listener->file_device = made.st_dev;
	listener->file_number = made.st_ino;
	if (chmod(path, mode) != 0) {
		return fail(address, "chmod", err);
	}
	return STATUS_OK;
}

static enum status bind_tcp(struct listener *listener, struct error *err)
{
	const struct address *address = &listener->address;
	int on = 1;
	if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
		return fail(address, "SO_REUSEADDR", err);
	}
	if (bind(listener->fd, &address->socket.any, address->len) != 0) {
		return fail(address, "bind", err);
	}
	return STATUS_OK;
}

static enum status open_at(struct listener *listener, mode_t mode, struct error *err)
{
	sa_family_t family = listener->address.socket.any.sa_family;
	listener->fd = open_socket(family);
	if (listener->fd < 0) {
		return fail(&listener->address, "socket", err);
	}
	enum status status =
		family == AF_UNIX ? bind_unix(listener, mode, err) : bind_tcp(listener, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (listen(listener->fd, LISTENER_BACKLOG) != 0) {
		return fail(&listener->address, "listen", err);
	}
	return address_of_socket_anywhere(listener->fd, listener->address.tls, &listener->address,
		err);
}

enum status listener_open(const struct address *address, mode_t mode, struct listener *out,
	struct error *err)
{
	struct listener listener = {.fd = -1, .address = *address};
	enum status status = open_at(&listener, mode, err);
	if (status != STATUS_OK) {
		listener_close(&listener);
		return status;
	}
	assert(listener.fd >= 0);
	*out = listener;
	return STATUS_OK;
}

static enum status adopt(int fd, const struct address *address, struct listener *out,
	struct error *err)
{
	const struct listener listener = {.fd = fd, .address = *address};
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
		return fail(&listener.address, "fcntl", err);
	}
	*out = listener;
	return STATUS_OK;
}

enum status listener_adopt(int fd, struct listener *out, struct error *err)
{
	struct address address;
	const enum status status = address_of_socket(fd, &address, err);
	return status == STATUS_OK ? adopt(fd, &address, out, err) : status;
}

enum status listener_adopt_anywhere(int fd, struct listener *out, struct error *err)
{
	struct address address;
	const enum status status = address_of_socket_anywhere(fd, false, &address, err);
	return status == STATUS_OK ? adopt(fd, &address, out, err) : status;
}

enum status listener_adopt_tls(int fd, struct listener *out, struct error *err)
{
	struct address address;
	const enum status status = address_of_socket_anywhere(fd, true, &address, err);
	if (status == STATUS_OK && address.socket.any.sa_family == AF_UNIX) {
		return error_set(err, STATUS_BAD_REQUEST,
			"socket %d is named tls, and is that of '%s': TLS is spoken over TCP", fd,
			address.text);
	}
	return status == STATUS_OK ? adopt(fd, &address, out, err) : status;
}

void listener_close(struct listener *listener)
{
	struct stat found;
	if (listener->fd < 0) {
		return;
	}
	if (listener->file_number != 0) {
		const char *path = listener->address.socket.un.sun_path;
		if (lstat(path, &found) == 0 && found.st_dev == listener->file_device &&
			found.st_ino == listener->file_number) {
			(void)unlink(path);
		}
	}
	close(listener->fd);
	listener->fd = -1;
}
