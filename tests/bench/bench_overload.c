/* bench_overload.c - fetches over thousands of connections, at a rate that does not wait for answers.
 *
 *   bench_overload SOCKET CONNECTIONS ROWS KEYS STEPS SECONDS RATE|wWINDOW
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). Requests for KEYS random keys, whose rows go through the
 * stored layer "w" STEPS times, come
 * at random times, RATE a second in the mean, whatever was answered; each goes over the next of CONNECTIONS. A time is
 * from when a request was sent to the last byte of its answer; and, apart, from when it was due, in which what this client
 * itself is late counts as well. With a WINDOW so many requests are always under way instead: that finds what the daemon can
 * serve.
 *
 * Prints `ok_answers` and `busy_answers` a second, their times (`ok_p50` and so on), `due_p50` and so on: those of `ok` from
 * when they were due, `lag_p50`: how late requests were sent, `unanswered` ones at the end, `failed`: other errors, and
 * `client_cpu`, the part of a processor that this took.
 */
#include "schema/rpc.h"
#include "schema/wire.h"
#include "tests/bench/driver/measure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	NUMBER = 10,
	KEYS_MAX = 4096,
	STEPS_MAX = 16,
	REQUESTS = 4096, /* distinct */
	CONNECTIONS_MAX = 60000,
	FIRST_ID = 1 << 24, /* so that all ids take five bytes */
	DUE = 1 << 20,      /* requests whose time is known, the newest */
	TRIES = 20,
	HEAD_BYTES = 12, /* of an answer, up to and with the length of its error */
	EVENTS = 256,
	READ_BYTES = 1 << 20,
	END_NS = 2000000000, /* how long answers are waited for in the end */
};
static const double second_ns = 1e9;

/* One connection, and the answer that comes in. */
struct caller {
	int fd;
	size_t have;   /* bytes of `head` */
	uint64_t left; /* bytes of the answer that are still to come; 0: its head is not whole */
	uint8_t head[HEAD_BYTES];
};

struct overload {
	struct caller *callers; /* owned */
	unsigned count;
	unsigned next; /* which is to ask */
	unsigned window;
	int epoll;
	struct questions questions;
	uint8_t *request; /* owned; its id and its keys are changed in place */
	size_t request_len;
	size_t id_at;
	size_t keys_at;
	uint64_t reply_len; /* of an answer without an error */
	uint32_t sent;
	uint64_t answered;
	uint64_t failed;
	uint64_t *due;     /* owned */
	uint64_t *sent_at; /* owned */
	uint8_t *scratch;  /* owned */
	struct samples ok;
	struct samples ok_due;
	struct samples busy;
	struct samples lag;
	uint64_t random;
};

/* ---- what is asked, and what an answer looks like ---- */

static void make_request(struct overload *overload, unsigned steps)
{
	const uint32_t keys_bytes = overload->questions.keys_each * (uint32_t)sizeof(uint64_t);
	struct wire_writer writer = {0};
	rpc_write_request(&writer, FIRST_ID, "fetch");
	overload->id_at = 3; /* behind the array, the type and the head of the id */
	wire_write_map(&writer, 1);
	wire_write_str(&writer, "parts");
	wire_write_array(&writer, 1);
	wire_write_map(&writer, steps > 0 ? 3 : 2);
	if (steps > 0) {
		wire_write_str(&writer, "through");
		wire_write_array(&writer, steps);
	}
	for (unsigned i = 0; i < steps; i++) {
		wire_write_str(&writer, "w");
	}
	wire_write_str(&writer, "table");
	wire_write_str(&writer, "ir");
	wire_write_str(&writer, "keys");
	uint8_t *keys = wire_write_bin_space(&writer, keys_bytes);
	if (keys == NULL) {
		die("no memory for a request");
	}
	overload->keys_at = (size_t)(keys - writer.data);
	overload->request = writer.data;
	overload->request_len = writer.len;
}

