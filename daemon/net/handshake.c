/* handshake.c - many handshakes on few threads, none of which waits for one peer. */
#include "daemon/net/handshake.h"

#include "daemon/net/net.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HANDSHAKE_READ_BYTES = 16 << 10,
	HANDSHAKE_EVENTS = 64, /* of one epoll_wait */
	/* How long a peer that was refused has time to read why. */
	HANDSHAKE_LINGER_MS = 1000,
	/* Of max_connections so many more may have their handshake under way, together. */
	HANDSHAKE_PART = 4,
	HANDSHAKE_OPEN_MIN = 16, /* of a thread */
};

struct handshake {
	struct link all; /* in handshaker->arrivals, open or over */
	int fd;          /* owned */
	struct tls *tls; /* owned */
	uint64_t generation;
	int64_t until_ms; /* monotonic clock */
	uint32_t events;  /* what its socket is watched for */
	bool is_over;     /* it was refused: what still comes is dropped */
};

/* ---- one connection ---- */

static void handshake_free(struct handshake *handshake)
{
	link_remove(&handshake->all);
	tls_close(handshake->tls);
	if (handshake->fd >= 0) {
		close(handshake->fd); /* epoll forgets it */
	}
	free(handshake);
}

static void end_open(struct handshaker *handshaker, struct handshake *handshake)
{
	atomic_fetch_sub(&handshaker->under_way, 1);
	handshake_free(handshake);
}

/* Sends what waits. False: the connection is broken. */
static bool flush(struct handshake *handshake)
{
	const uint8_t *data;
	size_t len;
	while ((len = tls_pending(handshake->tls, &data)) > 0) {
		const ssize_t n = send(handshake->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			return errno == EAGAIN || errno == EINTR;
		}
		tls_sent(handshake->tls, (size_t)n);
	}
	return true;
}

static bool watch(struct handshaker *handshaker, struct handshake *handshake, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.ptr = handshake}};
	const int how = handshake->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (events == handshake->events) {
		return true;
	}
	handshake->events = events;
	return epoll_ctl(handshaker->epoll, how, handshake->fd, &event) == 0;
}

/* Tells the peer why, and leaves it time to read that: with bytes unread in the socket a close would take
 * back what was sent. */
static void refuse(struct handshaker *handshaker, struct handshake *handshake,
	enum tls_refusal refusal, const char *why)
{
	credentials_note_refusal(handshaker->of->options.to.net, handshake->fd, refusal,
		handshake->tls != NULL ? tls_peer(handshake->tls) : NULL, why);
	atomic_fetch_sub(&handshaker->under_way, 1);
	/* Once it is shut down there is room to send for ever. */
	if (handshake->tls == NULL || !flush(handshake) || shutdown(handshake->fd, SHUT_WR) != 0 ||
		refusal == TLS_REFUSED_DISPLACED || !watch(handshaker, handshake, EPOLLIN)) {
		handshake_free(handshake);
		return;
	}
	tls_close(handshake->tls);
	handshake->tls = NULL;
	handshake->is_over = true;
	handshake->until_ms = clock_monotonic_ms() + HANDSHAKE_LINGER_MS;
	link_remove(&handshake->all);
	link_append(&handshaker->over, &handshake->all);
	handshaker->over_count++;
}

static void end_over(struct handshaker *handshaker, struct handshake *handshake)
{
	assert(handshaker->over_count > 0);
	handshaker->over_count--;
	handshake_free(handshake);
}

/* The peer is who it says. */
static void let_in(struct handshaker *handshaker, struct handshake *handshake)
{
	struct credentials *credentials = &handshaker->of->options.to.net->credentials;
	struct arrival arrival = {
		.fd = handshake->fd,
		.tcp = true,
		.tls = handshake->tls,
		.tls_generation = handshake->generation,
	};
	if (tls_keep(handshake->tls) != STATUS_OK ||
		credentials_identify(tls_peer(handshake->tls), &arrival.peer) != STATUS_OK) {
		atomic_fetch_add(&credentials->crowded, 1);
		admit_count_refusal(&handshaker->of->options.to, REFUSAL_NO_MEMORY);
		end_open(handshaker, handshake);
		return;
	}
	(void)epoll_ctl(handshaker->epoll, EPOLL_CTL_DEL, handshake->fd, NULL);
	handshake->fd = -1;
	handshake->tls = NULL;
	end_open(handshaker, handshake);
	enum refusal refusal;
	if (admit(&handshaker->of->options.to, &arrival, &refusal) == STATUS_OK) {
		atomic_fetch_add(&credentials->accepted, 1);
	} else {
		atomic_fetch_add(&credentials->crowded, 1);
		admit_count_refusal(&handshaker->of->options.to, refusal);
	}
}

/* What still comes from a peer that was refused. */
static void drop_input(struct handshaker *handshaker, struct handshake *handshake)
{
	uint8_t data[HANDSHAKE_READ_BYTES];
	const ssize_t n = recv(handshake->fd, data, sizeof data, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		end_over(handshaker, handshake);
	}
}

