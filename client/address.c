/* address.c - parses an address and connects to it. */
#include "client/address.h"

#include "client/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	HOST_BYTES_MAX = 255,
	PORT_BYTES_MAX = 31,
	PORT_DIGITS_MAX = 5,
};

/* Connects a new socket. On Linux SO_SNDTIMEO bounds connect() too. After a signal it starts over
 * with another socket: TCP and Unix sockets have no common way to ask what became of the first
 * try. */
static enum status connect_socket(const struct sockaddr *name, socklen_t name_len,
	int64_t deadline_ms, int *out)
{
	for (;;) {
		int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			return status_of_errno(errno);
		}
		struct timeval wait = {0};
		if (deadline_ms != CLOCK_NEVER_MS) {
			int64_t left = deadline_ms - clock_now_ms();
			if (left <= 0) {
				close(fd);
				errno = ETIMEDOUT;
				return STATUS_TIMEOUT;
			}
			wait.tv_sec = left / 1000;
			wait.tv_usec = left % 1000 * 1000;
		}
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
		if (connect(fd, name, name_len) == 0) {
			struct timeval none = {0};
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
			*out = fd;
			return STATUS_OK;
		}
		int error_number = errno;
		close(fd);
		if (error_number == EINPROGRESS || error_number == EAGAIN ||
			error_number == ETIMEDOUT) {
			errno = ETIMEDOUT;
			return STATUS_TIMEOUT;
		}
		if (error_number != EINTR) {
			errno = error_number;
			return error_number == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO;
		}
	}
}

static enum status connect_unix(const char *path, int64_t deadline_ms, int *fd, struct error *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof name.sun_path) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': a socket's path has 1 to %zu bytes", path,
			sizeof name.sun_path - 1);
	}
	memcpy(name.sun_path, path, len);
	enum status status =
		connect_socket((const struct sockaddr *)&name, sizeof name, deadline_ms, fd);
	if (status != STATUS_OK) {
		return error_set(err, status, "connect to '%s': %s", path, strerror(errno));
	}
	return STATUS_OK;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool split_host(const char *text, char *host, char *port)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL) {
		return false;
	}
	const char *first = text;
	size_t len = (size_t)(colon - text);
	if (len >= 2 && first[0] == '[' && first[len - 1] == ']') {
		first++;
		len -= 2;
	}
	size_t port_len = strlen(colon + 1);
	if (len == 0 || len > HOST_BYTES_MAX || port_len == 0 || port_len > PORT_BYTES_MAX) {
		return false;
	}
	memcpy(host, first, len);
	host[len] = '\0';
	memcpy(port, colon + 1, port_len + 1);
	return true;
}

/* getaddrinfo knows the names of services. Of a number it would take the lower 16 bits, so a number
 * that is too large is refused here. */
static bool port_fits(const char *port)
{
	size_t digits = strspn(port, "0123456789");
	if (port[digits] != '\0') {
		return true;
	}
	return digits <= PORT_DIGITS_MAX && strtoul(port, NULL, 10) <= UINT16_MAX;
}

static enum status connect_tcp(const char *address, const char *text, int64_t deadline_ms, int *fd,
	struct error *err)
{
	char host[HOST_BYTES_MAX + 1];
	char port[PORT_BYTES_MAX + 1];
	if (!split_host(text, host, port)) {
		return error_set(err, STATUS_BAD_REQUEST, "address '%s': not tcp:HOST:PORT",
			address);
	}
	if (!port_fits(port)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': the port '%s' is not a number from 0 to 65535", address,
			port);
	}
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(host, port, &hints, &list);
	if (code != 0) {
		return error_set(err, code == EAI_MEMORY ? STATUS_NO_MEMORY : STATUS_IO,
			"address '%s': %s", address,
			code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
	}
	enum status status = STATUS_IO;
	for (const struct addrinfo *each = list; each != NULL && status != STATUS_OK;
		each = each->ai_next) {
		status = connect_socket(each->ai_addr, each->ai_addrlen, deadline_ms, fd);
	}
	int error_number = errno;
	freeaddrinfo(list);
	if (status != STATUS_OK) {
		return error_set(err, status, "connect to '%s': %s", address,
			strerror(error_number));
	}
	const int on = 1;
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	return STATUS_OK;
}

enum status address_connect(const char *address, int64_t deadline_ms, int *fd, struct error *err)
{
	if (strncmp(address, "tcp:", 4) == 0) {
		return connect_tcp(address, address + 4, deadline_ms, fd, err);
	}
	if (strncmp(address, "unix:", 5) == 0) {
		return connect_unix(address + 5, deadline_ms, fd, err);
	}
	/* A host and a port without tcp: in front would be the name of a socket in this folder. */
	const char *colon = strrchr(address, ':');
	if (strchr(address, '/') == NULL && colon != NULL && colon[1] != '\0' &&
		strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': a host and a port are tcp:%s, a path is unix:%s", address,
			address, address);
	}
	return connect_unix(address, deadline_ms, fd, err);
}
