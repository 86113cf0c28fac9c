/* session_open.c - makes and frees a session, and opens its handle. */
#include "daemon/net/session.h"

#include "daemon/net/net.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct session *session_new(struct net *net, struct arrival *arrival)
{
	struct session *session = calloc(1, sizeof *session);
	struct user *user = session != NULL ? users_enter(&net->users, &arrival->peer) : NULL;
	if (user == NULL) {
		free(session);
		arrival_close(arrival);
		return NULL;
	}
	session->user = user;
	session->requests = (struct budget_holder){
		.budget = &net->requests,
		.user = &user->requests,
		.own = user->own,
	};
	session->replies = (struct budget_holder){
		.budget = &net->replies,
		.user = &user->replies,
		.own = user->own,
	};
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		session->turns[i].user = &user->turns[i];
	}
	session->in.holder = &session->requests;
	link_init(&session->all);
	link_init(&session->ready);
	link_init(&session->waiting);
	session->peer = arrival->peer;
	session->roles = ROLE_ANYBODY;
	session->fd = arrival->fd;
	session->tcp = arrival->tcp;
	session->tls = arrival->tls;
	session->tls_generation = arrival->tls_generation;
	return session;
}

/* Lets the kernel keep so much of a Unix socket that one call sends a reply of 128 KiB. If the
 * kernel's own limit (net.core.wmem_max) is smaller, the kernel takes that. */
static void widen_socket(int fd)
{
	int size = SESSION_SOCKET_BYTES;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int open_handle(struct session *session)
{
	uv_loop_t *uv = &session->loop->uv;
	if (session->tcp) {
		uv_tcp_init(uv, &session->uv.tcp);
		session->uv.handle.data = session;
		int failed = uv_tcp_open(&session->uv.tcp, session->fd);
		return failed != 0 ? failed : uv_tcp_nodelay(&session->uv.tcp, 1);
	}
	uv_pipe_init(uv, &session->uv.pipe, 0);
	session->uv.handle.data = session;
	widen_socket(session->fd);
	return uv_pipe_open(&session->uv.pipe, session->fd);
}

void session_open(struct session *session)
{
	loop_assert_here(session->loop);
	assert(session->fd >= 0);
	int failed = open_handle(session);
	uv_os_fd_t fd;
	/* If the handle owns the socket by now, uv_close closes it. */
	if (uv_fileno(&session->uv.handle, &fd) == 0) {
		session->fd = -1;
	}
	session->read_ns = uv_hrtime();
	if (failed != 0) {
		session_close(session);
	} else {
		session_continue(session);
	}
}

void session_free(struct session *session)
{
	assert(session->in_flight == 0);
	assert(session->unsent == 0);
	assert(link_is_alone(&session->all));
	assert(link_is_alone(&session->ready));
	assert(link_is_alone(&session->waiting));
	if (session->fd >= 0) {
		close(session->fd);
	}
	read_buffer_fini(&session->in);
	assert(atomic_load(&session->requests.used) == 0);
	assert(atomic_load(&session->replies.used) == 0);
	tls_close(session->tls);
	users_leave(session->user);
	identity_fini(&session->peer);
	free(session);
}
