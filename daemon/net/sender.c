/* sender.c - writes replies with one system call, and queues what the socket does not take: piece
 * after piece, since one call for all of it would keep the loop from the others. */
#include "daemon/net/sender.h"

#include "daemon/net/net.h"
#include "daemon/net/session_tls.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The part of a reply that did not fit into the socket: data[at, at + len). */
struct queued {
	uv_write_t write;
	struct queued *next;
	struct session *session; /* borrowed */
	uint8_t *data;           /* owned */
	size_t at;
	size_t len;
	size_t piece;     /* so much of it uv_write has now */
	size_t writing;   /* bytes of that in the socket's eyes: those of its records at TLS */
	uint8_t *records; /* owned: those of the piece; or NULL */
	bool is_sealed;   /* `data` is records */
	size_t reserved;  /* of the reply budget */
};

static void queued_free(struct queued *queued)
{
	free(queued->data);
	free(queued->records);
	free(queued);
}

/* Gives the pages of what was sent since `from` back to the kernel. To free 32 MiB at once takes 4 to
 * 15 ms of the loop. */
static void give_pages_back(const struct queued *queued, size_t from)
{
	enum { PAGE_BYTES = 4096 };
	const uintptr_t data = (uintptr_t)queued->data;
	const uintptr_t begin = (data + from + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	const uintptr_t end = (data + queued->at) / PAGE_BYTES * PAGE_BYTES;
	if (begin + SENDER_COPY_BYTES <= end) {
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): within queued->data. */
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
}

static void on_written(uv_write_t *write, int failed);

/* Seals the next piece of a reply, which is shorter then. False: the connection is broken, or there is no
 * memory. */
static bool seal_piece(struct session *session, struct queued *queued, size_t *piece, uv_buf_t *buf)
{
	size_t len = 0;
	*piece = *piece < TLS_PIECE_BYTES ? *piece : TLS_PIECE_BYTES;
	if (queued->records == NULL) {
		queued->records = malloc(TLS_SEALED_BYTES);
	}
	if (queued->records == NULL || tls_seal(session->tls, queued->data + queued->at, *piece,
					       queued->records, &len) != STATUS_OK) {
		return false;
	}
	*buf = uv_buf_init((char *)queued->records, (unsigned)len);
	return true;
}

/* Gives uv_write the next piece of the first reply that waits. False: the connection is broken. */
static bool write_piece(struct session *session)
{
	struct queued *queued = session->first;
	assert(queued != NULL && queued->len > 0 && queued->piece == 0);
	size_t piece = queued->len < SENDER_PIECE_BYTES ? queued->len : SENDER_PIECE_BYTES;
	uv_buf_t buf = uv_buf_init((char *)queued->data + queued->at, (unsigned)piece);
	const bool is_plain = session->tls == NULL || queued->is_sealed;
	if (!is_plain && !seal_piece(session, queued, &piece, &buf)) {
		return false;
	}
	if (uv_write(&queued->write, &session->uv.stream, &buf, 1, on_written) != 0) {
		return false;
	}
	queued->piece = piece;
	queued->writing = buf.len;
	session->queued += buf.len;
	return true;
}

/* Takes the first reply that waits out of the queue: it is sent, or will not be. */
static struct queued *take_first(struct session *session)
{
	struct queued *queued = session->first;
	assert(session->unsent >= queued->len);
	session->first = queued->next;
	session->unsent -= queued->len;
	budget_give(&session->replies, queued->reserved);
	return queued;
}

/* The replies that wait will not be sent. They may have hundreds of megabytes, so their memory is freed
 * a piece a turn. */
static void drop_all(struct session *session)
{
	struct loop *loop = session->loop;
	while (session->first != NULL) {
		struct queued *queued = take_first(session);
		queued->next = loop->dropped;
		loop->dropped = queued;
	}
	if (loop->dropped != NULL) {
		loop_resume(loop);
	}
}

/* Notes that a piece was sent, and goes on with the next. False: the connection is broken. */
static bool go_on(struct session *session)
{
	struct queued *queued = session->first;
	counter_add(&session->loop->figures.bytes_out, queued->writing);
	session->unsent -= queued->piece;
	queued->at += queued->piece;
	queued->len -= queued->piece;
	give_pages_back(queued, queued->at - queued->piece);
	queued->piece = 0;
	if (queued->len == 0) {
		queued_free(take_first(session));
	}
	return session->first == NULL || write_piece(session);
}

static void on_written(uv_write_t *write, int failed)
{
	struct queued *queued = LINK_OWNER(write, struct queued, write);
	struct session *session = queued->session;
	loop_assert_here(session->loop);
	assert(!session->closed); /* libuv ends every write before it closes the handle */
	assert(queued == session->first && queued->piece > 0);
	if (failed == 0 && !session->closing && go_on(session)) {
		session_continue(session);
		return;
	}
	drop_all(session);
	session_close(session);
}

/* Puts a reply behind those that wait, and gives uv_write its first piece if it is the first. False: the
 * connection is broken. */
static bool append(struct session *session, struct queued *queued)
{
	session->unsent += queued->len;
	if (session->first != NULL) {
		session->last->next = queued;
		session->last = queued;
		return true;
	}
	session->first = session->last = queued;
	if (!write_piece(session)) {
		drop_all(session);
		return false;
	}
	return true;
}

/* Records that the socket did not take wait as they are. */
static bool queue_records(struct session *session, const uint8_t *records, size_t len)
{
	struct queued *queued = calloc(1, sizeof *queued);
	uint8_t *data = queued != NULL ? malloc(len) : NULL;
	if (data == NULL) {
		free(queued);
		return false;
	}
	memcpy(data, records, len);
	*queued = (struct queued){.session = session, .data = data, .len = len, .is_sealed = true};
	return append(session, queued);
}

/* Seals and sends a piece after the other. What was sealed counts as sent, and waits if the socket does not
 * take it. */
static bool try_send_sealed(struct session *session, const struct wire_writer *out, size_t *sent)
{
	uint8_t *records = session_tls_records(session);
	while (session->unsent == 0 && *sent < out->len && *sent < SENDER_PIECE_BYTES) {
		const size_t rest = out->len - *sent;
		const size_t piece = rest < TLS_PIECE_BYTES ? rest : TLS_PIECE_BYTES;
		size_t len = 0;
		if (tls_seal(session->tls, out->data + *sent, piece, records, &len) != STATUS_OK) {
			return false;
		}
		*sent += piece;
		uv_buf_t buf = uv_buf_init((char *)records, (unsigned)len);
		const int count = uv_try_write(&session->uv.stream, &buf, 1);
		if (count < 0 && count != UV_EAGAIN) {
			return false;
		}
		const size_t taken = count > 0 ? (size_t)count : 0;
		counter_add(&session->loop->figures.bytes_out, taken);
		if (taken < len && !queue_records(session, records + taken, len - taken)) {
			return false;
		}
	}
	return true;
}

/* Sends as much as the socket takes now. Behind bytes that are queued nothing is sent, since it
 * would overtake them. False: the connection is broken. */
static bool try_send(struct session *session, const struct wire_writer *out, size_t *sent)
{
	*sent = 0;
	if (session->unsent > 0) {
		return true;
	}
	if (session->tls != NULL) {
		return try_send_sealed(session, out, sent);
	}
	const size_t piece = out->len < SENDER_PIECE_BYTES ? out->len : SENDER_PIECE_BYTES;
	uv_buf_t buf = uv_buf_init((char *)out->data, (unsigned)piece);
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

/* Gives `queued` what was not sent: the memory of the writer if it is much, else a copy. */
static bool take_rest(struct queued *queued, struct wire_writer *out, size_t sent)
{
	assert(sent < out->len);
	size_t rest = out->len - sent;
	if (rest >= out->cap / 2 || rest > SENDER_COPY_BYTES) {
		/* This copies nothing: the end of the buffer is given back where it stands. */
		uint8_t *fitting = realloc(out->data, out->len);
		queued->data = fitting != NULL ? fitting : out->data;
		queued->at = sent;
		*out = (struct wire_writer){0};
		give_pages_back(queued, 0);
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
		budget_give(&session->replies, reserved);
		queued_free(queued);
		return false;
	}
	return append(session, queued);
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
		session_close_for(session, CLOSING_NO_MEMORY);
	}
	assert(loop->reply.len == 0);
	assert(loop->reply.status == STATUS_OK);
}

bool sender_free_some(struct loop *loop)
{
	struct queued *queued = loop->dropped;
	if (queued == NULL) {
		return false;
	}
	if (queued->len > SENDER_PIECE_BYTES) {
		queued->at += SENDER_PIECE_BYTES;
		queued->len -= SENDER_PIECE_BYTES;
		give_pages_back(queued, queued->at - SENDER_PIECE_BYTES);
	} else {
		loop->dropped = queued->next;
		queued_free(queued);
	}
	return loop->dropped != NULL;
}
