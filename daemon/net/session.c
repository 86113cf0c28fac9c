/* session.c - the path of a request: its bytes come in, it runs somewhere, its reply goes out.
 *
 *   on_read -> pump -> dispatch -+-> answer_run on the loop ----------> sender_flush
 *                                +-> lane -> request_run -> loop inbox
 *                                                 -> session_finish --> sender_send
 *
 * pump takes one whole message after the other from the read buffer, until one of these holds:
 *
 *   There is no whole message.   on_read calls pump again.
 *   The turn is over.            The session is on the ready list of its loop, which calls pump.
 *   There is no memory.          The session is on the waiting list, and its loop calls pump.
 *   The session is full.         It stops reading. on_written or session_finish calls pump.
 *
 * Nothing is dropped: what the session does not read stays in the peer's socket. At TLS the bytes
 * pass session_tls.c before they are in the read buffer, and sender.c seals replies.
 *
 * A session ends when the peer has closed, when its stream is broken, or when the loop stops.
 * `ending` means that requests in flight are answered first; session_close does not wait for them.
 * release_if_done alone releases a session: when its handle is closed and nothing is in flight. */
#include "daemon/net/session.h"

#include "daemon/net/dispatch.h"
#include "daemon/net/guard.h"
#include "daemon/net/net.h"
#include "daemon/net/sender.h"
#include "daemon/net/session_tls.h"

#include <assert.h>
#include <sys/socket.h>

/* ---- bounds ---- */

static bool is_full(const struct session *session)
{
	const struct net_limits *limits = &session->loop->net->limits;
	return session->in_flight >= limits->in_flight ||
	       session->unsent > limits->connection_reply_bytes;
}

static bool is_waiting(const struct session *session)
{
	return !link_is_alone(&session->waiting);
}

/* The work done for the session in this iteration of its loop. */
static struct session_turn *turn_of(struct session *session)
{
	assert(session->turn.turn <= session->loop->turn);
	if (session->turn.turn != session->loop->turn) {
		session->turn = (struct session_turn){.turn = session->loop->turn};
	}
	return &session->turn;
}

/* The same for all sessions of its user on the loop. */
static struct user_turn *user_turn_of(const struct session *session)
{
	struct user_turn *turn = &session->user->of_loops[session->loop->number];
	if (turn->turn != session->loop->turn) {
		turn->turn = session->loop->turn;
		turn->ns = 0;
	}
	return turn;
}

static bool is_turn_over(const struct session *session, const struct user_turn *of_user)
{
	const struct session_turn *turn = &session->turn;
	return turn->messages >= SESSION_TURN_MESSAGES || turn->ns >= SESSION_TURN_NS ||
	       (of_user->ns >= SESSION_USER_TURN_NS && user_has_others(session->user));
}

/* The session waits for no memory. If it leads, it goes on with that until its message is taken. */
static void end_wait(struct session *session)
{
	session->waiting_since_ms = 0;
	link_remove(&session->waiting);
	budget_wait_over(&session->requests);
}

/* ---- closing ---- */

