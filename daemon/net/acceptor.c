/* acceptor.c - accepts whoever waits, chooses a loop, and gives the descriptor to it. */
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
};

static unsigned connections_of(const struct loop *loop)
{
	return atomic_load_explicit(&loop->connections, memory_order_relaxed);
}

/* Which limit keeps the peer out, when so many are connected; NULL: none. Some connections are kept for the
 * daemon's own user, at most half of all, and that user may have them all. */
static const char *find_limit(struct net *net, const struct peer_identity *peer, unsigned connected)
{
	const struct net_limits *limits = &net->limits;
	const unsigned half = limits->max_connections / 2;
	const unsigned kept = limits->kept_connections < half ? limits->kept_connections : half;
	const bool is_own = users_is_own(peer);
	if (connected >= limits->max_connections - (is_own ? 0 : kept)) {
		return "max_connections";
	}
	const unsigned of_user = limits->user_connections;
	return of_user != 0 && !is_own && users_connections(&net->users, peer) >= of_user
		       ? "user_connections"
		       : NULL;
}

/* The loop with the fewest connections. NULL: *limit names what keeps the peer out. */
static struct loop *choose_loop(struct acceptor *acceptor, const struct peer_identity *peer,
	const char **limit)
{
	struct loop *best = &acceptor->loops[0];
	unsigned total = 0;
	for (unsigned i = 0; i < acceptor->loop_count; i++) {
		struct loop *loop = &acceptor->loops[i];
		total += connections_of(loop);
		if (connections_of(loop) < connections_of(best)) {
			best = loop;
		}
	}
	*limit = find_limit(acceptor->net, peer, total);
	return *limit == NULL ? best : NULL;
}

/* Counts a connection that was refused. An event says why, but not for each of a thousand. */
static void refuse(struct acceptor *acceptor, const char *reason)
{
	uint64_t now_ms = uv_now(acceptor->poll.loop);
	counter_add(&acceptor->refused, 1);
	if (acceptor->warned_ms != 0 && now_ms - acceptor->warned_ms < ACCEPTOR_WARN_MS) {
		return;
	}
	acceptor->warned_ms = now_ms;
	const struct net_limits *limits = &acceptor->net->limits;
	net_event(acceptor->net,
		"event=connection_refused reason=%s max_connections=%u user_connections=%u", reason,
		limits->max_connections, limits->user_connections);
}

/* Who the peer is. A TCP socket listens on loopback only (address.c), so its peers are of this machine. A peer
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

static void hand_over(struct acceptor *acceptor, int fd)
{
	const bool tcp = acceptor->listener.address.socket.any.sa_family != AF_UNIX;
	struct peer_identity peer;
	if (identify(tcp, fd, &peer) != STATUS_OK) {
		refuse(acceptor, "no_memory");
		close(fd);
		return;
	}
	const char *limit;
	struct loop *loop = choose_loop(acceptor, &peer, &limit);
	if (loop == NULL) {
		refuse(acceptor, limit);
		identity_fini(&peer);
		close(fd); /* after it is counted: the peer may ask at once */
		return;
	}
	assert(loop->net == acceptor->net);
	struct session *session = session_new(acceptor->net, fd, tcp, &peer);
	if (session == NULL) {
		refuse(acceptor, "no_memory");
		return;
	}
	counter_add(&acceptor->accepted, 1);
	atomic_fetch_add_explicit(&loop->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->tcp_connections, tcp ? 1 : 0, memory_order_relaxed);
	loop_add(loop, session);
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int accept_one(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* When no descriptor is free, the connection at the head of the queue cannot be accepted. It would
 * stay there, and poll would wake us again and again. So the spare descriptor is closed to accept
 * this one connection, which is then closed at once. */
static void refuse_without_descriptor(struct acceptor *acceptor)
{
	if (acceptor->spare_fd >= 0) {
		close(acceptor->spare_fd);
	}
	int fd = accept_one(acceptor->listener.fd);
	if (fd >= 0) {
		close(fd);
	}
	acceptor->spare_fd = open_spare();
	refuse(acceptor, "no_descriptors");
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
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

enum status acceptor_start(struct acceptor *acceptor, uv_loop_t *uv, struct listener *listener)
{
	assert(listener->fd >= 0);
	assert(acceptor->loop_count > 0);
	acceptor->listener = *listener;
	listener->fd = -1;
	int failed = uv_poll_init(uv, &acceptor->poll, acceptor->listener.fd);
	if (failed != 0) {
		listener_close(&acceptor->listener);
		return status_of_errno(-failed);
	}
	acceptor->poll.data = acceptor;
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
	listener_close(&acceptor->listener);
	if (acceptor->spare_fd >= 0) {
		close(acceptor->spare_fd);
	}
	acceptor->spare_fd = -1;
}
