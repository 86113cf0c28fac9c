/* address.c - parses, checks and prints addresses to listen on. */
#include "daemon/net/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char why_loopback[] =
	"plain TCP listens on loopback alone; peers on other machines need tls:HOST:PORT";

static bool is_loopback(const struct address *address)
{
	if (address->socket.any.sa_family == AF_INET) {
		return ntohl(address->socket.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	assert(address->socket.any.sa_family == AF_INET6);
	return IN6_IS_ADDR_LOOPBACK(&address->socket.in6.sin6_addr);
}

/* Writes the normal form. A Unix socket that has no name, or an abstract one, has an empty path
 * there. */
static void print(struct address *address)
{
	char host[INET6_ADDRSTRLEN] = "";
	const char *scheme = address->tls ? "tls" : "tcp";
	int len;
	if (address->socket.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->socket.in.sin_addr, host, sizeof host);
		len = snprintf(address->text, sizeof address->text, "%s:%s:%u", scheme, host,
			(unsigned)ntohs(address->socket.in.sin_port));
	} else if (address->socket.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->socket.in6.sin6_addr, host, sizeof host);
		len = snprintf(address->text, sizeof address->text, "%s:[%s]:%u", scheme, host,
			(unsigned)ntohs(address->socket.in6.sin6_port));
	} else {
		len = snprintf(address->text, sizeof address->text, "unix:%.*s",
			(int)sizeof address->socket.un.sun_path, address->socket.un.sun_path);
	}
	assert(len > 0);
	assert((size_t)len < sizeof address->text); /* ADDRESS_TEXT_BYTES fits the longest */
}

static enum status parse_unix(const char *text, const char *path, struct address *out,
	struct error *err)
{
	size_t len = strlen(path);
	size_t max = sizeof out->socket.un.sun_path - 1;
	if (len == 0) {
		return error_set(err, STATUS_BAD_REQUEST, "listen '%s': the path is empty", text);
	}
	if (len > max) {
		return error_set(err, STATUS_BAD_REQUEST,
			"listen '%s': the path has %zu bytes, %zu are allowed", text, len, max);
	}
	*out = (struct address){.len = sizeof out->socket.un};
	out->socket.un.sun_family = AF_UNIX;
	memcpy(out->socket.un.sun_path, path, len + 1);
	print(out);
	return STATUS_OK;
}

/* A decimal number from 0 to 65535. With 0 the system chooses the port. */
static bool parse_port(const char *text, uint16_t *out)
{
	uint32_t port = 0;
	size_t len = strlen(text);
	if (len == 0 || len > 5) {
		return false;
	}
	for (const char *at = text; *at != '\0'; at++) {
		if (!isdigit((unsigned char)*at)) {
			return false;
		}
		port = port * 10 + (uint32_t)(*at - '0');
	}
	if (port > UINT16_MAX) {
		return false;
	}
	*out = (uint16_t)port;
	return true;
}

/* Splits HOST:PORT at its last colon, and removes the brackets around an IPv6 address. */
static bool split_host(const char *text, char *host, size_t host_size, const char **port)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL) {
		return false;
	}
	size_t len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= host_size) {
		return false;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	*port = colon + 1;
	return true;
}

/* The family stays unset if the host is a name other than localhost: names are refused wherever they
 * lead. */
static struct address numeric_address(const char *host, uint16_t port)
{
	struct address address = {.len = sizeof address.socket.in};
	const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	if (inet_pton(AF_INET, numeric, &address.socket.in.sin_addr) == 1) {
		address.socket.in.sin_family = AF_INET;
		address.socket.in.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, numeric, &address.socket.in6.sin6_addr) == 1) {
		address.len = sizeof address.socket.in6;
		address.socket.in6.sin6_family = AF_INET6;
		address.socket.in6.sin6_port = htons(port);
	}
	return address;
}

