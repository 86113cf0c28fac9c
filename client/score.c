/* score.c - scores of named items for some queries. */
#include "client/search.h"

#include "client/client.h"
#include "client/field.h"
#include "client/keys.h"
#include "client/query.h"
#include "client/reserved.h"
#include "schema/metric.h"

#include <string.h>

static void write_request(struct request *request, const char *release,
	const struct rep_scoring *score)
{
	struct wire_writer *writer = request_begin_search(request, "score",
		query_fields(&score->query) + 2 + (release != NULL ? 1u : 0u) +
			(score->metric != 0 ? 1u : 0u));
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	if (score->metric != 0) {
		wire_write_str(writer, "metric");
		wire_write_str(writer, metric_name((enum metric)score->metric));
	}
	wire_write_str(writer, "in");
	wire_write_str(writer, score->in);
	query_write(writer, &score->query);
	wire_write_str(writer, "keys");
	keys_write(writer, &score->keys, QUERY_KEY_LISTS);
}

enum status score_write(struct request *request, const char *release,
	const struct rep_scoring *score, struct error *err)
{
	enum status status = score->in == NULL ? error_set(err, STATUS_BAD_REQUEST, "in: no table")
					       : RESERVED_CHECK("rep_scoring", score, err);
	if (status == STATUS_OK) {
		status = query_check(&score->query, err);
	}
	if (status == STATUS_OK) {
		status = keys_check(&score->keys, err);
	}
	if (status == STATUS_OK) {
		write_request(request, release, score);
		request->needs |= query_needs(&score->query);
	}
	return status;
}

enum status score_read(struct wire_value result, const struct rep_scoring *score,
	struct rep_fetched *out, struct error *err)
{
	struct rep_fetched fetched = {0};
	struct wire_bytes found = {0};
	struct wire_bytes defaulted = {0};
	const struct wire_value parts = wire_get(result, "parts");
	const uint32_t n = score->keys.count;
	const uint32_t queries = score->query.keys.count;
	bool is_read = field_text(result, "release", fetched.release, sizeof fetched.release) &&
		       field_uint(result, "sequence", &fetched.sequence) &&
		       wire_bin(wire_get(result, "found"), &found) && found.len == (n + 7u) / 8u &&
		       wire_type(parts) == WIRE_ARRAY && wire_size(parts) == queries &&
		       query_read_defaulted(result, &score->query, &defaulted);
	for (uint32_t i = 0; is_read && i < queries; i++) {
		struct wire_bytes scores;
		is_read = wire_bin(wire_get(wire_item(parts, i), "scores"), &scores) &&
			  scores.len == n * sizeof(float);
		if (is_read) {
			memcpy(score->scores + (size_t)i * n, scores.data, scores.len);
		}
	}
	if (!is_read) {
		return error_set(err, STATUS_PROTOCOL, "score: an answer of another shape");
	}
	if (score->found != NULL) {
		memcpy(score->found, found.data, found.len);
	}
	if (score->defaulted != NULL) {
		memset(score->defaulted, 0, (queries + 7u) / 8u);
		if (defaulted.len > 0) {
			memcpy(score->defaulted, defaulted.data, defaulted.len);
		}
	}
	if (out != NULL) {
		*out = fetched;
	}
	return STATUS_OK;
}

enum rep_status rep_score(rep_client *client, const char *release,
	const struct rep_scoring *scoring, struct rep_fetched *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	enum status status = score_write(client_request(client), release, scoring, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	status = client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = score_read(reply.result, scoring, out, err);
		if (status == STATUS_OK && out != NULL) {
			out->lag_ms = reply.lag_ms;
		}
		if (status == STATUS_PROTOCOL) {
			client_disconnect(client);
		}
	}
	reply_close(&reply);
	return (enum rep_status)status;
}
