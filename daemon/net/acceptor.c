/* acceptor.c - accepts whoever waits, and gives the descriptor away. */
#include "daemon/net/acceptor.h"

#include "daemon/net/net.h"
#include "daemon/net/session.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Connections accepted in one callback. After them the other handles of the uv loop run. */
	ACCEPTOR_BATCH = 64,
	/* At most one event in this time says that connections are refused. */
	ACCEPTOR_WARN_MS = 10000,
	/* How long nothing is accepted when nothing can be: whoever waits in the socket would wake us at once. */
	ACCEPTOR_PAUSE_MS = 100,
};

/* Says why connections are refused, but not for each of a thousand. */
static void tell(struct acceptor *acceptor, enum refusal refusal)
{
	uint64_t now_ms = uv_now(acceptor->poll.loop);
	if (acceptor->warned_ms != 0 && now_ms - acceptor->warned_ms < ACCEPTOR_WARN_MS) {
		return;
	}
	acceptor->warned_ms = now_ms;
	const struct net_limits *limits = &acceptor->to.net->limits;
	net_event(acceptor->to.net,
		"event=connection_refused reason=%s max_connections=%u user_connections=%u",
		refusal_name(refusal), limits->max_connections, limits->user_connections);
}

static void refuse(struct acceptor *acceptor, enum refusal refusal)
{
	counter_add(&acceptor->refused, 1);
	admit_count_refusal(&acceptor->to, refusal);
	tell(acceptor, refusal);
}

/* Who the peer is. A plain TCP socket listens on loopback only (address.c), so its peers are of this machine. A peer
 * of whom the kernel says nothing is a stranger, who can do next to nothing. */
static enum status identify(bool tcp, int fd, struct peer_identity *out)
{
	if (tcp) {
		*out = (struct peer_identity){.kind = IDENTITY_LOOPBACK};
		return STATUS_OK;
	}
	enum status status = identity_of_socket(fd, out);
	return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

/* A peer at TLS has to show who it is before it is one of the connections. */
static enum status give_to_handshakes(struct acceptor *acceptor, int fd, enum refusal *refusal)
{
	if (!admit_has_room(&acceptor->to)) {
		close(fd);
		*refusal = REFUSAL_MAX_CONNECTIONS;
		return STATUS_BUSY;
	}
	const enum status status = handshakes_add(acceptor->handshakes, fd);
	*refusal = status == STATUS_BUSY ? REFUSAL_HANDSHAKES : REFUSAL_NO_MEMORY;
	return status;
}

static enum status give_to_loop(struct acceptor *acceptor, int fd, enum refusal *refusal)
{
	const bool tcp = acceptor->listener.address.socket.any.sa_family != AF_UNIX;
	struct arrival arrival = {.fd = fd, .tcp = tcp};
	if (identify(tcp, fd, &arrival.peer) != STATUS_OK) {
		close(fd);
		*refusal = REFUSAL_NO_MEMORY;
		return STATUS_NO_MEMORY;
	}
	return admit(&acceptor->to, &arrival, refusal);
}

static void hand_over(struct acceptor *acceptor, int fd)
{
	const bool is_plain = !acceptor->listener.address.tls;
	enum refusal refusal = REFUSAL_COUNT;
	const enum status status = is_plain ? give_to_loop(acceptor, fd, &refusal)
					    : give_to_handshakes(acceptor, fd, &refusal);
	if (status != STATUS_OK) {
		refuse(acceptor, refusal);
	} else if (is_plain) {
		counter_add(&acceptor->accepted, 1);
	}
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int accept_one(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct acceptor *acceptor = timer->data;
	if (acceptor->spare_fd < 0) {
		acceptor->spare_fd = open_spare();
	}
	(void)uv_poll_start(&acceptor->poll, UV_READABLE, on_readable);
}

static void pause_accepting(struct acceptor *acceptor)
{
	(void)uv_poll_stop(&acceptor->poll);
	(void)uv_timer_start(&acceptor->pause, on_pause_over, ACCEPTOR_PAUSE_MS, 0);
}

/* When no descriptor is free, the connection at the head of the queue cannot be accepted. It would
 * stay there, and poll would wake us again and again. So the spare descriptor is closed to accept
 * this one connection, which is then closed at once. Another thread may have taken the spare one. */
static void refuse_without_descriptor(struct acceptor *acceptor)
{
	if (acceptor->spare_fd >= 0) {
		close(acceptor->spare_fd);
	}
	int fd = accept_one(acceptor->listener.fd);
	if (fd >= 0) {
		close(fd);
		refuse(acceptor, REFUSAL_NO_DESCRIPTORS);
	} else {
		tell(acceptor, REFUSAL_NO_DESCRIPTORS);
		pause_accepting(acceptor);
	}
	acceptor->spare_fd = open_spare();
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct acceptor *acceptor = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTOR_BATCH; i++) {
		int fd = accept_one(acceptor->listener.fd);
		if (fd >= 0) {
			hand_over(acceptor, fd);
		} else if (errno == EMFILE || errno == ENFILE) {
			refuse_without_descriptor(acceptor);
			return;
		} else if (errno == ENOMEM || errno == ENOBUFS) {
			tell(acceptor, REFUSAL_NO_MEMORY);
			pause_accepting(acceptor);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *uv, struct listener *listener)
{
	assert(listener->fd >= 0);
	assert(acceptor->to.loop_count > 0);
	assert(!listener->address.tls || acceptor->handshakes != NULL);
	acceptor->listener = *listener;
	listener->fd = -1;
	int failed = uv_poll_init(uv, &acceptor->poll, acceptor->listener.fd);
	if (failed != 0) {
		listener_close(&acceptor->listener);
		return status_of_errno(-failed);
	}
	uv_timer_init(uv, &acceptor->pause);
	acceptor->poll.data = acceptor->pause.data = acceptor;
	acceptor->spare_fd = open_spare();
	failed = uv_poll_start(&acceptor->poll, UV_READABLE, on_readable);
	if (failed != 0) {
		acceptor_stop(acceptor);
		return status_of_errno(-failed);
	}
	return STATUS_OK;
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (acceptor->listener.fd < 0) {
		return;
	}
	uv_close((uv_handle_t *)&acceptor->poll, NULL);
	uv_close((uv_handle_t *)&acceptor->pause, NULL);
	listener_close(&acceptor->listener);
	if (acceptor->spare_fd >= 0) {
		close(acceptor->spare_fd);
	}
	acceptor->spare_fd = -1;
}