/* text: "tcp:" or "tls:", and host_port. */
static enum status parse_tcp(const char *text, const char *host_port, struct address *out,
	struct error *err)
{
	const bool tls = strncmp(text, "tls:", 4) == 0;
	char host[INET6_ADDRSTRLEN];
	const char *port_text;
	uint16_t port;
	if (!split_host(host_port, host, sizeof host, &port_text)) {
		return error_set(err, STATUS_BAD_REQUEST, "listen '%s': %s:HOST:PORT is expected",
			text, tls ? "tls" : "tcp");
	}
	if (!parse_port(port_text, &port)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"listen '%s': the port '%s' is not a number from 0 to 65535", text,
			port_text);
	}
	struct address address = numeric_address(host, port);
	address.tls = tls;
	if (address.socket.any.sa_family == AF_UNSPEC) {
		return error_set(err, STATUS_BAD_REQUEST,
			"listen '%s': '%s' is no address, and names are not looked up", text, host);
	}
	print(&address);
	*out = address;
	return STATUS_OK;
}

/* Whether a text is no path but a mistake: it begins with a scheme, as `http://x` does, or it is a host
 * and a port. */
static bool has_scheme(const char *text)
{
	const char *at = text;
	while (isalpha((unsigned char)*at)) {
		at++;
	}
	const char *colon = strrchr(text, ':');
	const bool has_port = strchr(text, '/') == NULL && colon != NULL && colon[1] != '\0' &&
			      strspn(colon + 1, "0123456789") == strlen(colon + 1);
	return has_port || (at > text && *at == ':');
}

enum status address_parse_anywhere(const char *text, struct address *out, struct error *err)
{
	if (strncmp(text, "unix:", 5) == 0) {
		return parse_unix(text, text + 5, out, err);
	}
	if (strncmp(text, "tcp:", 4) == 0 || strncmp(text, "tls:", 4) == 0) {
		return parse_tcp(text, text + 4, out, err);
	}
	if (has_scheme(text)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"listen '%s': unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path is expected",
			text);
	}
	return parse_unix(text, text, out, err);
}

/* What an address is until it was read: of no family. */
static void begin(struct address *out)
{
	*out = (struct address){.tls = false};
	out->socket.any.sa_family = AF_UNSPEC;
}

bool address_is_local(const struct address *address)
{
	return address->socket.any.sa_family == AF_UNIX || is_loopback(address);
}

enum status address_parse(const char *text, struct address *out, struct error *err)
{
	struct address address;
	begin(&address);
	const enum status status = address_parse_anywhere(text, &address, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (!address.tls && !address_is_local(&address)) {
		return error_set(err, STATUS_BAD_REQUEST, "listen '%s': %s", text, why_loopback);
	}
	*out = address;
	return STATUS_OK;
}

enum status address_of_socket_anywhere(int fd, bool tls, struct address *out, struct error *err)
{
	int type = 0;
	int listening = 0;
	socklen_t size = sizeof type;
	struct address address = {.len = sizeof address.socket, .tls = tls};
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
		getsockname(fd, &address.socket.any, &address.len) != 0) {
		return error_set(err, STATUS_IO, "socket %d: %s", fd, strerror(errno));
	}

	sa_family_t family = address.socket.any.sa_family;
	bool known = family == AF_UNIX || family == AF_INET || family == AF_INET6;
	if (!known || type != SOCK_STREAM || listening == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"socket %d: a listening stream socket of Unix or TCP is expected", fd);
	}
	print(&address);
	*out = address;
	return STATUS_OK;
}

enum status address_of_socket(int fd, struct address *out, struct error *err)
{
	struct address address;
	begin(&address);
	const enum status status = address_of_socket_anywhere(fd, false, &address, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (!address_is_local(&address)) {
		return error_set(err, STATUS_BAD_REQUEST, "listen '%s': %s", address.text,
			why_loopback);
	}
	*out = address;
	return STATUS_OK;
}
