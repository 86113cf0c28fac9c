/* lanes.c - many connections, a put under way on each. */
#include "tests/bench/driver/lanes.h"

#include "tests/bench/driver/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 1024, EVENTS = 64 };

struct lane {
	struct stream stream; /* opened by it; its buffer is for blocking calls, and not used */
	struct put_request request;
	size_t sent;
	size_t answered;
	uint64_t began_ns;
	bool waits_for_room;
	uint8_t answer[ANSWER_BYTES];
};

struct lanes {
	struct lanes_source source;
	int epoll;
	unsigned count;
	unsigned under_way;
	uint64_t busy;
	struct lane lanes[];
};

struct run {
	uint64_t end_ns;
	struct samples *samples;
	size_t done;
};

static void watch(const struct lanes *lanes, struct lane *lane, int operation, bool room)
{
	struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.ptr = lane};
	if (epoll_ctl(lanes->epoll, operation, lane->stream.fd, &event) != 0) {
		die("epoll_ctl: %s", strerror(errno));
	}
	lane->waits_for_room = room;
}

struct lanes *lanes_open(const struct put_kind *kind, const char *path, unsigned count,
	uint32_t rows_each, const struct lanes_source *source)
{
	struct lanes *lanes = allocate(sizeof *lanes + count * sizeof lanes->lanes[0]);
	lanes->source = *source;
	lanes->count = count;
	lanes->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < count; i++) {
		struct lane *lane = &lanes->lanes[i];
		stream_open(&lane->stream, path);
		if (fcntl(lane->stream.fd, F_SETFL, O_NONBLOCK) != 0) {
			die("fcntl: %s", strerror(errno));
		}
		put_request_init(&lane->request, kind, rows_each, source->rows);
		watch(lanes, lane, EPOLL_CTL_ADD, false);
	}
	return lanes;
}

void lanes_close(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++) {
		stream_close(&lanes->lanes[i].stream);
		put_request_fini(&lanes->lanes[i].request);
	}
	close(lanes->epoll);
	free(lanes);
}

/* Sends what the socket takes; the rest when it says that it has room. */
static void push(const struct lanes *lanes, struct lane *lane)
{
	const struct put_request *request = &lane->request;
	while (lane->sent < request->len) {
		const ssize_t n = send(lane->stream.fd, request->data + lane->sent,
			request->len - lane->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			break;
		}
		if (n < 0) {
			die("%s: send: %s", request->kind->name, strerror(errno));
		}
		lane->sent += (size_t)n;
	}
	const bool room = lane->sent < request->len;
	if (room != lane->waits_for_room) {
		watch(lanes, lane, EPOLL_CTL_MOD, room);
	}
}

static void begin(struct lanes *lanes, struct lane *lane)
{
	lanes->source.next(lanes->source.arg, &lane->request);
	lane->sent = 0;
	lane->answered = 0;
	lane->began_ns = now_ns();
	lanes->under_way++;
	push(lanes, lane);
}

/* Receives; at the end of the answer the next request goes out. */
static void pull(struct lanes *lanes, struct lane *lane, struct run *run)
{
	const struct put_kind *kind = lane->request.kind;
	const ssize_t n = recv(lane->stream.fd, lane->answer + lane->answered,
		ANSWER_BYTES - lane->answered, 0);
	if (n < 0 && errno == EAGAIN) {
		return;
	}
	if (n <= 0) {
		die("%s: recv: %s", kind->name, n == 0 ? "the peer closed" : strerror(errno));
	}
	lane->answered += (size_t)n;
	struct put_answer answer;
	const size_t len = kind->read_answer(lane->answer, lane->answered, &answer);
	if (len == 0 && lane->answered < ANSWER_BYTES) {
		return;
	}
	if (len != lane->answered || lane->sent < lane->request.len) {
		die("%s: more than one answer, or before the request", kind->name);
	}
	if (answer.busy) {
		lanes->busy++;
		lane->sent = 0;
		lane->answered = 0;
		push(lanes, lane);
		return;
	}
	put_answer_check(kind, &answer, lane->request.number, lane->request.rows);
	const uint64_t now = now_ns();
	lanes->source.acknowledged(lanes->source.arg, &lane->request);
	samples_add(run->samples, now - lane->began_ns);
	lanes->under_way--;
	run->done++;
	if (now < run->end_ns) {
		begin(lanes, lane);
	}
}

size_t lanes_run(struct lanes *lanes, uint64_t for_ns, struct samples *samples)
{
	struct run run = {.end_ns = now_ns() + for_ns, .samples = samples};
	for (unsigned i = 0; i < lanes->count; i++) {
		begin(lanes, &lanes->lanes[i]);
	}
	struct epoll_event events[EVENTS];
	while (lanes->under_way > 0) {
		const int count = epoll_wait(lanes->epoll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			struct lane *lane = events[i].data.ptr;
			if ((events[i].events & EPOLLOUT) != 0) {
				push(lanes, lane);
			}
			if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
				pull(lanes, lane, &run);
			}
		}
	}
	return run.done;
}

uint64_t lanes_busy(const struct lanes *lanes)
{
	return lanes->busy;
}
