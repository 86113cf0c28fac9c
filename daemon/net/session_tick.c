/* session_tick.c - closes or refuses a peer that lets the daemon wait too long, or asks nothing. */
#include "daemon/net/session.h"

#include "daemon/net/net.h"

#include <assert.h>
#include <poll.h>

static bool is_scarce(const struct budget *budget)
{
	return budget_used(budget) > budget->limit / 2;
}

static bool is_needed(const struct net *net)
{
	return is_scarce(&net->requests) || is_scarce(&net->replies) ||
	       budget_waiting(&net->requests) > 0;
}

/* Whether the peer reads nothing, or less than the least rate, and so keeps memory that others
 * need. */
static bool is_slow(struct session *session, uint64_t now_ms, unsigned timeout_ms)
{
	const struct net *net = session->loop->net;
	const size_t unsent = uv_stream_get_write_queue_size(&session->uv.stream);
	assert(unsent <= session->queued);
	const uint64_t taken = session->queued - unsent;
	const uint64_t passed_ms = now_ms - session->unsent_since_ms;
	const uint64_t least = net->limits.least_rate_bytes * passed_ms / 1000;
	const uint64_t read = taken - session->taken_then;
	if (unsent > 0 && session->unsent_since_ms != 0) {
		if (passed_ms < timeout_ms) {
			return false;
		}
		if (is_needed(net) && (read == 0 || read < least)) {
			return true;
		}
	}
	session->taken_then = taken;
	session->unsent_since_ms = unsent > 0 ? now_ms : 0;
	return false;
}

/* Does the peer ask nothing, and owe nothing? */
static bool is_idle(struct session *session, uint64_t now_ms)
{
	const unsigned timeout_ms = session->loop->net->limits.idle_timeout_ms;
	return timeout_ms != 0 && now_ms >= session->read_ns / 1000000 + timeout_ms &&
	       session->in_flight == 0 && session->unsent == 0 &&
	       link_is_alone(&session->waiting) && read_buffer_partial(&session->in) == 0;
}

void session_note_hang_up(struct session *session)
{
	uv_os_fd_t fd;
	struct pollfd asked = {0};
	if (uv_fileno(&session->uv.handle, &fd) != 0) {
		return;
	}
	asked.fd = fd;
	if (poll(&asked, 1, 0) == 1 && (asked.revents & POLLHUP) != 0) {
		atomic_store_explicit(&session->gone, true, memory_order_relaxed);
	}
}

void session_tick(struct session *session, uint64_t now_ms)
{
	loop_assert_here(session->loop);
	if (session->in_flight > 0 && !session->closing) {
		session_note_hang_up(session); /* it may have stopped reading */
	}
	unsigned timeout_ms = session->loop->net->limits.request_timeout_ms;
	if (session->linger_until_ms != 0 && now_ms >= session->linger_until_ms) {
		session_close(session);
	}
	if (!session->closing && is_idle(session, now_ms)) {
		session_close_for(session, CLOSING_IDLE); /* no event: its client connects again */
	}
	if (session->closing || timeout_ms == 0) {
		return;
	}
	uint64_t since = !link_is_alone(&session->waiting) ? session->waiting_since_ms
							   : session->partial_since_ms;
	if (is_slow(session, now_ms, timeout_ms)) {
		struct net *net = session->loop->net;
		net_event_closed(net, &net->unread, now_ms, CLOSING_UNREAD, session->unsent);
		session_close_for(session, CLOSING_UNREAD);
	} else if (since != 0 && now_ms - since >= timeout_ms) {
		session_give_up(session);
	}
}
