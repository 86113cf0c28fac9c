/* direct.c - dispatch, loop and lane on one thread. */
#include "tests/fuzz/dispatch/direct.h"

#include "daemon/access/identity.h"
#include "daemon/method/call/answer.h"
#include "daemon/method/call/method.h"
#include "daemon/store/system/clock.h"
#include "tests/fuzz/dispatch/world.h"

#include <pthread.h>
#include <stdatomic.h>

/* How a write ended, which the commit thread tells. */
struct written {
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool is_over;
	enum status status;
	struct error error;
};

static void on_written(void *arg, enum status status, const struct error *err)
{
	struct written *written = arg;
	pthread_mutex_lock(&written->lock);
	written->is_over = true;
	written->status = status;
	if (status != STATUS_OK) {
		written->error = *err;
	}
	pthread_cond_signal(&written->told);
	pthread_mutex_unlock(&written->lock);
}

/* Waits until the write is durable. Errors: as err says. */
static enum status await_write(struct write_ticket *ticket, struct error *err)
{
	struct written written = {.is_over = false};
	pthread_mutex_init(&written.lock, NULL);
	pthread_cond_init(&written.told, NULL);
	method_write_then(ticket, on_written, &written);
	pthread_mutex_lock(&written.lock);
	while (!written.is_over) {
		pthread_cond_wait(&written.told, &written.lock);
	}
	pthread_mutex_unlock(&written.lock);
	pthread_cond_destroy(&written.told);
	pthread_mutex_destroy(&written.lock);
	*err = written.error;
	return written.status;
}

/* Where it may block. */
static void run_in_lane(struct question *question, struct wire_writer *out, size_t start)
{
	static atomic_bool never;
	struct write_ticket *ticket = NULL;
	struct error err = {.status = STATUS_OK};
	question->parsed = NULL;
	question->turn_ns = 0;
	question->stop = (struct stop){
		.gone = &never,
		.cut = &never,
		.read_ms = (uint64_t)clock_monotonic_ms(),
	};
	enum status status = answer_run(question, &ticket, out);
	REQUIRE(status != STATUS_AGAIN);
	REQUIRE(ticket == NULL || question->method->place == METHOD_WRITE);
	enum status after = STATUS_OK;
	if (ticket != NULL) {
		after = await_write(ticket, &err);
	} else if (question->method->place == METHOD_LOAD) {
		after = method_load_sync(question->service, &err);
	}
	if (after != STATUS_OK && status == STATUS_OK) {
		err.status = after;
		answer_error(&question->head, &err, out, start);
	}
}

bool direct_run(const struct direct *direct, const uint8_t *data, size_t len,
	struct wire_writer *out)
{
	struct wire_message *parsed = NULL;
	static const struct peer_identity somebody = {.kind = IDENTITY_LOOPBACK};
	struct wire_skim skim = {0};
	struct question question = {
		.service = direct->service,
		.message = {.data = data, .len = len},
		.peer = &somebody,
		.roles = direct->roles,
		.parsed = &parsed,
	};
	if (wire_skim(&skim, data, len) != STATUS_OK || skim.at != len ||
		rpc_head_read(data, len, &question.head) != RPC_HEAD_WHOLE) {
		return false;
	}
	const struct wire_bytes name = question.head.method;
	question.method = method_find((const char *)name.data, name.len);
	question.elements = skim.elements;
	if (question.method == NULL || (direct->roles & (unsigned)question.method->role) == 0) {
		return false;
	}
	const enum method_place place = question.method->place;
	const size_t start = out->len;
	enum status status = STATUS_AGAIN;
	if (place == METHOD_INLINE || place == METHOD_SEARCH) {
		status = answer_run(&question, NULL, out);
		REQUIRE(status != STATUS_AGAIN || out->len == start);
	}
	if (status == STATUS_AGAIN) {
		run_in_lane(&question, out, start);
	}
	REQUIRE(out->status == STATUS_OK);
	wire_close(parsed);
	return true;
}