static uint32_t id_of(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* How many bytes the answer has whose head is whole; 0: it is not. An error is a string. */
static uint64_t answer_len(const struct overload *overload, const struct caller *caller)
{
	enum {
		ERROR_AT = 7,
		NIL = 0xc0,
		STR8 = 0xd9,
		STR16 = 0xda,
		FIXSTR = 0xa0,
		FIXSTR_MAX = 31
	};
	const uint8_t *head = caller->head;
	if (caller->have <= ERROR_AT) {
		return 0;
	}
	const uint8_t kind = head[ERROR_AT];
	if (kind == NIL) {
		return overload->reply_len;
	}
	if (caller->have < HEAD_BYTES) {
		return 0;
	}
	if (kind == STR8) {
		return ERROR_AT + 2 + (uint64_t)head[ERROR_AT + 1] + 1;
	}
	if (kind == STR16) {
		return ERROR_AT + 3 + ((uint64_t)head[ERROR_AT + 1] << 8 | head[ERROR_AT + 2]) + 1;
	}
	if ((kind & ~FIXSTR_MAX) == FIXSTR) {
		return ERROR_AT + 1 + (uint64_t)(kind & FIXSTR_MAX) + 1;
	}
	die("an answer begins with %02x %02x, its error with %02x", head[0], head[1], kind);
}

static bool is_busy(const struct caller *caller)
{
	enum { FROM = 8 };
	return memmem(caller->head + FROM, HEAD_BYTES - FROM, "BU", 2) != NULL;
}

/* ---- connections ---- */

static void connect_one(struct caller *caller, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		die("'%s' is too long for a socket", path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	caller->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (caller->fd < 0 ||
		connect(caller->fd, (struct sockaddr *)&address, sizeof address) != 0) {
		die("connect to '%s': %s", path, strerror(errno));
	}
}

static void open_callers(struct overload *overload, const char *path)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	overload->callers = allocate(overload->count * sizeof *overload->callers);
	overload->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < overload->count; i++) {
		struct caller *caller = &overload->callers[i];
		struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = caller}};
		connect_one(caller, path);
		if (epoll_ctl(overload->epoll, EPOLL_CTL_ADD, caller->fd, &event) != 0) {
			die("epoll: %s", strerror(errno));
		}
	}
}

/* ---- asking and hearing ---- */

static void ask(struct overload *overload, uint64_t due_ns)
{
	struct caller *caller = &overload->callers[overload->next++ % overload->count];
	const uint32_t id = FIRST_ID + overload->sent;
	const uint8_t bytes[] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
		(uint8_t)id};
	memcpy(overload->request + overload->id_at, bytes, sizeof bytes);
	memcpy(overload->request + overload->keys_at,
		questions_at(&overload->questions, overload->sent),
		overload->questions.keys_each * sizeof(uint64_t));
	overload->due[overload->sent % DUE] = due_ns;
	overload->sent_at[overload->sent % DUE] = now_ns();
	overload->sent++;
	const ssize_t n = send(caller->fd, overload->request, overload->request_len, MSG_NOSIGNAL);
	if (n != (ssize_t)overload->request_len) {
		die("send: %s", n < 0 ? strerror(errno) : "a part was taken");
	}
}

static void note(struct overload *overload, const struct caller *caller, uint64_t at_ns)
{
	enum { ID_AT = 3, ERROR_AT = 7, NIL = 0xc0 };
	const uint32_t request = id_of(caller->head + ID_AT) - FIRST_ID;
	const uint64_t took_ns = at_ns - overload->sent_at[request % DUE];
	overload->answered++;
	if (caller->head[ERROR_AT] == NIL) {
		samples_add(&overload->ok, took_ns);
		samples_add(&overload->ok_due, at_ns - overload->due[request % DUE]);
	} else if (is_busy(caller)) {
		samples_add(&overload->busy, took_ns);
	} else {
		overload->failed++;
	}
}

/* Takes what has come for one connection: answers, one behind the other. */
static void hear(struct overload *overload, struct caller *caller)
{
	const ssize_t got = recv(caller->fd, overload->scratch, READ_BYTES, MSG_DONTWAIT);
	if (got <= 0) {
		if (got < 0 && errno == EAGAIN) {
			return;
		}
		die("a connection was closed: %s", got == 0 ? "by the daemon" : strerror(errno));
	}
	const uint64_t at_ns = now_ns();
	const uint8_t *at = overload->scratch;
	size_t len = (size_t)got;
	while (len > 0) {
		if (caller->left == 0) {
			caller->head[caller->have++] = *at++;
			len--;
			const uint64_t whole = answer_len(overload, caller);
			if (whole == 0) {
				continue;
			}
			caller->left = whole - caller->have;
		}
		const size_t piece = len < caller->left ? len : (size_t)caller->left;
		caller->left -= piece;
		at += piece;
		len -= piece;
		if (caller->left == 0) {
			note(overload, caller, at_ns);
			caller->have = 0;
		}
	}
}

/* Hears whoever has an answer, and waits until `until_ns` for one. */
static void hear_all(struct overload *overload, uint64_t until_ns)
{
	struct epoll_event events[EVENTS];
	const uint64_t at_ns = now_ns();
	const uint64_t left_ns = until_ns > at_ns ? until_ns - at_ns : 0;
	const struct timespec left = {
		.tv_sec = (time_t)(left_ns / 1000000000),
		.tv_nsec = (long)(left_ns % 1000000000),
	};
	const int count = epoll_pwait2(overload->epoll, events, EVENTS, &left, NULL);
	for (int i = 0; i < count; i++) {
		hear(overload, events[i].data.ptr);
	}
}

