/* retrieve.c - the best items for some queries.
 *
 *   request -> reply -> lay_out, which runs twice: to count the bytes of the answer, and to copy it
 */
#include "client/search.h"

#include "client/client.h"
#include "client/field.h"
#include "client/keys.h"
#include "client/query.h"
#include "client/reserved.h"
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/limits.h"
#include "schema/metric.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(REP_INNER_PRODUCT == (int)METRIC_INNER_PRODUCT, "metric");
static_assert(REP_COSINE == (int)METRIC_COSINE, "metric");
static_assert(REP_L2 == (int)METRIC_L2, "metric");
static_assert(REP_TANIMOTO == (int)METRIC_TANIMOTO, "metric");
static_assert(REP_DICE == (int)METRIC_DICE, "metric");
static_assert(REP_HAMMING == (int)METRIC_HAMMING, "metric");

/* ---- the request ---- */

static enum status check(const struct rep_retrieval *asked, struct error *err)
{
	enum status status = asked->in == NULL ? error_set(err, STATUS_BAD_REQUEST, "in: no table")
					       : RESERVED_CHECK("rep_retrieval", asked, err);
	if (status == STATUS_OK) {
		status = query_check(&asked->query, err);
	}
	if (status == STATUS_OK && asked->tags_any != 0 && !asked->has_tags_any) {
		status = error_set(err, STATUS_BAD_REQUEST,
			"tags_any: given, has_tags_any goes with it");
	}
	if (status == STATUS_OK && asked->allow != NULL) {
		status = keys_check(asked->allow, err);
	}
	if (status == STATUS_OK && asked->deny != NULL) {
		status = keys_check(asked->deny, err);
	}
	return status;
}

static void write_uint(struct wire_writer *writer, const char *name, uint64_t value)
{
	if (value != 0) {
		wire_write_str(writer, name);
		wire_write_uint(writer, value);
	}
}

static void write_float(struct wire_writer *writer, const char *name, bool is_given, double value)
{
	if (is_given) {
		wire_write_str(writer, name);
		wire_write_float(writer, value);
	}
}

static void write_keys(struct wire_writer *writer, const char *name, const struct rep_keys *keys)
{
	if (keys != NULL) {
		wire_write_str(writer, name);
		keys_write(writer, keys, QUERY_KEY_LISTS);
	}
}

static void write_request(struct request *request, const char *release,
	const struct rep_retrieval *asked)
{
	const bool is_approximate = asked->approximate != 0;
	struct wire_writer *writer = request_begin_search(request, "retrieve",
		query_fields(&asked->query) + 1 + (size_t)(release != NULL) + (asked->k != 0) +
			(asked->metric != 0) + is_approximate + asked->has_min_score +
			(asked->allow != NULL) + (asked->deny != NULL) + asked->has_tags_any +
			(asked->tags_all != 0) + (asked->tags_none != 0) +
			(asked->with_count != 0));
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	wire_write_str(writer, "in");
	wire_write_str(writer, asked->in);
	query_write(writer, &asked->query);
	write_uint(writer, "k", asked->k);
	if (asked->metric != 0) {
		wire_write_str(writer, "metric");
		wire_write_str(writer, metric_name((enum metric)asked->metric));
	}
	write_float(writer, "approximate", is_approximate, asked->approximate);
	write_float(writer, "min_score", asked->has_min_score, (double)asked->min_score);
	write_keys(writer, "allow", asked->allow);
	write_keys(writer, "deny", asked->deny);
	if (asked->has_tags_any) {
		wire_write_str(writer, "tags_any");
		wire_write_uint(writer, asked->tags_any);
	}
	write_uint(writer, "tags_all", asked->tags_all);
	write_uint(writer, "tags_none", asked->tags_none);
	if (asked->with_count != 0) {
		wire_write_str(writer, "with");
		wire_write_array(writer, asked->with_count);
		for (size_t i = 0; i < asked->with_count; i++) {
			wire_write_str(writer, asked->with[i]);
		}
	}
}

