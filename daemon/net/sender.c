/* sender.c - writes replies with one system call, and queues what the socket does not take. */
#include "daemon/net/sender.h"

#include "daemon/net/net.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The part of a reply that did not fit into the socket: data[at, at + len). */
struct queued {
	uv_write_t write;
	struct session *session; /* borrowed */
	uint8_t *data;           /* owned */
	size_t at;
	size_t len;
	size_t reserved; /* of the reply budget */
};

static void queued_free(struct queued *queued)
{
	budget_give(&queued->session->replies, queued->reserved);
	free(queued->data);
	free(queued);
}

static void on_written(uv_write_t *write, int failed)
{
	struct queued *queued = LINK_OWNER(write, struct queued, write);
	struct session *session = queued->session;
	loop_assert_here(session->loop);
	assert(!session->closed); /* libuv ends every write before it closes the handle */
	assert(session->unsent >= queued->len);
	session->unsent -= queued->len;
	if (failed == 0) {
		counter_add(&session->loop->figures.bytes_out, queued->len);
	}
	queued_free(queued);
	if (failed != 0) {
		session_close(session);
	} else {
		session_continue(session);
	}
}

/* Sends as much as the socket takes now. Behind bytes that are queued nothing is sent, since it
 * would overtake them. False: the connection is broken. */
static bool try_send(struct session *session, const struct wire_writer *out, size_t *sent)
{
	*sent = 0;
	if (session->unsent > 0) {
		return true;
	}
	assert(out->len <= UINT_MAX);
	uv_buf_t buf = uv_buf_init((char *)out->data, (unsigned)out->len);
	int count = uv_try_write(&session->uv.stream, &buf, 1);
	if (count < 0 && count != UV_EAGAIN) {
		return false;
	}
	if (count > 0) {
		assert((size_t)count <= out->len);
		*sent = (size_t)count;
		counter_add(&session->loop->figures.bytes_out, (size_t)count);
	}
	return true;
}

/* Gives `queued` what was not sent: the memory of the writer if at least half of it is in use, else
 * a copy. */
static bool take_rest(struct queued *queued, struct wire_writer *out, size_t sent)
{
	assert(sent < out->len);
	size_t rest = out->len - sent;
	if (rest >= out->cap / 2) {
		queued->data = out->data;
		queued->at = sent;
		*out = (struct wire_writer){0};
	} else {
		queued->data = malloc(rest);
		if (queued->data == NULL) {
			return false;
		}
		memcpy(queued->data, out->data + sent, rest);
	}
	queued->len = rest;
	return true;
}

/* False when there is no memory, or no connection. In any case `reserved` is no longer the
 * caller's. */
static bool queue_rest(struct session *session, struct wire_writer *out, size_t sent,
	size_t reserved)
{
	struct queued *queued = calloc(1, sizeof *queued);
	if (queued == NULL) {
		budget_give(&session->replies, reserved);
		return false;
	}
	queued->session = session;
	queued->reserved = reserved;
	if (!take_rest(queued, out, sent)) {
		queued_free(queued);
		return false;
	}
	uv_buf_t buf = uv_buf_init((char *)queued->data + queued->at, (unsigned)queued->len);
	if (uv_write(&queued->write, &session->uv.stream, &buf, 1, on_written) != 0) {
		queued_free(queued);
		return false;
	}
	session->unsent += queued->len;
	session->queued += queued->len;
	return true;
}

void sender_send(struct session *session, struct wire_writer *out, size_t reserved)
{
	size_t sent = 0;
	loop_assert_here(session->loop);
	/* Only what was made can have reserved something: a reply of no bytes waits for nothing. */
	assert(reserved <= out->len);
	bool works = out->len == 0 || session->closing || try_send(session, out, &sent);
	bool is_over = out->len == sent || session->closing || !works;
	if (is_over) {
		budget_give(&session->replies, reserved);
	} else {
		works = queue_rest(session, out, sent, reserved);
	}
	wire_writer_clear(out);
	if (!works) {
		session_close(session);
	}
}

void sender_flush(struct session *session)
{
	struct loop *loop = session->loop;
	size_t reserved = loop->reply_reserved;
	loop->reply_reserved = 0;
	/* A writer that has failed holds no error either: there was no memory for it. */
	bool is_broken = loop->reply.status != STATUS_OK;
	sender_send(session, &loop->reply, reserved);
	if (loop->reply.cap > SENDER_KEEP_BYTES) {
		wire_writer_fini(&loop->reply);
	}
	if (is_broken) {
		session_close(session);
	}
	assert(loop->reply.len == 0);
	assert(loop->reply.status == STATUS_OK);
}
