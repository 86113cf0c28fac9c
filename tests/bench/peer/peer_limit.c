/* peer_limit.c - what a fetch cannot be faster than: a bare process that answers over a Unix
 * socket by plain blocking calls, and copying alone.
 *
 * limit: the server reads the whole request, copies the rows from one array where each key's
 * row stands at a known offset, asking the cache for rows ahead, and writes all in one call;
 * no look-up, no parser, no loop. The client receives straight into the caller's rows. The
 * plain ones leave the cache to guess: each copy waits for its row.
 */
#include "tests/bench/driver/stream.h"
#include "tests/bench/peer/peer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AHEAD_ROWS = 16, LINE_BYTES = 64 };

enum gather { GATHER_NOTHING, GATHER_PLAIN, GATHER_AHEAD };

struct peer {
	const struct questions *questions; /* borrowed */
	const uint8_t *rows;               /* borrowed */
	enum gather gather;
	uint8_t *request; /* owned; NULL: nobody is asked */
	size_t request_bytes;
	size_t reply_bytes;
	int fd;
	pid_t server;
};

static void prefetch_row(const uint8_t *row)
{
	for (size_t at = 0; at < MEASURE_ROW_BYTES; at += LINE_BYTES) {
		__builtin_prefetch(row + at);
	}
}

static void gather(const struct peer *peer, const uint64_t *keys, uint8_t *out)
{
	const size_t count = peer->gather != GATHER_NOTHING ? peer->questions->keys_each : 0;
	const size_t ahead = peer->gather == GATHER_AHEAD ? AHEAD_ROWS : count;
	for (size_t i = 0; i < ahead && ahead < count; i++) {
		prefetch_row(peer->rows + keys[i] * MEASURE_ROW_BYTES);
	}
	for (size_t i = 0; i < count; i++) {
		if (i + ahead < count) {
			prefetch_row(peer->rows + keys[i + ahead] * MEASURE_ROW_BYTES);
		}
		memcpy(out + i * MEASURE_ROW_BYTES, peer->rows + keys[i] * MEASURE_ROW_BYTES,
			MEASURE_ROW_BYTES);
	}
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = write(fd, data + sent, len - sent);
		if (n < 0 && errno != EINTR) {
			_exit(1);
		}
		sent += n < 0 ? 0 : (size_t)n;
	}
}

/* Goes to the CPU that BENCH_SERVER_CPU names, if it does. */
static void pin(void)
{
	const char *text = getenv("BENCH_SERVER_CPU");
	if (text != NULL) {
		cpu_set_t cpus;
		CPU_ZERO(&cpus);
		CPU_SET(strtoul(text, NULL, 10), &cpus);
		(void)sched_setaffinity(0, sizeof cpus, &cpus);
	}
}

/* Answers until the client closes. */
static void serve(const struct peer *peer, int fd)
{
	uint8_t *reply = allocate(peer->reply_bytes);
	uint8_t *request = allocate(peer->request_bytes);
	for (;;) {
		size_t len = 0;
		while (len < peer->request_bytes) {
			ssize_t n = read(fd, request + len, peer->request_bytes - len);
			if (n <= 0) {
				_exit(n == 0 ? 0 : 1);
			}
			len += (size_t)n;
		}
		gather(peer, (const void *)(request + LIMIT_REQUEST_EXTRA),
			reply + LIMIT_REPLY_EXTRA);
		write_all(fd, reply, peer->reply_bytes);
	}
}

static struct peer *start(const struct questions *questions, const uint8_t *rows, enum gather how)
{
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	peer->rows = rows;
	peer->gather = how;
	peer->request_bytes = LIMIT_REQUEST_EXTRA + questions->keys_each * sizeof(uint64_t);
	peer->reply_bytes = LIMIT_REPLY_EXTRA + questions->keys_each * MEASURE_ROW_BYTES;
	peer->request = allocate(peer->request_bytes);
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		die("socketpair: %s", strerror(errno));
	}
	socket_set_buffers(ends[0]);
	socket_set_buffers(ends[1]);
	peer->server = fork();
	if (peer->server < 0) {
		die("fork: %s", strerror(errno));
	}
	if (peer->server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		pin();
		serve(peer, ends[1]);
	}
	close(ends[1]);
	peer->fd = ends[0];
	return peer;
}

static struct peer *limit_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	return start(questions, rows, GATHER_AHEAD);
}

static struct peer *plain_limit_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	return start(questions, rows, GATHER_PLAIN);
}

static struct peer *echo_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	return start(questions, rows, GATHER_NOTHING);
}

static void limit_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const size_t count = peer->questions->keys_each;
	memcpy(peer->request + LIMIT_REQUEST_EXTRA, questions_at(peer->questions, request),
		count * sizeof(uint64_t));
	write_all(peer->fd, peer->request, peer->request_bytes);
	uint8_t extra[LIMIT_REPLY_EXTRA];
	struct iovec parts[2] = {{extra, sizeof extra}, {out, count * MEASURE_ROW_BYTES}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = recvmsg(peer->fd, &message, MSG_WAITALL);
	if (n != (ssize_t)peer->reply_bytes) {
		die("limit: %zd of %zu bytes", n, peer->reply_bytes);
	}
}

static void limit_close(struct peer *peer)
{
	/* A server that was forked later holds a copy of the socket: closing is not enough. */
	(void)shutdown(peer->fd, SHUT_RDWR);
	close(peer->fd);
	int status;
	if (waitpid(peer->server, &status, 0) != peer->server || status != 0) {
		die("limit: the server failed");
	}
	free(peer->request);
	free(peer);
}

static struct peer *copy_open(const struct questions *questions, const uint8_t *rows,
	enum gather how)
{
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	peer->rows = rows;
	peer->gather = how;
	return peer;
}

static struct peer *memcpy_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	return copy_open(questions, rows, GATHER_AHEAD);
}

static struct peer *plain_memcpy_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	return copy_open(questions, rows, GATHER_PLAIN);
}

static void memcpy_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	gather(peer, questions_at(peer->questions, request), out);
}

static void memcpy_close(struct peer *peer)
{
	free(peer);
}

const struct peer_kind peer_limit = {.name = "limit",
	.open = limit_open,
	.fetch = limit_fetch,
	.close = limit_close,
	.rows = PEER_ANSWERS};
const struct peer_kind peer_plain_limit = {.name = "limit_plain",
	.open = plain_limit_open,
	.fetch = limit_fetch,
	.close = limit_close,
	.rows = PEER_ANSWERS};
const struct peer_kind peer_echo = {.name = "echo",
	.open = echo_open,
	.fetch = limit_fetch,
	.close = limit_close,
	.rows = PEER_ECHOES};
const struct peer_kind peer_memcpy = {.name = "memcpy",
	.open = memcpy_open,
	.fetch = memcpy_fetch,
	.close = memcpy_close,
	.rows = PEER_ANSWERS};
const struct peer_kind peer_plain_memcpy = {.name = "memcpy_plain",
	.open = plain_memcpy_open,
	.fetch = memcpy_fetch,
	.close = memcpy_close,
	.rows = PEER_ANSWERS};
