/* public.c - the calls of repstore_async.h, each begun and taken. */
#include "client/async/async.h"
#include "client/call.h"
#include "client/client.h"
#include "client/fetch.h"
#include "client/search.h"
#include "client/write.h"

/* ---- begun ---- */

enum rep_status rep_async_fetch(rep_async *async, const char *release, const struct rep_part *parts,
	size_t count, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_FETCH, &call, err);
	if (status == STATUS_OK) {
		status = fetch_write(&async->request, release, parts, count, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_put_parts(rep_async *async, const char *release,
	const struct rep_put_part *parts, size_t count, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_WRITE, &call, err);
	if (status == STATUS_OK) {
		status = write_put(&async->request, release, parts, count, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_put(rep_async *async, const char *release, const char *table,
	const struct rep_rows *rows, uint64_t *ticket, struct rep_error *rep_err)
{
	const struct rep_put_part part = {.table = table, .rows = rows};
	return rep_async_put_parts(async, release, &part, 1, ticket, rep_err);
}

enum rep_status rep_async_delete(rep_async *async, const char *release, const char *table,
	struct rep_keys keys, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_WRITE, &call, err);
	if (status == STATUS_OK) {
		status = write_delete(&async->request, release, table, &keys, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_observe(rep_async *async, const char *release,
	const struct rep_samples *samples, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_WRITE, &call, err);
	if (status == STATUS_OK) {
		status = write_observe(&async->request, release, samples, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_append(rep_async *async, const char *release,
	const struct rep_vectors *vectors, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_WRITE, &call, err);
	if (status == STATUS_OK) {
		status = write_append(&async->request, release, vectors, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_retrieve(rep_async *async, const char *release,
	const struct rep_retrieval *asked, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_RETRIEVE, &call, err);
	if (status == STATUS_OK) {
		status = search_write(&async->request, release, asked, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_score(rep_async *async, const char *release,
	const struct rep_scoring *scoring, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_SCORE, &call, err);
	if (status == STATUS_OK) {
		status = score_write(&async->request, release, scoring, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

enum rep_status rep_async_call(rep_async *async, const char *method, const void *params,
	size_t params_len, uint64_t *ticket, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_call *call = NULL;
	enum status status = async_begin(async, CALL_ANY, &call, err);
	if (status == STATUS_OK) {
		call->is_read = call_changes_nothing(method);
		status = call_write(&async->request, method, params, params_len, err);
	}
	return (enum rep_status)async_commit(async, call, status, ticket, err);
}

/* ---- taken ---- */

enum rep_status rep_async_fetched(rep_async *async, uint64_t ticket, struct rep_part *parts,
	size_t count, struct rep_fetched *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_reply reply;
	enum status status = async_take(async, ticket, CALL_FETCH, &reply, err);
	if (status == STATUS_OK) {
		const struct fetch_answer answer = {.result = reply.result};
		status = async_taken(async, &reply, fetch_read(&answer, parts, count, out, err));
	}
	return (enum rep_status)status;
}

enum rep_status rep_async_written(rep_async *async, uint64_t ticket, struct rep_written *out,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_reply reply;
	enum status status = async_take(async, ticket, CALL_WRITE, &reply, err);
	if (status == STATUS_OK) {
		status = async_taken(async, &reply, write_read(reply.result, out, err));
	}
	return (enum rep_status)status;
}

enum rep_status rep_async_retrieved(rep_async *async, uint64_t ticket,
	const struct rep_retrieval *asked, struct rep_retrieved *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_reply reply;
	enum status status = async_take(async, ticket, CALL_RETRIEVE, &reply, err);
	if (status == STATUS_OK) {
		status = async_taken(async, &reply, search_read(reply.result, asked, out, err));
	}
	return (enum rep_status)status;
}

enum rep_status rep_async_scored(rep_async *async, uint64_t ticket,
	const struct rep_scoring *scoring, struct rep_fetched *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_reply reply;
	enum status status = async_take(async, ticket, CALL_SCORE, &reply, err);
	if (status == STATUS_OK) {
		status = async_taken(async, &reply, score_read(reply.result, scoring, out, err));
	}
	return (enum rep_status)status;
}

enum rep_status rep_async_called(rep_async *async, uint64_t ticket, void **result,
	size_t *result_len, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct async_reply reply;
	enum status status = async_take(async, ticket, CALL_ANY, &reply, err);
	if (status == STATUS_OK) {
		status =
			async_taken(async, &reply, call_read(reply.bytes, result, result_len, err));
	}
	return (enum rep_status)status;
}
