/* answer.c - parses a request, runs its method, and writes the result or the error. */
#include "daemon/method/call/answer.h"

#include "daemon/method/call/method.h"
#include "schema/limits.h"

#include <assert.h>

/* The error that a peer gets when the writer of the reply has failed. */
static enum status fail_of_writer(const struct wire_writer *out, struct error *err)
{
	if (out->status == STATUS_TOO_LARGE) {
		return error_set(err, STATUS_TOO_LARGE,
			"the reply is larger than %u bytes; ask for less at once",
			LIMIT_MESSAGE_BYTES);
	}
	return error_set(err, out->status, "the reply could not be written");
}

static enum status run(const struct question *question, struct wire_value params,
	struct write_ticket **ticket, struct wire_writer *out, struct error *err)
{
	bool is_request = question->head.type == RPC_REQUEST;
	struct call call = {
		.service = question->service,
		.params = params,
		.peer = question->peer,
		.client = question->client,
		.roles = question->roles,
		.out = out,
		.may_block = ticket != NULL,
		.cost = cost_begin(question->elements, question->turn_ns),
		.stop = question->stop,
	};
	if (is_request) {
		rpc_write_response(out, question->head.msgid);
	}
	enum status status = method_run(question->method, &call);
	/* Who holds a ticket waits for the disk, and a loop never waits. */
	assert(ticket != NULL || call.ticket == NULL);
	if (ticket != NULL) {
		*ticket = call.ticket;
	}
	if (question->is_cold != NULL) {
		*question->is_cold = status == STATUS_AGAIN && !call.cost.is_over;
	}
	if (status != STATUS_OK) {
		*err = call.error;
		err->status = status;
	} else if (out->status != STATUS_OK && is_request) {
		status = fail_of_writer(out, err);
	}
	return status;
}

enum status answer_run(const struct question *question, struct write_ticket **ticket,
	struct wire_writer *out)
{
	size_t start = out->len;
	struct error err; /* set with the status that goes with it */
	struct wire_message *own = NULL;
	struct wire_message **message = question->parsed != NULL ? question->parsed : &own;
	struct rpc_envelope envelope;
	assert(out->status == STATUS_OK); /* else the reply would lack its beginning */
	assert(ticket == NULL || *ticket == NULL);

	out->limit = start + LIMIT_MESSAGE_BYTES;
	enum status status = wire_reopen(question->message.data, question->message.len, message);
	if (status == STATUS_OK) {
		status = rpc_read(wire_root(*message), &envelope, &err);
	} else {
		error_set(&err, status, "the request could not be parsed");
	}
	if (status == STATUS_OK) {
		status = run(question, envelope.params, ticket, out, &err);
	}
	wire_close(own);

	/* In a lane the method may block, so there is no other place to run it again. */
	if (status == STATUS_AGAIN && ticket != NULL) {
		status = error_set(&err, STATUS_INTERNAL, "the method did not finish");
	}
	if (status != STATUS_OK || question->head.type == RPC_NOTIFICATION) {
		wire_writer_rewind(out, start);
	}
	if (status != STATUS_OK && status != STATUS_AGAIN) {
		answer_error(&question->head, &err, out, start);
	}
	return status;
}

void answer_error(const struct rpc_head *head, const struct error *err, struct wire_writer *out,
	size_t start)
{
	assert(err->status != STATUS_OK);
	wire_writer_rewind(out, start);
	out->limit = start + LIMIT_MESSAGE_BYTES;
	if (head->type == RPC_REQUEST) {
		rpc_write_error(out, head->msgid, err);
	}
}