enum status search_write(struct request *request, const char *release,
	const struct rep_retrieval *asked, struct error *err)
{
	const enum status status = check(asked, err);
	if (status == STATUS_OK) {
		write_request(request, release, asked);
		request->needs |= query_needs(&asked->query);
	}
	return status;
}

/* ---- the answer ---- */

/* Where the answer is copied to. With memory NULL its bytes are only counted. */
struct place {
	uint8_t *memory;
	size_t at;
};

static void *take(struct place *place, size_t bytes)
{
	void *out = place->memory == NULL ? NULL : place->memory + place->at;
	place->at += (bytes + 7) / 8 * 8;
	return out;
}

/* Returns NULL while bytes are only counted. */
static const void *copy(struct place *place, struct wire_bytes bytes)
{
	void *out = take(place, bytes.len);
	if (out != NULL) {
		memcpy(out, bytes.data, bytes.len);
	}
	return out;
}

static bool read_with(struct wire_value map, uint32_t n, struct place *place, struct rep_with *out)
{
	uint64_t dim = 0;
	uint64_t views = 0;
	uint64_t count = 0;
	struct wire_bytes dtype = {0};
	struct wire_bytes rows = {0};
	struct wire_bytes found = {0};
	struct wire_bytes scales = {0};
	if (!field_text(map, "table", out->table, sizeof out->table) ||
		!field_uint(map, "n", &count) || count != n || !field_uint(map, "dim", &dim) ||
		!field_uint(map, "views", &views) || !wire_str(wire_get(map, "dtype"), &dtype) ||
		!wire_bin(wire_get(map, "rows"), &rows) ||
		!wire_bin(wire_get(map, "found"), &found) || dim == 0 || dim > LIMIT_DIM ||
		views == 0 || views > LIMIT_VIEWS) {
		return false;
	}
	const enum dtype type = dtype_of_name((const char *)dtype.data, dtype.len);
	out->dim = (uint32_t)dim;
	out->views = (uint32_t)views;
	out->dtype = (enum rep_dtype)type;
	out->stride = dtype_row_bytes(type, out->dim, out->views);
	if (type == DTYPE_NONE || rows.len != n * out->stride || found.len != (n + 7u) / 8u) {
		return false;
	}
	if (type == DTYPE_I8 &&
		(!wire_bin(wire_get(map, "scales"), &scales) || scales.len != n * sizeof(float))) {
		return false;
	}
	out->rows = copy(place, rows);
	out->found = copy(place, found);
	out->scales = type == DTYPE_I8 ? copy(place, scales) : NULL;
	return true;
}

/* Reads n keys of the type that the answer names. */
static bool read_keys(struct wire_value map, uint32_t n, enum rep_key_type type,
	struct place *place, struct rep_keys *out)
{
	struct wire_bytes keys;
	uint32_t count = 0;
	if (!wire_bin(wire_get(map, "keys"), &keys) ||
		keys_count((enum key_type)type, keys.data, keys.len, &count, NULL) != STATUS_OK ||
		count != n) {
		return false;
	}
	*out = (struct rep_keys){
		.type = type,
		.count = n,
		.data = copy(place, keys),
		.bytes = keys.len,
	};
	return true;
}