/* Takes a handshake as far as it goes with what has come. */
static void advance(struct handshaker *handshaker, struct handshake *handshake)
{
	uint8_t data[HANDSHAKE_READ_BYTES];
	const uint8_t *unsent;
	struct error err = {.text = ""};
	const ssize_t n = recv(handshake->fd, data, sizeof data, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (n <= 0) {
		refuse(handshaker, handshake, TLS_REFUSED_HANDSHAKE,
			n == 0 ? "it has closed the connection" : strerror(errno));
		return;
	}
	tls_feed(handshake->tls, data, (size_t)n);
	const enum status status = tls_handshake(handshake->tls, &err);
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		refuse(handshaker, handshake, tls_refusal(handshake->tls), err.text);
	} else if (!flush(handshake)) {
		refuse(handshaker, handshake, TLS_REFUSED_HANDSHAKE, strerror(errno));
	} else if (status == STATUS_OK) {
		let_in(handshaker, handshake);
	} else if (!watch(handshaker, handshake,
			   tls_pending(handshake->tls, &unsent) > 0 ? EPOLLOUT : EPOLLIN)) {
		end_open(handshaker, handshake);
	}
}

static void on_socket(struct handshaker *handshaker, struct handshake *handshake)
{
	const uint8_t *unsent;
	if (handshake->is_over) {
		drop_input(handshaker, handshake);
		return;
	}
	if (tls_pending(handshake->tls, &unsent) == 0) {
		advance(handshaker, handshake);
	} else if (!flush(handshake)) {
		refuse(handshaker, handshake, TLS_REFUSED_HANDSHAKE, strerror(errno));
	} else if (tls_pending(handshake->tls, &unsent) == 0 &&
		   !watch(handshaker, handshake, EPOLLIN)) {
		end_open(handshaker, handshake);
	}
}

/* ---- all of a thread ---- */

static struct handshake *first_of(const struct link *list)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken out of its list before. */
	return link_is_alone(list) ? NULL : LINK_OWNER(list->next, struct handshake, all);
}

static void begin(struct handshaker *handshaker, struct handshake *handshake)
{
	const struct handshakes *of = handshaker->of;
	struct tls_context *context =
		credentials_take(&of->options.to.net->credentials, &handshake->generation);
	struct error err;
	const int on = 1;
	(void)setsockopt(handshake->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	assert(context != NULL);
	link_append(&handshaker->open, &handshake->all);
	handshake->until_ms = clock_monotonic_ms() + of->options.timeout_ms;
	const enum status status = tls_open(context, NULL, &handshake->tls, &err);
	tls_context_close(context);
	if (status != STATUS_OK || !watch(handshaker, handshake, EPOLLIN)) {
		refuse(handshaker, handshake, TLS_REFUSED_HANDSHAKE, "the daemon has no memory");
	}
}

/* Of too many that are under way the oldest goes: a peer that means it needs some milliseconds, and one that
 * only holds the place has had them. */
static void make_room(struct handshaker *handshaker)
{
	while (atomic_load(&handshaker->under_way) > handshaker->of->open_max) {
		struct handshake *oldest = first_of(&handshaker->open);
		if (oldest == NULL) {
			return;
		}
		refuse(handshaker, oldest, TLS_REFUSED_DISPLACED,
			"too many handshakes are under way");
	}
	while (handshaker->over_count > handshaker->of->open_max) {
		end_over(handshaker, first_of(&handshaker->over));
	}
}

/* Returns whether the thread is to stop. */
static bool take_arrivals(struct handshaker *handshaker)
{
	uint64_t rings;
	struct link arrivals;
	const ssize_t n = read(handshaker->bell, &rings, sizeof rings);
	(void)n;
	lock_take(&handshaker->lock);
	link_move_all(&handshaker->arrivals, &arrivals);
	const bool is_over = handshaker->stop_asked;
	lock_release(&handshaker->lock);
	while (!link_is_alone(&arrivals)) {
		struct handshake *handshake = first_of(&arrivals);
		link_remove(&handshake->all);
		begin(handshaker, handshake);
		make_room(handshaker);
	}
	return is_over;
}

static void expire(struct handshaker *handshaker)
{
	const int64_t now_ms = clock_monotonic_ms();
	struct handshake *first;
	while ((first = first_of(&handshaker->open)) != NULL && now_ms >= first->until_ms) {
		refuse(handshaker, first, TLS_REFUSED_TIMEOUT, "it has taken too long");
	}
	while ((first = first_of(&handshaker->over)) != NULL && now_ms >= first->until_ms) {
		end_over(handshaker, first);
	}
}

static int wait_ms(const struct handshaker *handshaker)
{
	const struct handshake *open = first_of(&handshaker->open);
	const struct handshake *over = first_of(&handshaker->over);
	if (open == NULL && over == NULL) {
		return -1;
	}
	int64_t until_ms = open != NULL ? open->until_ms : over->until_ms;
	if (over != NULL && over->until_ms < until_ms) {
		until_ms = over->until_ms;
	}
	const int64_t left_ms = until_ms - clock_monotonic_ms();
	return left_ms > 0 ? (int)left_ms + 1 : 0;
}

static void *handshaker_main(void *arg)
{
	struct handshaker *handshaker = arg;
	bool is_over = false;
	(void)setpriority(PRIO_PROCESS, 0,
		LANE_NICE); /* strangers wait, not those who are connected */
	while (!is_over) {
		struct epoll_event events[HANDSHAKE_EVENTS];
		bool has_rung = false;
		const int count = epoll_wait(handshaker->epoll, events, HANDSHAKE_EVENTS,
			wait_ms(handshaker));
		/* Each event may free its own connection. Those who arrive may end others, so they come
		 * last. */
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL) {
				has_rung = true;
			} else {
				on_socket(handshaker, events[i].data.ptr);
			}
		}
		expire(handshaker);
		is_over = has_rung && take_arrivals(handshaker);
	}
	while (!link_is_alone(&handshaker->open)) {
		end_open(handshaker, first_of(&handshaker->open));
	}
	while (!link_is_alone(&handshaker->over)) {
		end_over(handshaker, first_of(&handshaker->over));
	}
	return NULL;
}

