/* session_tick.c - closes or refuses a peer that lets the daemon wait too long. */
#include "daemon/net/session.h"

#include "daemon/net/net.h"

static bool is_scarce(const struct budget *budget)
{
	return budget_used(budget) > budget->limit / 2;
}

/* Whether the peer has read nothing for long, and so keeps memory that others need. */
static bool is_stalled(struct session *session, uint64_t now_ms, unsigned timeout_ms)
{
	const struct net *net = session->loop->net;
	size_t unsent = uv_stream_get_write_queue_size(&session->uv.stream);
	if (unsent == 0 || unsent != session->unsent_then) {
		session->unsent_then = unsent;
		session->unsent_since_ms = now_ms;
		return false;
	}
	bool is_needed = is_scarce(&net->requests) || is_scarce(&net->replies);
	return is_needed && now_ms - session->unsent_since_ms >= timeout_ms;
}

void session_tick(struct session *session, uint64_t now_ms)
{
	loop_assert_here(session->loop);
	unsigned timeout_ms = session->loop->net->limits.request_timeout_ms;
	if (session->linger_until_ms != 0 && now_ms >= session->linger_until_ms) {
		session_close(session);
	}
	if (session->closing || timeout_ms == 0) {
		return;
	}
	uint64_t since = !link_is_alone(&session->waiting) ? session->waiting_since_ms
							   : session->partial_since_ms;
	if (is_stalled(session, now_ms, timeout_ms)) {
		net_event(session->loop->net,
			"event=connection_closed reason=replies_unread bytes=%zu", session->unsent);
		session_close(session);
	} else if (since != 0 && now_ms - since >= timeout_ms) {
		session_give_up(session);
	}
}