static bool read_part(struct wire_value map, const struct rep_retrieval *asked,
	enum rep_key_type type, struct place *place, struct rep_hits *out)
{
	uint64_t n = 0;
	struct wire_bytes scores;
	const uint64_t most = asked->k == 0 ? LIMIT_TOP_K : asked->k;
	if (!field_uint(map, "n", &n) || n > most || !wire_bin(wire_get(map, "scores"), &scores) ||
		scores.len != n * sizeof(float) ||
		!read_keys(map, (uint32_t)n, type, place, &out->keys)) {
		return false;
	}
	out->n = (uint32_t)n;
	out->scores = copy(place, scores);
	out->with_count = asked->with_count;
	out->with = take(place, asked->with_count * sizeof *out->with);
	const struct wire_value list = wire_get(map, "with");
	if (wire_size(list) != asked->with_count) {
		return false;
	}
	for (size_t i = 0; i < asked->with_count; i++) {
		struct rep_with with = {.table = ""};
		if (!read_with(wire_item(list, i), out->n, place, &with)) {
			return false;
		}
		if (out->with != NULL) {
			out->with[i] = with;
		}
	}
	return true;
}

/* The type of the answer's keys; 0: it names none. */
static enum rep_key_type key_type_of(struct wire_value result)
{
	struct wire_bytes name = {0};
	(void)wire_str(wire_get(result, "key"), &name);
	return (enum rep_key_type)key_type_of_name((const char *)name.data, name.len);
}

static bool lay_out(struct wire_value result, const struct rep_retrieval *asked,
	struct place *place, struct rep_retrieved *out)
{
	const struct wire_value parts = wire_get(result, "parts");
	const uint32_t count = asked->query.keys.count;
	const enum rep_key_type type = key_type_of(result);
	struct wire_bytes defaulted;
	if (type == 0 || wire_type(parts) != WIRE_ARRAY || wire_size(parts) != count ||
		!query_read_defaulted(result, &asked->query, &defaulted)) {
		return false;
	}
	out->count = count;
	out->parts = take(place, count * sizeof *out->parts);
	for (uint32_t i = 0; i < count; i++) {
		struct rep_hits hits = {0};
		if (!read_part(wire_item(parts, i), asked, type, place, &hits)) {
			return false;
		}
		hits.is_defaulted =
			defaulted.data != NULL && (defaulted.data[i / 8] >> i % 8 & 1) != 0;
		if (out->parts != NULL) {
			out->parts[i] = hits;
		}
	}
	return true;
}

enum status search_read(struct wire_value result, const struct rep_retrieval *asked,
	struct rep_retrieved *out, struct error *err)
{
	struct place place = {0};
	struct rep_retrieved read = {.release = ""};
	const bool has_from = wire_type(wire_get(result, "from")) != WIRE_ABSENT;
	if (!field_text(result, "release", read.release, sizeof read.release) ||
		!field_uint(result, "sequence", &read.sequence) ||
		!field_text(result, "in", read.in, sizeof read.in) ||
		(has_from && !field_text(result, "from", read.from, sizeof read.from)) ||
		!wire_bool(wire_get(result, "exact"), &read.exact) ||
		!field_uint(result, "compared", &read.compared) ||
		!lay_out(result, asked, &place, &read)) {
		return error_set(err, STATUS_PROTOCOL, "retrieve: an answer of another shape");
	}
	read.by_rows = field_is(result, "calibrated", "rows");
	place.memory = malloc(place.at + 1);
	if (place.memory == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "retrieve: no memory for %zu bytes",
			place.at);
	}
	const size_t counted = place.at;
	place.at = 0;
	const bool laid_out = lay_out(result, asked, &place, &read);
	assert(laid_out && place.at == counted); /* the second run takes the same path */
	(void)laid_out;
	read.memory = place.memory;
	*out = read;
	return STATUS_OK;
}

enum rep_status rep_retrieve(rep_client *client, const char *release,
	const struct rep_retrieval *asked, struct rep_retrieved *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	enum status status = search_write(client_request(client), release, asked, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	status = client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = search_read(reply.result, asked, out, err);
		if (status == STATUS_PROTOCOL) {
			client_disconnect(client);
		}
	}
	reply_close(&reply);
	return (enum rep_status)status;
}

void rep_retrieved_free(struct rep_retrieved *retrieved)
{
	free(retrieved->memory);
	*retrieved = (struct rep_retrieved){.release = ""};
}