/* How long the answer of a whole fetch is, which all of them are as long as. */
static void measure_reply(struct overload *overload)
{
	const uint64_t wanted = (uint64_t)overload->questions.keys_each * MEASURE_ROW_BYTES;
	const struct caller *caller = &overload->callers[0];
	struct timeval wait = {.tv_sec = 20}; /* ten thousand others have just connected */
	for (unsigned i = 0; i < TRIES && overload->reply_len < wanted; i++) {
		overload->reply_len = 0; /* it was BUSY */
		(void)setsockopt(caller->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
		ask(overload, now_ns());
		overload->next = 0;
		ssize_t n;
		while ((n = recv(caller->fd, overload->scratch, READ_BYTES, 0)) > 0) {
			const struct timeval rest = {.tv_usec = 500000};
			(void)setsockopt(caller->fd, SOL_SOCKET, SO_RCVTIMEO, &rest, sizeof rest);
			overload->reply_len += (uint64_t)n;
		}
		overload->answered++;
	}
	if (overload->reply_len < wanted) {
		die("a fetch is not answered");
	}
}

/* ---- the two ways ---- */

static double next_gap_ns(struct overload *overload, double rate)
{
	const double share = ((double)(next_random(&overload->random) >> 11) + 1) * 0x1p-53;
	return -log(share) * second_ns / rate;
}

static void run_open(struct overload *overload, uint64_t begin_ns, uint64_t end_ns, double rate)
{
	double due_ns = (double)begin_ns;
	while (due_ns < (double)end_ns) {
		const uint64_t at_ns = now_ns();
		/* Answers are heard between, so that many that are due keep nobody's waiting in the socket. */
		for (unsigned i = 0; i < EVENTS && due_ns <= (double)at_ns; i++) {
			samples_add(&overload->lag, now_ns() - (uint64_t)due_ns);
			ask(overload, (uint64_t)due_ns);
			due_ns += next_gap_ns(overload, rate);
		}
		hear_all(overload, (uint64_t)due_ns);
	}
}

static void run_closed(struct overload *overload, uint64_t end_ns)
{
	while (now_ns() < end_ns) {
		while (overload->sent - overload->answered < overload->window) {
			ask(overload, now_ns());
		}
		hear_all(overload, end_ns);
	}
}

static void run(struct overload *overload, double seconds, double rate)
{
	const uint64_t cpu_ns = client_cpu_ns();
	const uint64_t begin_ns = now_ns();
	const uint64_t end_ns = begin_ns + (uint64_t)(seconds * second_ns);
	if (rate > 0) {
		run_open(overload, begin_ns, end_ns, rate);
	} else {
		run_closed(overload, end_ns);
	}
	const double took_ns = (double)(now_ns() - begin_ns);
	printf("client_cpu %.2f processors\n", (double)(client_cpu_ns() - cpu_ns) / took_ns);
	printf("ok_answers %.0f /s\n", (double)overload->ok.count * second_ns / took_ns);
	printf("busy_answers %.0f /s\n", (double)overload->busy.count * second_ns / took_ns);
	while (overload->answered < overload->sent && now_ns() < end_ns + END_NS) {
		hear_all(overload, end_ns + END_NS);
	}
	printf("unanswered %llu requests\n",
		(unsigned long long)(overload->sent - overload->answered));
	printf("failed %llu requests\n", (unsigned long long)overload->failed);
	samples_print(&overload->ok, "ok");
	samples_print(&overload->ok_due, "due");
	samples_print(&overload->busy, "busy");
	samples_print(&overload->lag, "lag");
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		die("usage: bench_overload SOCKET CONNECTIONS ROWS KEYS STEPS SECONDS RATE|wWINDOW");
	}
	struct overload overload = {
		.count = (unsigned)strtoul(argv[2], NULL, NUMBER),
		.window = argv[7][0] == 'w' ? (unsigned)strtoul(argv[7] + 1, NULL, NUMBER) : 0,
		.due = allocate(DUE * sizeof(uint64_t)),
		.sent_at = allocate(DUE * sizeof(uint64_t)),
		.scratch = allocate(READ_BYTES),
	};
	const uint32_t keys = (uint32_t)strtoul(argv[4], NULL, NUMBER);
	const unsigned steps = (unsigned)strtoul(argv[5], NULL, NUMBER);
	const double seconds = strtod(argv[6], NULL);
	if (overload.count == 0 || overload.count > CONNECTIONS_MAX || keys == 0 ||
		keys > KEYS_MAX || steps > STEPS_MAX || seconds <= 0) {
		die("a number is out of range");
	}
	questions_init(&overload.questions, REQUESTS, keys, strtoull(argv[3], NULL, NUMBER));
	make_request(&overload, steps);
	open_callers(&overload, argv[1]);
	measure_reply(&overload);
	run(&overload, seconds, overload.window > 0 ? 0 : strtod(argv[7], NULL));
	return 0;
}