/* ---- start and end ---- */

static enum status start_one(struct handshakes *handshakes, struct handshaker *handshaker,
	struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	handshaker->of = handshakes;
	lock_init(&handshaker->lock);
	link_init(&handshaker->arrivals);
	link_init(&handshaker->open);
	link_init(&handshaker->over);
	handshaker->epoll = epoll_create1(EPOLL_CLOEXEC);
	handshaker->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	handshakes->count++;
	if (handshaker->epoll < 0 || handshaker->bell < 0 ||
		epoll_ctl(handshaker->epoll, EPOLL_CTL_ADD, handshaker->bell, &event) != 0) {
		return error_set(err, status_of_errno(errno), "start the thread 'handshake': %s",
			file_reason(errno));
	}
	const enum status status =
		thread_start(&handshaker->thread, handshaker_main, handshaker, "handshake", err);
	handshaker->is_running = status == STATUS_OK;
	return status;
}

enum status handshakes_start(struct handshakes *handshakes,
	const struct handshakes_options *options, struct error *err)
{
	const unsigned all = options->to.net->limits.max_connections / HANDSHAKE_PART;
	assert(options->threads >= 1 && options->threads <= HANDSHAKES_THREADS_MAX);
	*handshakes = (struct handshakes){.options = *options};
	handshakes->open_max = all / options->threads;
	if (handshakes->open_max < HANDSHAKE_OPEN_MIN) {
		handshakes->open_max = HANDSHAKE_OPEN_MIN;
	}
	enum status status = STATUS_OK;
	while (status == STATUS_OK && handshakes->count < options->threads) {
		status = start_one(handshakes, &handshakes->of_threads[handshakes->count], err);
	}
	return status;
}

static void ring(const struct handshaker *handshaker)
{
	const uint64_t one = 1;
	/* It is full only when it was rung already. */
	const ssize_t n = write(handshaker->bell, &one, sizeof one);
	(void)n;
}

enum status handshakes_add(struct handshakes *handshakes, int fd)
{
	struct handshaker *best = &handshakes->of_threads[0];
	for (unsigned i = 1; i < handshakes->count; i++) {
		struct handshaker *each = &handshakes->of_threads[i];
		if (atomic_load(&each->under_way) < atomic_load(&best->under_way)) {
			best = each;
		}
	}
	/* The thread itself makes room by closing the oldest, but it may be busy for longer than it takes peers
	 * to come: what they hold then is bounded here. */
	const bool is_full = atomic_load(&best->under_way) >= 2 * handshakes->open_max;
	struct handshake *handshake = is_full ? NULL : calloc(1, sizeof *handshake);
	if (handshake == NULL) {
		close(fd);
		return is_full ? STATUS_BUSY : STATUS_NO_MEMORY;
	}
	handshake->fd = fd;
	link_init(&handshake->all);
	atomic_fetch_add(&best->under_way, 1);
	lock_take(&best->lock);
	link_append(&best->arrivals, &handshake->all);
	lock_release(&best->lock);
	ring(best);
	return STATUS_OK;
}

static void stop_one(struct handshaker *handshaker)
{
	if (handshaker->is_running) {
		lock_take(&handshaker->lock);
		handshaker->stop_asked = true;
		lock_release(&handshaker->lock);
		ring(handshaker);
		pthread_join(handshaker->thread, NULL);
	}
	while (!link_is_alone(&handshaker->arrivals)) {
		end_open(handshaker, first_of(&handshaker->arrivals));
	}
	if (handshaker->epoll >= 0) {
		close(handshaker->epoll);
	}
	if (handshaker->bell >= 0) {
		close(handshaker->bell);
	}
	lock_fini(&handshaker->lock);
}

void handshakes_stop(struct handshakes *handshakes)
{
	for (unsigned i = 0; i < handshakes->count && !handshakes->is_stopped; i++) {
		stop_one(&handshakes->of_threads[i]);
	}
	handshakes->is_stopped = true;
}

unsigned handshakes_under_way(struct handshakes *handshakes)
{
	unsigned count = 0;
	for (unsigned i = 0; i < handshakes->count; i++) {
		count += atomic_load(&handshakes->of_threads[i].under_way);
	}
	return count;
}
