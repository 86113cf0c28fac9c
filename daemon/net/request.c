/* request.c - a request that leaves the loop, runs, and comes back with its reply. */
#include "daemon/net/request.h"

#include "daemon/method/call/method.h"
#include "daemon/net/net.h"
#include "daemon/net/reply_reserve.h"
#include "daemon/net/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void drop_message(struct request *request)
{
	budget_give(&request->session->requests, request->message.charged);
	free(request->message.data);
	request->message = (struct read_taken){0};
}

/* Takes the size of the reply from the budget of replies. A reply to a change takes it even beyond
 * the limit, since the peer must hear of the change. Such replies are small. */
static void reserve_reply(struct request *request)
{
	if (method_is_read(request->question.method)) {
		enum status status = reply_reserve(&request->session->replies,
			&request->question.head, &request->out, 0, &request->reserved);
		if (status != STATUS_OK) {
			request->status = status;
			atomic_fetch_add_explicit(&request->net->replies_full, 1,
				memory_order_relaxed);
		}
	} else if (request->out.len > REPLY_FREE_BYTES) {
		request->reserved = request->out.len;
		budget_force(&request->session->replies, request->reserved);
	}
}

struct request *request_new(struct session *session, const struct question *question)
{
	struct request *request = calloc(1, sizeof *request);
	if (request == NULL) {
		return NULL;
	}
	request->net = session->loop->net;
	request->session = session;
	request->question = *question;
	request->question.head.method = (struct wire_bytes){0};
	request->question.message = (struct wire_bytes){0};
	/* Another hello may come meanwhile. */
	memcpy(request->client, session->client, sizeof request->client);
	request->question.client = request->client;
	request->question.turn_ns = 0;
	request->question.parsed = NULL;
	request->question.is_cold = NULL;
	/* A write, and a change that nobody wanted to hear of, is for whoever reads later. */
	const bool is_for_peer =
		method_is_read(question->method) ||
		(question->head.type == RPC_REQUEST && question->method->place != METHOD_WRITE);
	request->read_ns = session->read_ns;
	request->queued_ns = uv_hrtime();
	const uint64_t waiting_ms = session->waiting_since_ms; /* for memory, or for other writes */
	request->question.stop = (struct stop){
		.gone = is_for_peer ? &session->gone : NULL,
		.cut = &request->net->cut,
		.read_ms = waiting_ms != 0 ? waiting_ms : request->queued_ns / 1000000,
	};
	return request;
}

void request_own(struct request *request, struct read_taken message)
{
	assert(request->message.data == NULL);
	assert(message.len > 0);
	request->message = message;
	request->question.message = (struct wire_bytes){.data = message.data, .len = message.len};
	request->bytes_in = message.len;
	request->head_len = message.len < SLOW_HEAD_BYTES ? (uint32_t)message.len : SLOW_HEAD_BYTES;
	memcpy(request->head, message.data, request->head_len);
}

void request_run(struct request *request)
{
	assert(request->message.data != NULL); /* it runs once */
	assert(request->out.len == 0);
	struct stop *stop = &request->question.stop;
	request->began_ns = uv_hrtime();
	stop->waited_ms = request->began_ns / 1000000 - stop->read_ms;
	request->status = answer_run(&request->question, &request->ticket, &request->out);
	request->ended_ns = uv_hrtime();
	if (slow_wants(request->net, request->ended_ns - request->read_ns, request->status)) {
		request->subject = slow_subject_new(request->net, request->question.message);
	}
	drop_message(request);
	reserve_reply(request);
}

/* Must it begin within queue_time rather than within its own time-out? */
static bool is_queue_shorter(const struct request *request)
{
	return request->queue_ms != 0 &&
	       (request->timeout_ms == 0 || request->queue_ms < request->timeout_ms);
}

uint64_t request_expires_ms(const struct request *request)
{
	const uint64_t within = is_queue_shorter(request) ? request->queue_ms : request->timeout_ms;
	return within == 0 ? UINT64_MAX : request->question.stop.read_ms + within;
}

void request_expire(struct request *request)
{
	struct error err;
	if (is_queue_shorter(request)) {
		atomic_fetch_add_explicit(&request->net->queue_late, 1, memory_order_relaxed);
		error_set(&err, STATUS_BUSY,
			"the request has waited for %" PRIu64
			" ms (queue_time) behind others, and was not begun",
			request->queue_ms);
	} else {
		error_set(&err, STATUS_TIMEOUT,
			"the request has waited for timeout_ms, %" PRIu64
			", and was not begun: nothing has changed",
			request->timeout_ms);
	}
	request_fail(request, &err);
}

void request_fail(struct request *request, const struct error *err)
{
	drop_message(request);
	budget_give(&request->session->replies, request->reserved);
	request->reserved = 0;
	request->status = err->status;
	answer_error(&request->question.head, err, &request->out, 0);
}

void request_tell(const struct request *request, uint64_t now_ns)
{
	const uint64_t total_ns = now_ns - request->read_ns;
	if (!slow_wants(request->net, total_ns, request->status)) {
		return;
	}
	const bool has_run = request->began_ns != 0;
	const struct slow_request slow = {
		.session = request->session,
		.method = request->question.method,
		.status = request->status,
		.message = {request->head, request->head_len},
		.subject = request->subject,
		.bytes_in = request->bytes_in,
		.bytes_out = request->bytes_out,
		.total_ns = total_ns,
		.queued_ns = (has_run ? request->began_ns : now_ns) - request->queued_ns,
		.work_ns = request->ended_ns - request->began_ns,
	};
	slow_tell(request->net, &slow);
}

void request_free(struct request *request)
{
	if (request == NULL) {
		return;
	}
	assert(request->next == NULL);
	assert(request->ticket == NULL);
	assert(request->expiry.heap == NULL);
	drop_message(request);
	budget_give(&request->session->replies, request->reserved);
	wire_writer_fini(&request->out);
	free(request->subject);
	free(request);
}

void request_queue_push(struct request_queue *queue, struct request *request)
{
	assert(request->next == NULL); /* it is in no other queue */
	assert((queue->first == NULL) == (queue->count == 0));
	if (queue->first == NULL) {
		queue->first = request;
	} else {
		assert(queue->last->next == NULL);
		queue->last->next = request;
	}
	queue->last = request;
	queue->count++;
}

struct request *request_queue_pop(struct request_queue *queue)
{
	struct request *request = queue->first;
	assert((request == NULL) == (queue->count == 0));
	if (request == NULL) {
		return NULL;
	}
	queue->first = request->next;
	queue->count--;
	request->next = NULL;
	return request;
}

bool request_queue_remove(struct request_queue *queue, struct request *request)
{
	struct request *before = NULL;
	struct request *at = queue->first;
	while (at != NULL && at != request) {
		before = at;
		at = at->next;
	}
	if (at == NULL) {
		return false;
	}
	if (before == NULL) {
		queue->first = at->next;
	} else {
		before->next = at->next;
	}
	if (at->next == NULL) {
		queue->last = before;
	}
	at->next = NULL;
	queue->count--;
	return true;
}
