/* session.c - one connection: bytes in, requests to where they run, replies out.
 *
 *   on_read -> pump -> dispatch -+-> answer_run on the loop ----------> sender_flush
 *                                +-> lane -> request_run -> loop inbox
 *                                                 -> session_finish --> sender_send
 *
 * pump takes whole messages from the read buffer until there is none, the turn is over (goes
 * on from the ready list), memory is short (from the waiting list), or the session is full:
 * then it stops reading, and on_written or session_finish pump again. Nothing is dropped;
 * the peer's socket is the queue.
 *
 * A session ends when the peer has closed, its stream is broken, or the loop stops: `ending`
 * lets what is in flight be answered first, session_close does not wait. It is released in
 * one place, once its handle is closed and nothing is in flight. */
#include "daemon/net/session.h"

#include "daemon/net/dispatch.h"
#include "daemon/net/net.h"
#include "daemon/net/sender.h"

#include <sys/socket.h>

/* ---- bounds ---- */

static bool is_full(const struct session *session)
{
	return session->in_flight >= SESSION_IN_FLIGHT_MAX ||
	       session->unsent > SESSION_UNSENT_BYTES;
}

static bool is_waiting(const struct session *session)
{
	return !link_is_alone(&session->waiting);
}

/* What it has had of this iteration of the loop. */
static struct session_turn *turn_of(struct session *session)
{
	if (session->turn.turn != session->loop->turn) {
		session->turn = (struct session_turn){.turn = session->loop->turn};
	}
	return &session->turn;
}

static bool is_turn_over(const struct session_turn *turn)
{
	return turn->messages >= SESSION_TURN_MESSAGES || turn->ns >= SESSION_TURN_NS;
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
	session->closed = true;
	release_if_done(session);
}

void session_close(struct session *session)
{
	if (session->closing) {
		return;
	}
	session->closing = true;
	atomic_store_explicit(&session->gone, true, memory_order_relaxed);
	link_remove(&session->ready);
	link_remove(&session->waiting);
	read_buffer_fini(&session->in);
	uv_close(&session->uv.handle, on_closed);
}

/* What the peer sends from now on cannot be told apart, or is not wanted. */
static void stop_listening(struct session *session)
{
	session->deaf = true;
	session->starved = true;
	session->ending = true;
	session->partial_since_ms = 0;
	session->waiting_since_ms = 0;
	link_remove(&session->waiting);
}

/* ---- from bytes to requests ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

/* All is answered and sent. A peer that was refused in the middle of sending hears of it only if
 * the rest is read too: to close with bytes unread would break the connection under the reply. */
static void end(struct session *session)
{
	if (session->linger_until_ms == 0) {
		session_close(session);
		return;
	}
	uv_os_fd_t fd;
	if (uv_fileno(&session->uv.handle, &fd) == 0) {
		(void)shutdown(fd, SHUT_WR);
	}
}

/* After anything has happened: ends, reads or pauses as the state asks. */
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
	}
}

/* Answers a message whose end, and so the next one's beginning, nobody can find. */
static void refuse(struct session *session, enum status status)
{
	bool is_answered = dispatch_refuse(session, status);
	read_buffer_fini(&session->in);
	stop_listening(session);
	if (is_answered) {
		session->linger_until_ms = uv_now(&session->loop->uv) + SESSION_LINGER_MS;
	}
}

/* Tries again when there may be memory. */
static void wait_for_memory(struct session *session)
{
	if (session->waiting_since_ms == 0) {
		session->waiting_since_ms = uv_now(&session->loop->uv);
	}
	loop_make_wait(session->loop, session);
}

/* Why pump could not take the message at hand. */
static void pause_at(struct session *session, enum status status)
{
	if (status == STATUS_AGAIN) {
		session->starved = true;
		if (session->partial_since_ms == 0 && read_buffer_partial(&session->in) > 0) {
			session->partial_since_ms = uv_now(&session->loop->uv);
		}
	} else if (status == STATUS_BUSY || status == STATUS_NO_MEMORY) {
		wait_for_memory(session);
	} else {
		refuse(session, status);
	}
}

/* Takes one message. False when there is none to take now. */
static bool pump_one(struct session *session)
{
	struct read_message message;
	enum status status = read_buffer_next(&session->in, &message);
	if (status == STATUS_OK) {
		status = dispatch(session, &message);
	}
	if (status != STATUS_OK) {
		pause_at(session, status);
		return false;
	}
	session->partial_since_ms = 0;
	session->waiting_since_ms = 0;
	link_remove(&session->waiting);
	const struct wire_writer *reply = &session->loop->reply;
	/* The next reply would make the writer whole again, behind half a reply. */
	bool is_broken = reply->status != STATUS_OK;
	if (is_broken || reply->len >= SENDER_FLUSH_BYTES) {
		sender_flush(session);
	}
	return true;
}

static void pump(struct session *session)
{
	struct session_turn *turn = turn_of(session);
	uint64_t began = uv_hrtime() - turn->ns;
	session->starved = session->deaf;
	while (!session->deaf && !session->closing) {
		if (is_full(session)) {
			/* It is not the peer who lets a half-sent message wait. */
			session->partial_since_ms = 0;
			break;
		}
		if (is_turn_over(turn)) {
			loop_make_ready(session->loop, session);
			break;
		}
		if (!pump_one(session)) {
			break;
		}
		turn->messages++;
		turn->ns = uv_hrtime() - began;
	}
	sender_flush(session);
	read_buffer_rest(&session->in, &session->loop->spare);
	settle(session);
}

/* An empty buffer means: not now. libuv asks again in the next iteration. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct session *session = handle->data;
	uint8_t *space = NULL;
	size_t len = 0;
	(void)suggested;
	read_buffer_borrow(&session->in, &session->loop->spare);
	bool had_its_turn = turn_of(session)->bytes >= SESSION_TURN_BYTES;
	if (!had_its_turn && link_is_alone(&session->ready) &&
		read_buffer_space(&session->in, &space, &len) != STATUS_OK) {
		wait_for_memory(session);
	}
	*buf = uv_buf_init((char *)space, (unsigned)len);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct session *session = stream->data;
	(void)buf;
	if (count > 0) {
		turn_of(session)->bytes += (size_t)count;
		counter_add(&session->loop->figures.bytes_in, (uint64_t)count);
		if (!session->deaf) {
			read_buffer_filled(&session->in, (size_t)count);
		}
		pump(session);
	} else if (count == UV_EOF) {
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
		wait_for_memory(session);
	} else {
		session_continue(session);
	}
}

/* ---- from lanes ---- */

void session_finish(struct session *session, struct request *request)
{
	session->in_flight--;
	loop_count_call(session->loop, request->question.method, request->status);
	/* A request without an answer: it was not run, or there was no memory to say so. */
	bool is_mute = request->question.head.type == RPC_REQUEST && request->out.len == 0;
	if (is_mute) {
		session_close(session);
	}
	sender_send(session, &request->out, request->reserved);
	request->reserved = 0;
	request_free(request);
	session_continue(session);
	release_if_done(session);
}

/* ---- from the loop ---- */

void session_give_up(struct session *session)
{
	if (!is_waiting(session)) {
		net_event(session->loop->net,
			"event=connection_closed reason=request_half_sent bytes=%zu",
			read_buffer_partial(&session->in));
		session_close(session);
		return;
	}
	if (session->in.whole) {
		(void)dispatch_refuse(session, STATUS_BUSY);
		read_buffer_done(&session->in);
		link_remove(&session->waiting);
		session->waiting_since_ms = 0;
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