static void release_if_done(struct session *session)
{
	if (session->closed && session->in_flight == 0) {
		loop_release(session->loop, session);
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct session *session = handle->data;
	loop_assert_here(session->loop);
	assert(session->closing);
	assert(!session->closed);
	assert(session->unsent == 0); /* libuv has ended every write */
	session->closed = true;
	release_if_done(session);
}

void session_close(struct session *session)
{
	loop_assert_here(session->loop);
	if (session->closing) {
		return;
	}
	session->closing = true;
	atomic_store_explicit(&session->gone, true, memory_order_relaxed);
	link_remove(&session->ready);
	end_wait(session);
	budget_follow(&session->requests);
	read_buffer_fini(&session->in);
	uv_close(&session->uv.handle, on_closed);
}

void session_close_for(struct session *session, enum closing why)
{
	counter_add(&session->loop->figures.closed[why], session->closing ? 0 : 1);
	session_close(session);
}

/* Ignores what the peer sends from now on: it is not wanted, or the stream is broken and nobody can
 * tell where a message begins. */
static void stop_listening(struct session *session)
{
	session->deaf = true;
	session->starved = true;
	session->ending = true;
	session->partial_since_ms = 0;
	end_wait(session);
	budget_follow(&session->requests);
}

/* ---- from bytes to requests ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

/* Ends a session when all is answered and sent. A peer that was refused may still be sending. If
 * the socket were closed with bytes unread, the kernel would reset the connection, and the peer
 * could not read why it was refused. So only the sending side is shut down, and the session goes on
 * reading for a while. */
static void end(struct session *session)
{
	assert(session->in_flight == 0);
	assert(session->unsent == 0);
	if (session->tls != NULL) {
		session_tls_say_end(session);
	}
	if (session->linger_until_ms == 0) {
		session_close(session);
		return;
	}
	uv_os_fd_t fd;
	if (uv_fileno(&session->uv.handle, &fd) == 0) {
		(void)shutdown(fd, SHUT_WR);
	}
}

/* Ends the session, or lets it read or stop reading, as its state asks. To be called after each
 * change of the state. */
static void settle(struct session *session)
{
	if (session->closing) {
		return;
	}
	bool idle = session->in_flight == 0 && session->unsent == 0;
	if (session->ending && session->starved && idle) {
		end(session);
	}
	if (session->closing) {
		return;
	}
	bool wanted = !session->ending && !is_full(session) && !is_waiting(session);
	wanted = wanted || session->linger_until_ms != 0;
	if (wanted && !session->reading) {
		session->reading = true;
		if (uv_read_start(&session->uv.stream, on_alloc, on_read) != 0) {
			session_close(session);
		}
	} else if (!wanted && session->reading) {
		session->reading = false;
		uv_read_stop(&session->uv.stream);
		counter_add(&session->loop->figures.read_stopped, session->ending ? 0 : 1);
	}
}

/* Answers a message whose end nobody can find. So nobody can find the next message either. */
static void refuse(struct session *session, enum status status)
{
	const bool has_room = status != STATUS_BUSY && status != STATUS_NO_MEMORY;
	bool is_answered = dispatch_refuse(session, status);
	counter_add(&session->loop->figures.closed[has_room ? CLOSING_MESSAGE : CLOSING_NO_MEMORY],
		1);
	read_buffer_fini(&session->in);
	stop_listening(session);
	if (is_answered) {
		session->linger_until_ms = uv_now(&session->loop->uv) + SESSION_LINGER_MS;
	}
}

/* Lets the session try again when there may be memory, or room for its write. */
static void wait_for_room(struct session *session)
{
	if (session->waiting_since_ms == 0) {
		session->waiting_since_ms = uv_now(&session->loop->uv);
	}
	if (!session->held) {
		budget_wait(&session->requests);
	}
	loop_make_wait(session->loop, session);
}

/* Sets the state of a session whose first message could not be taken; `status` says why. */
static void pause_at(struct session *session, enum status status)
{
	const bool is_long = read_buffer_partial(&session->in) > GUARD_STRANGER_BYTES;
	if (status == STATUS_AGAIN && is_long && guard_is_stranger(session)) {
		refuse(session, STATUS_DENIED);
	} else if (status == STATUS_AGAIN) {
		session->starved = true;
		if (!is_waiting(session)) {
			end_wait(session);
		}
		if (session->partial_since_ms == 0 && read_buffer_partial(&session->in) > 0) {
			session->partial_since_ms = uv_now(&session->loop->uv);
		}
	} else if (status == STATUS_BUSY || status == STATUS_NO_MEMORY) {
		wait_for_room(session);
	} else {
		refuse(session, status);
	}
}

/* Sends the replies that were made on the loop if they are many, or if their writer has failed: the
 * next reply would make the writer whole again, behind half a reply. */
static void flush_if_needed(struct session *session)
{
	const struct wire_writer *reply = &session->loop->reply;
	bool is_broken = reply->status != STATUS_OK;
	if (is_broken || reply->len >= SENDER_FLUSH_BYTES) {
		sender_flush(session);
	}
}

/* Takes one message. False: there is none that can be taken now. */
static bool pump_one(struct session *session)
{
	struct read_message message;
	session->held = false;
	enum status status = read_buffer_next(&session->in, &message);
	if (status == STATUS_AGAIN && session->tls != NULL) {
		status = session_tls_open_some(session);
		if (status == STATUS_OK || status == STATUS_CLOSED) {
			return status ==
			       STATUS_OK; /* whether it has a message, the next look tells */
		}
	} else if (status == STATUS_OK) {
		status = dispatch(session, &message);
	}
	if (status != STATUS_OK) {
		pause_at(session, status);
		return false;
	}
	session->partial_since_ms = 0;
	end_wait(session);
	budget_follow(&session->requests);
	flush_if_needed(session);
	return true;
}

/* Counts the time that was spent until now for the turns of the session and of its user. */
static void note_turn(struct session *session, struct user_turn *of_user, uint64_t spent_ns)
{
	struct session_turn *turn = &session->turn;
	session->loop->turn_ns += spent_ns - turn->ns;
	of_user->ns += spent_ns - turn->ns;
	turn->ns = spent_ns;
}

static void pump_at(struct session *session, uint64_t now_ns)
{
	struct session_turn *turn = turn_of(session);
	struct user_turn *of_user = user_turn_of(session);
	const uint64_t began = now_ns - turn->ns;
	const unsigned before = turn->messages;
	session->starved = session->deaf;
	while (!session->deaf && !session->closing) {
		if (is_full(session)) {
			/* A half-sent message may wait now, but the peer is not to blame. */
			session->partial_since_ms = 0;
			break;
		}
		if (is_turn_over(session, of_user)) {
			loop_make_ready(session->loop, session);
			break;
		}
		const uint64_t looked_ns = began + turn->ns;
		session->loop->clock_ns = looked_ns;
		if (!pump_one(session)) {
			break;
		}
		turn->messages++;
		if (read_buffer_partial(&session->in) > 0) {
			/* What was run here has looked at the clock. */
			const uint64_t clock_ns = session->loop->clock_ns;
			note_turn(session, of_user,
				(clock_ns != looked_ns ? clock_ns : uv_hrtime()) - began);
		}
	}
	sender_flush(session);
	if (turn->messages > before) {
		note_turn(session, of_user, uv_hrtime() - began);
	}
	loop_count_sent(session->loop, session->read_ns, began + turn->ns);
	read_buffer_rest(&session->in, &session->loop->spare);
	if (session->tls != NULL) {
		session_tls_rest(session);
	}
	settle(session);
}

static void pump(struct session *session)
{
	pump_at(session, uv_hrtime());
}

/* The session alone runs on its loop now: the replies of the session before it were sent. */
static void assert_has_the_loop(const struct session *session)
{
	loop_assert_here(session->loop);
	assert(session->loop->reply.len == 0);
	assert(session->loop->reply_reserved == 0);
	assert(session->loop->answered.count == 0);
}

/* An empty buffer tells libuv that nothing can be read now. It asks again in the next iteration of
 * the loop. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct session *session = handle->data;
	uint8_t *space = NULL;
	size_t len = 0;
	(void)suggested;
	read_buffer_borrow(&session->in, &session->loop->spare);
	bool had_its_turn = turn_of(session)->bytes >= SESSION_TURN_BYTES;
	if (!had_its_turn && link_is_alone(&session->ready)) {
		if (session->tls != NULL) {
			*buf = session_tls_space(session);
			return;
		}
		if (read_buffer_space(&session->in, &space, &len) != STATUS_OK) {
			wait_for_room(session);
		}
	}
	*buf = uv_buf_init((char *)space, (unsigned)len);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct session *session = stream->data;
	(void)buf;
	assert_has_the_loop(session);
	if (count > 0) {
		turn_of(session)->bytes += (size_t)count;
		counter_add(&session->loop->figures.bytes_in, (uint64_t)count);
		if (!session->deaf && session->tls != NULL) {
			session_tls_filled(session, (size_t)count);
		} else if (!session->deaf) {
			read_buffer_filled(&session->in, (size_t)count);
		}
		session->read_ns = uv_hrtime();
		pump_at(session, session->read_ns);
	} else if (count == UV_EOF) {
		session_note_hang_up(session);
		session->reading = false;
		session->ending = true;
		session->linger_until_ms = 0;
		pump(session);
	} else if (count == UV_ENOBUFS) {
		settle(session);
	} else if (count < 0) {
		session_close(session);
	}
}

void session_continue(struct session *session)
{
	assert_has_the_loop(session);
	if (!session->closing) {
		pump(session);
	}
}

void session_retry(struct session *session)
{
	uint8_t *space;
	size_t len;
	bool needs_room = !session->deaf && !session->in.whole;
	if (needs_room && read_buffer_space(&session->in, &space, &len) != STATUS_OK) {
		wait_for_room(session);
	} else {
		session_continue(session);
	}
}

/* ---- from lanes ---- */

void session_finish(struct session *session, struct request *request)
{
	assert_has_the_loop(session);
	assert(request->session == session);
	assert(session->in_flight > 0);
	session->in_flight--;
	loop_expect_no_more(session->loop, request);
	guard_tell(session, request);
	/* Its peer would wait for ever: the request was not run, or there was no memory for the
	 * answer. */
	bool is_mute = request->question.head.type == RPC_REQUEST && request->out.len == 0;
	if (is_mute && atomic_load(&session->loop->net->cut)) {
		session_close(session);
	} else if (is_mute) {
		session_close_for(session, CLOSING_NO_MEMORY);
	}
	request->bytes_out = request->out.len;
	sender_send(session, &request->out, request->reserved);
	request->reserved = 0;
	const uint64_t now_ns = uv_hrtime();
	loop_count_back(session->loop, request, now_ns);
	request_tell(request, now_ns);
	request_free(request);
	session_continue(session);
	release_if_done(session);
}

/* ---- from the loop ---- */

void session_give_up(struct session *session)
{
	assert_has_the_loop(session);
	assert(!session->closing);
	if (!is_waiting(session)) {
		struct net *net = session->loop->net;
		net_event_closed(net, &net->half_sent, uv_now(&session->loop->uv),
			CLOSING_HALF_SENT, read_buffer_partial(&session->in));
		session_close_for(session, CLOSING_HALF_SENT);
		return;
	}
	if (session->in.whole) {
		(void)dispatch_refuse(session, STATUS_BUSY);
		read_buffer_done(&session->in);
		end_wait(session);
		budget_follow(&session->requests);
		flush_if_needed(session);
	} else {
		refuse(session, STATUS_BUSY);
	}
	pump(session);
}

void session_stop(struct session *session)
{
	stop_listening(session);
	session->linger_until_ms = 0;
	settle(session);
}
