/* address.c - parses an address and connects to it. */
#include "client/address.h"

#include "client/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	HOST_BYTES_MAX = ADDRESS_HOST_BYTES - 1,
	PORT_BYTES_MAX = 31,
	PORT_DIGITS_MAX = 5,
};

/* ---- from an address to names ---- */

static enum status no_memory(struct error *err)
{
	return error_set(err, STATUS_NO_MEMORY, "no memory for an address");
}

/* Of an address without a host. */
static const char *path_of(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : text;
}

static enum status check_path(const char *text, struct error *err)
{
	const char *path = path_of(text);
	const size_t len = strlen(path);
	const size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
	/* A host and a port without tcp: in front would be the name of a socket in this folder. */
	const char *colon = path == text ? strrchr(text, ':') : NULL;
	if (colon != NULL && strchr(text, '/') == NULL && colon[1] != '\0' &&
		strspn(colon + 1, "0123456789") == strlen(colon + 1)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': a host and a port are tcp:%s, a path is unix:%s", text, text,
			text);
	}
	if (len == 0 || len > most) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': a socket's path has 1 to %zu bytes", path, most);
	}
	return STATUS_OK;
}

static enum status resolve_path(const char *path, struct address *out, struct error *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	memcpy(name.sun_path, path, strlen(path));
	out->names = calloc(1, sizeof *out->names);
	if (out->names == NULL) {
		return no_memory(err);
	}
	memcpy(&out->names[0].name, &name, sizeof name);
	out->names[0].len = sizeof name;
	out->count = 1;
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

static enum status copy_names(const struct addrinfo *list, struct address *out, struct error *err)
{
	size_t count = 1; /* getaddrinfo gives one at least */
	for (const struct addrinfo *each = list->ai_next; each != NULL; each = each->ai_next) {
		count++;
	}
	out->names = calloc(count, sizeof *out->names);
	if (out->names == NULL) {
		return no_memory(err);
	}
	for (; list != NULL; list = list->ai_next) {
		struct address_name *name = &out->names[out->count++];
		memcpy(&name->name, list->ai_addr, list->ai_addrlen);
		name->len = list->ai_addrlen;
	}
	return STATUS_OK;
}

/* Reads host and port of an address that has them. */
static enum status read_host(const char *address, char *host, char *port, struct error *err)
{
	if (!split_host(address + 4, host, port)) {
		return error_set(err, STATUS_BAD_REQUEST, "address '%s': not %.4sHOST:PORT",
			address, address);
	}
	if (!port_fits(port)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"address '%s': the port '%s' is not a number from 0 to 65535", address,
			port);
	}
	return STATUS_OK;
}

static enum status resolve_host(const char *address, struct address *out, struct error *err)
{
	char host[HOST_BYTES_MAX + 1];
	char port[PORT_BYTES_MAX + 1];
	const enum status is_read = read_host(address, host, port, err);
	if (is_read != STATUS_OK) {
		return is_read;
	}
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(host, port, &hints, &list);
	if (code != 0) {
		return error_set(err, code == EAI_MEMORY ? STATUS_NO_MEMORY : STATUS_IO,
			"address '%s': %s", address,
			code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
	}
	const enum status status = copy_names(list, out, err);
	freeaddrinfo(list);
	return status;
}

bool address_is_tls(const char *text)
{
	return strncmp(text, "tls:", 4) == 0;
}

static bool has_host(const char *text)
{
	return strncmp(text, "tcp:", 4) == 0 || address_is_tls(text);
}

void address_host(const char *text, char out[ADDRESS_HOST_BYTES])
{
	char port[PORT_BYTES_MAX + 1];
	if (!has_host(text) || !split_host(text + 4, out, port)) {
		out[0] = '\0';
	}
}

enum status address_check(const char *text, struct error *err)
{
	char host[HOST_BYTES_MAX + 1];
	char port[PORT_BYTES_MAX + 1];
	return has_host(text) ? read_host(text, host, port, err) : check_path(text, err);
}

enum status address_resolve(const char *text, struct address *out, struct error *err)
{
	*out = (struct address){0};
	if (has_host(text)) {
		return resolve_host(text, out, err);
	}
	const enum status status = check_path(text, err);
	return status == STATUS_OK ? resolve_path(path_of(text), out, err) : status;
}

void address_fini(struct address *address)
{
	free(address->names);
	*address = (struct address){0};
}

/* ---- from a name to a socket ---- */

/* A new socket for `name`. */
static int open_socket(const struct address_name *name, int flags)
{
	return socket(name->name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static void set_tcp_options(const struct address_name *name, int fd)
{
	const int on = 1;
	if (name->name.ss_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	}
}

/* Connects a new socket. On Linux SO_SNDTIMEO bounds connect() too. After a signal it starts over
 * with another socket: TCP and Unix sockets have no common way to ask what became of the first
 * try. */
static enum status connect_socket(const struct address_name *name, int64_t deadline_ms, int *out)
{
	for (;;) {
		int fd = open_socket(name, 0);
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
		if (connect(fd, (const struct sockaddr *)&name->name, name->len) == 0) {
			struct timeval none = {0};
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
			set_tcp_options(name, fd);
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

/* A path is named without "unix:" in front, as the shell knows it. */
static const char *shown(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : text;
}

enum status address_connect(const char *text, int64_t deadline_ms, int *fd, struct error *err)
{
	struct address address;
	enum status status = address_resolve(text, &address, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = STATUS_IO;
	errno = ENOENT;
	for (size_t i = 0; i < address.count && status != STATUS_OK; i++) {
		status = connect_socket(&address.names[i], deadline_ms, fd);
	}
	const int error_number = errno;
	address_fini(&address);
	return status == STATUS_OK ? status
				   : error_set(err, status, "connect to '%s': %s", shown(text),
					     strerror(error_number));
}

enum status address_dial(const char *text, const struct address_name *name, int *out,
	struct error *err)
{
	const int fd = open_socket(name, SOCK_NONBLOCK);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "connect to '%s': %s", shown(text),
			strerror(errno));
	}
	set_tcp_options(name, fd);
	*out = fd;
	if (connect(fd, (const struct sockaddr *)&name->name, name->len) == 0) {
		return STATUS_OK;
	}
	if (errno == EINPROGRESS || errno == EINTR) {
		return STATUS_AGAIN;
	}
	/* EAGAIN: more wait for a Unix socket's daemon already than it has room for. */
	const int error_number = errno;
	close(fd);
	*out = -1;
	return error_set(err, STATUS_IO, "connect to '%s': %s", shown(text),
		strerror(error_number));
}

enum status address_dialled(const char *text, int fd, struct error *err)
{
	int code = 0;
	socklen_t len = sizeof code;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0) {
		code = errno;
	}
	if (code != 0) {
		return error_set(err, STATUS_IO, "connect to '%s': %s", shown(text),
			strerror(code));
	}
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	return poll(&wait, 1, 0) == 1 ? STATUS_OK : STATUS_AGAIN;
}
