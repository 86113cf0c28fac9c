/* bench_floor.c - what a durable put cannot be faster than: a bare append and sync of the same
 * bytes.
 *
 *   bench_floor SOCKET FOLDER
 *
 * One process, one thread: it reads what the connections send (struct floor_head, keys, rows),
 * appends all requests that are whole to one file by one write, syncs it by one fdatasync, and
 * answers each. No parser, no table, nothing is checked. The file begins again at 512 MiB.
 */
#include "tests/bench/driver/put.h"
#include "tests/bench/driver/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 1024, /* also of one writev */
	REQUEST_MAX = 16 << 20,
	FILE_BYTES = 512 << 20,
};

struct connection {
	int fd;
	uint8_t *data; /* owned: one request */
	size_t len;
	size_t cap;
};

struct server {
	int epoll;
	int listener;
	int file;
	uint64_t file_bytes;
	size_t whole_count;
	struct connection *whole[CONNECTIONS_MAX]; /* what waits for its sync */
	struct iovec parts[CONNECTIONS_MAX];       /* of it, for one write */
};

static void watch(const struct server *server, int fd, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		die("epoll_ctl: %s", strerror(errno));
	}
}

static void accept_one(const struct server *server)
{
	struct connection *connection = allocate(sizeof *connection);
	connection->fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (connection->fd < 0) {
		die("accept: %s", strerror(errno));
	}
	socket_set_buffers(connection->fd);
	connection->cap = sizeof(struct floor_head);
	connection->data = allocate(connection->cap);
	watch(server, connection->fd, connection);
}

static void drop(struct connection *connection)
{
	close(connection->fd);
	free(connection->data);
	free(connection);
}

/* Makes room for the request that the head announces. */
static void grow(struct connection *connection)
{
	struct floor_head head;
	memcpy(&head, connection->data, sizeof head);
	if (head.bytes <= sizeof head || head.bytes > REQUEST_MAX) {
		die("a request of %u bytes", head.bytes);
	}
	connection->data = realloc(connection->data, head.bytes);
	if (connection->data == NULL) {
		die("no memory for %u bytes", head.bytes);
	}
	connection->cap = head.bytes;
}

/* Reads until the request is whole or nothing more is there. A buffer keeps the size of the first
 * request: a connection sends requests of one size. */
static void receive(struct server *server, struct connection *connection)
{
	for (;;) {
		const ssize_t n = recv(connection->fd, connection->data + connection->len,
			connection->cap - connection->len, 0);
		if (n < 0 && errno == EAGAIN) {
			return;
		}
		if (n <= 0) {
			drop(connection);
			return;
		}
		connection->len += (size_t)n;
		if (connection->len == sizeof(struct floor_head) &&
			connection->cap == connection->len) {
			grow(connection);
		}
		if (connection->len == connection->cap) {
			server->whole[server->whole_count++] = connection;
			return;
		}
	}
}

static void append(struct server *server)
{
	struct iovec *parts = server->parts;
	size_t bytes = 0;
	for (size_t i = 0; i < server->whole_count; i++) {
		const struct connection *connection = server->whole[i];
		parts[i] = (struct iovec){connection->data, connection->len};
		bytes += connection->len;
	}
	for (size_t first = 0, left = bytes; left > 0;) {
		const ssize_t n =
			writev(server->file, parts + first, (int)(server->whole_count - first));
		if (n < 0) {
			die("write: %s", strerror(errno));
		}
		left -= (size_t)n;
		size_t passed = (size_t)n;
		for (; first < server->whole_count && passed >= parts[first].iov_len; first++) {
			passed -= parts[first].iov_len;
		}
		if (passed > 0) {
			parts[first].iov_base = (uint8_t *)parts[first].iov_base + passed;
			parts[first].iov_len -= passed;
		}
	}
	if (fdatasync(server->file) != 0) {
		die("fdatasync: %s", strerror(errno));
	}
	server->file_bytes += bytes;
	if (server->file_bytes > FILE_BYTES) {
		server->file_bytes = 0;
		if (lseek(server->file, 0, SEEK_SET) != 0 || ftruncate(server->file, 0) != 0) {
			die("truncate: %s", strerror(errno));
		}
	}
}

static void answer(struct server *server)
{
	for (size_t i = 0; i < server->whole_count; i++) {
		struct connection *connection = server->whole[i];
		connection->len = 0;
		/* A client that left is noticed by the next read. */
		(void)send(connection->fd, connection->data, sizeof(struct floor_head),
			MSG_NOSIGNAL);
	}
	server->whole_count = 0;
}

static void serve(struct server *server)
{
	struct epoll_event events[CONNECTIONS_MAX];
	for (;;) {
		const int count = epoll_wait(server->epoll, events, CONNECTIONS_MAX, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL) {
				accept_one(server);
			} else {
				receive(server, events[i].data.ptr);
			}
		}
		if (server->whole_count > 0) {
			append(server);
			answer(server);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) {
		(void)fputs("usage: bench_floor SOCKET FOLDER\n", stderr);
		return 2;
	}
	memcpy(address.sun_path, argv[1], strlen(argv[1]));
	char path[4096];
	(void)snprintf(path, sizeof path, "%s/bench_floor.log", argv[2]);
	struct server server = {
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	};
	if (server.file < 0) {
		die("'%s': %s", path, strerror(errno));
	}
	if (server.epoll < 0 ||
		bind(server.listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
		listen(server.listener, CONNECTIONS_MAX) != 0) {
		die("'%s': %s", argv[1], strerror(errno));
	}
	watch(&server, server.listener, NULL);
	serve(&server);
	return 0;
}
