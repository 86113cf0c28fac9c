/* given_query.c - finds the rows or takes them from the request, runs them through the stored layers,
 * and compares their shape with that of the items. */
#include "daemon/method/query/given_query.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/given_missing.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/query/given_chain.h"
#include "daemon/method/query/given_places.h"
#include "daemon/method/query/given_weights.h"
#include "daemon/search/expect.h"
#include "schema/limits.h"

/* A value is checked, converted, and copied for the search: 1 measured. */
enum { QUERY_VALUE_NS = 2 };

const char *const query_names[] = {"table", "keys", "max_age_ms", "missing", "history_half_life_ms",
	"dim", "views", "dtype", "rows", "scales", NULL};

/* The rows before they go through the stored layers. */
struct rows_in {
	struct params from;
	const struct query_place *place;
	struct given_query *of;
	struct through *through; /* owned; NULL: none */
	enum dtype dtype;        /* the dtype that the search needs: f32 or bit */
	uint32_t dim;
	uint32_t views;
	uint64_t half_life_ms; /* of the weights of a history's vectors; 0: they have none */
};

static struct error *error_of(const struct rows_in *in)
{
	return &in->place->call->error;
}

static enum dtype wanted_dtype(const struct query_place *place)
{
	return metric_is_of_bits(place->at.metric) ? DTYPE_BIT : DTYPE_F32;
}

/* ---- what it costs ---- */

/* Charges the call for converting the queries, and for taking them through the stored layers. Their
 * shape is known. */
static enum status charge_values(const struct rows_in *in)
{
	struct call *call = in->place->call;
	const uint64_t count = in->of->query.count;
	enum status status =
		call_charge(call, COST_QUERIES, count * in->dim * in->views * QUERY_VALUE_NS);
	if (status == STATUS_OK && in->through != NULL) {
		status = call_charge(call, COST_LAYERS,
			expect_work_ns(through_work(in->through, count)));
	}
	return status;
}

/* ---- the shape ---- */

/* The vectors that leave the layers, or the rows if there is no layer, must have the dim of the
 * items. */
static enum status settle_shape(struct rows_in *in)
{
	struct given_query *of = in->of;
	const struct table_spec *items = &in->place->at.items->spec;
	of->query.dim = in->through == NULL ? in->dim : through_dim(in->through);
	of->query.parts = in->through == NULL ? in->views : 1;
	if (of->query.dim != items->dim) {
		return error_set(error_of(in), STATUS_BAD_REQUEST,
			"%s: [%" PRIu32 ", %" PRIu32 "] a query, but table '%s' holds [%" PRIu32
			", %" PRIu32 "]: as many values a vector expected",
			in->through == NULL ? "from" : "through", of->query.parts, of->query.dim,
			items->name.text, spec_row_views(items), items->dim);
	}
	if ((uint64_t)of->query.count * of->query.parts > LIMIT_QUERY_VECTORS) {
		return error_set(error_of(in), STATUS_TOO_LARGE,
			"from: %" PRIu32 " queries of %" PRIu32
			" vectors given, %u vectors together allowed",
			of->query.count, of->query.parts, LIMIT_QUERY_VECTORS);
	}
	const uint64_t bytes = of->query.count *
			       (uint64_t)dtype_row_bytes(in->dtype, of->query.dim, of->query.parts);
	if (bytes > LIMIT_QUERY_BYTES) {
		return error_set(error_of(in), STATUS_TOO_LARGE,
			"from: queries of %" PRIu64 " bytes together, at most %u allowed", bytes,
			LIMIT_QUERY_BYTES);
	}
	of->vectors = malloc(bytes);
	of->query.vectors = of->vectors;
	return of->vectors != NULL ? STATUS_OK
				   : error_set(error_of(in), STATUS_NO_MEMORY, "from: no memory");
}

static enum status read_through(struct rows_in *in, struct params *params)
{
	struct wire_value steps = params_value(params, "through", PARAM_OPTIONAL);
	if (params->status != STATUS_OK || steps.object == NULL) {
		return params->status;
	}
	if (in->of->table != NULL && in->of->table->spec.history != 0) {
		params_fail(params, STATUS_BAD_REQUEST, "through",
			"given, but table '%s' has histories, whose rows are many vectors",
			in->of->table->spec.name.text);
		return params->status;
	}
	if (in->dtype == DTYPE_BIT) {
		params_fail(params, STATUS_BAD_REQUEST, "through",
			"given, but metric %s compares bits", metric_name(in->place->at.metric));
		return params->status;
	}
	const struct through_place place = {
		.store = in->place->call->service->store,
		.release = in->place->release,
		.width = (uint64_t)in->dim * in->views,
		.where = "",
		.may_block = in->place->call->may_block,
		.stop = call_stop(in->place->call),
	};
	return given_chain_read(steps, &place, &in->through, error_of(in));
}

static enum status check_count(struct rows_in *in, uint64_t count, const char *name)
{
	if (count == 0 || count > LIMIT_QUERIES) {
		params_fail(&in->from, count == 0 ? STATUS_BAD_REQUEST : STATUS_TOO_LARGE, name,
			"%" PRIu64 " queries given, 1..%u allowed", count, LIMIT_QUERIES);
	}
	in->of->query.count = (uint32_t)count;
	return in->from.status;
}

/* ---- rows of a table ---- */

static const char *why_text(enum why why)
{
	switch (why) {
	case WHY_EXPIRED:
		return "it has expired";
	case WHY_TOO_OLD:
		return "it is older than max_age_ms";
	case WHY_FOUND:
	case WHY_ABSENT:
	case WHY_CORRUPT:
	case WHY_DEFAULTED: /* an answer, not a reason */
	case WHY_COUNT:
		break;
	}
	return "there is none";
}

static enum status look_up(struct rows_in *in, struct lookup *lookup)
{
	uint8_t found[(LIMIT_QUERIES + 7) / 8];
	uint8_t why[LIMIT_QUERIES];
	struct error *err = error_of(in);
	assert(lookup->keys.count == in->of->query.count && lookup->keys.count <= LIMIT_QUERIES);
	lookup->found = found;
	lookup->why = why;
	lookup->rows = in->of->vectors;
	lookup->defaults = in->of->defaults;
	if (in->of->places != NULL) {
		lookup->history_counts = (uint8_t *)in->of->places->counts;
		lookup->history_times = (uint8_t *)in->of->places->times;
	}
	const enum status status = in->through == NULL ? table_lookup(lookup, err)
						       : through_lookup(in->through, lookup, err);
	if (status != STATUS_OK) {
		return status;
	}
	for (uint32_t i = 0; i < lookup->keys.count; i++) {
		char key[ERROR_QUOTE_BYTES];
		keys_print(&lookup->keys, i, key, sizeof key);
		if (why[i] == WHY_CORRUPT) {
			return error_set(err, STATUS_CORRUPT,
				"from: table '%s': the segment of key %s is damaged",
				lookup->table->spec.name.text, key);
		}
		if (why[i] == WHY_DEFAULTED) {
			in->of->defaulted[i / 8] |= (uint8_t)(1u << i % 8);
		} else if (why[i] != WHY_FOUND) {
			return error_set(err, STATUS_NOT_FOUND,
				"from: table '%s' has no row of key %s: %s",
				lookup->table->spec.name.text, key, why_text((enum why)why[i]));
		}
	}
	return STATUS_OK;
}

static enum status find_rows(struct rows_in *in, struct params *params, struct given_keys *keys)
{
	const struct query_place *place = in->place;
	const struct table_spec *spec = &in->of->table->spec;
	struct lookup lookup = {
		.table = in->of->table,
		.dtype = in->dtype,
		.visible = place->at.visible,
		.now_ms = place->at.now_ms,
		.may_block = place->call->may_block,
		.stop = call_stop(place->call),
	};
	lookup.has_max_age = params_uint_given(&in->from, "max_age_ms", &lookup.max_age_ms);
	in->of->defaults = given_missing_is_default(&in->from, spec, "refuse");
	in->half_life_ms =
		given_places_half_life(&in->from, "history_half_life_ms", spec->history != 0);
	if (in->from.status != STATUS_OK) {
		return in->from.status;
	}
	in->dim = spec->dim;
	in->views = spec_row_views(spec);
	enum status status = check_count(in, keys->batch.count, "keys");
	if (status == STATUS_OK && !dtype_convertible(spec->dtype, in->dtype)) {
		status = error_set(error_of(in), STATUS_BAD_REQUEST,
			"from: table '%s' holds %s, but metric %s compares bits", spec->name.text,
			dtype_name(spec->dtype), metric_name(place->at.metric));
	}
	if (status == STATUS_OK) {
		status = read_through(in, params);
	}
	if (status == STATUS_OK) {
		status = charge_values(in);
	}
	if (status == STATUS_OK) {
		status = call_charge(place->call, COST_ROWS,
			expect_rows_ns(in->of->table, in->dtype, in->of->query.count));
	}
	if (status == STATUS_OK) {
		status = settle_shape(in);
	}
	if (status == STATUS_OK) {
		status = given_keys_pack(keys, error_of(in));
	}
	lookup.keys = keys->batch;
	if (status == STATUS_OK && spec->history != 0) {
		in->of->places = given_places_open(spec, in->of->query.count);
		status = in->of->places != NULL
				 ? STATUS_OK
				 : error_set(error_of(in), STATUS_NO_MEMORY, "from: no memory");
	}
	if (status == STATUS_OK) {
		status = look_up(in, &lookup);
	}
	if (status == STATUS_OK && in->of->places != NULL) {
		given_places_weigh(in->of->places, spec, in->half_life_ms, in->of->vectors,
			&in->of->query);
	}
	return status;
}

static enum status read_found(struct rows_in *in, struct params *params)
{
	struct given_keys keys = {0};
	struct table_name name;
	struct error *err = error_of(in);
	params_table(&in->from, &name);
	struct wire_value given = params_value(&in->from, "keys", PARAM_REQUIRED);
	enum status status = in->from.status;
	if (status == STATUS_OK) {
		status = release_table(in->place->release, name.text, &in->of->table, err);
		if (status != STATUS_OK) {
			return error_set(err, status, "from.table: %s", err->text);
		}
		status = call_charge(in->place->call, COST_KEYS,
			given_keys_cost(given, in->of->table->spec.key_type));
	}
	if (status == STATUS_OK) {
		status = given_keys_begin(&keys, given, in->of->table->spec.key_type, "from.", err);
	}
	if (status == STATUS_OK) {
		status = find_rows(in, params, &keys);
	}
	given_keys_fini(&keys);
	return status;
}

/* ---- rows that were sent ---- */

/* Converts the rows and runs them through the layers; the result is in of->vectors. */
static enum status convert(struct rows_in *in, const struct dtype_rows *given)
{
	struct given_query *of = in->of;
	assert(of->query.count > 0 && of->vectors != NULL);
	if (in->through == NULL) {
		const struct dtype_rows to = {.dtype = in->dtype, .rows = of->vectors};
		dtype_convert(&to, given, of->query.count, in->dim, in->views);
		return STATUS_OK;
	}
	float *rows = malloc(of->query.count * dtype_row_bytes(DTYPE_F32, in->dim, in->views));
	if (rows == NULL) {
		return error_set(error_of(in), STATUS_NO_MEMORY, "from: no memory");
	}
	const struct dtype_rows to = {.dtype = DTYPE_F32, .rows = rows};
	dtype_convert(&to, given, of->query.count, in->dim, in->views);
	const enum status status =
		through_rows(in->through, rows, of->query.count, of->vectors, error_of(in));
	free(rows);
	return status;
}

static uint32_t read_size(struct params *from, const char *name, uint64_t value, uint32_t limit)
{
	if (from->status == STATUS_OK && (value == 0 || value > limit)) {
		params_fail(from, STATUS_BAD_REQUEST, name,
			"%" PRIu64 " given, 1..%" PRIu32 " allowed", value, limit);
	}
	return (uint32_t)value;
}

static void check_finite(struct rows_in *in, const struct dtype_rows *given)
{
	const bool is_i8 = given->dtype == DTYPE_I8;
	const size_t each = is_i8 ? 1 : (size_t)in->dim * in->views;
	const size_t count = in->of->query.count * each;
	const size_t first =
		dtype_first_nonfinite(given->dtype, is_i8 ? given->scales : given->rows, count);
	if (given->dtype != DTYPE_BIT && first < count) {
		params_fail(&in->from, STATUS_BAD_REQUEST, is_i8 ? "scales" : "rows",
			"query %zu is not finite", first / each);
	}
}

static void read_rows(struct rows_in *in, struct dtype_rows *given)
{
	struct params *from = &in->from;
	given->dtype = params_dtype(from, in->dtype);
	in->dim = read_size(from, "dim", params_uint(from, "dim"), LIMIT_DIM);
	in->views = read_size(from, "views", params_uint_or(from, "views", 1), LIMIT_VIEWS);
	struct wire_bytes rows = params_bin(from, "rows", PARAM_REQUIRED);
	if (from->status != STATUS_OK) {
		return;
	}
	if (!dtype_convertible(given->dtype, in->dtype)) {
		params_fail(from, STATUS_BAD_REQUEST, "dtype",
			"%s given, but metric %s compares bits", dtype_name(given->dtype),
			metric_name(in->place->at.metric));
		return;
	}
	if ((uint64_t)in->dim * in->views > LIMIT_QUERY_BYTES / sizeof(float)) {
		params_fail(from, STATUS_TOO_LARGE, "dim",
			"%" PRIu32 " views of %" PRIu32 " values given, %zu values allowed",
			in->views, in->dim, LIMIT_QUERY_BYTES / sizeof(float));
		return;
	}
	const size_t row_bytes = dtype_row_bytes(given->dtype, in->dim, in->views);
	if (rows.len % row_bytes != 0) {
		params_fail(from, STATUS_BAD_REQUEST, "rows",
			"%zu bytes given, a multiple of %zu expected: [%" PRIu32 ", %" PRIu32
			"] %s each",
			rows.len, row_bytes, in->views, in->dim, dtype_name(given->dtype));
		return;
	}
	given->rows = (void *)rows.data;
	if (check_count(in, rows.len / row_bytes, "rows") != STATUS_OK) {
		return;
	}
	given->scales = (void *)params_column(from, "scales", in->of->query.count * sizeof(float));
	if ((given->dtype == DTYPE_I8) != (given->scales != NULL)) {
		params_fail(from, STATUS_BAD_REQUEST, "scales", "%s, dtype is %s",
			given->scales == NULL ? "missing" : "given", dtype_name(given->dtype));
	}
}

static enum status read_sent(struct rows_in *in, struct params *params)
{
	struct dtype_rows given = {0};
	read_rows(in, &given);
	enum status status = in->from.status;
	if (status == STATUS_OK) {
		status = read_through(in, params);
	}
	if (status == STATUS_OK) {
		status = charge_values(in);
	}
	if (status == STATUS_OK) {
		check_finite(in, &given);
		status = in->from.status;
	}
	if (status == STATUS_OK) {
		status = settle_shape(in);
	}
	return status == STATUS_OK ? convert(in, &given) : status;
}

/* Vectors of two checkpoints do not fit each other. So a request that sends vectors must name the
 * release that they were made for. */
static enum status check_release(struct params *params)
{
	struct wire_bytes release = params_str(params, "release", PARAM_OPTIONAL);
	const bool is_named = release.data != NULL && release.len > 0 &&
			      !(release.len == 4 && memcmp(release.data, "live", 4) == 0);
	if (!is_named) {
		params_fail(params, STATUS_BAD_REQUEST, "release",
			"missing: vectors in from.rows name the release that they were made by");
	}
	return params->status;
}

/* ---- the whole request ---- */

enum status given_query_read(struct given_query *of, struct params *params,
	const struct query_place *place)
{
	struct rows_in in = {.place = place, .of = of, .dtype = wanted_dtype(place)};
	*of = (struct given_query){0};
	struct wire_value map = params_value(params, "from", PARAM_REQUIRED);
	if (params->status != STATUS_OK) {
		return params->status;
	}
	params_begin(&in.from, map, "from.", query_names, error_of(&in));
	const bool is_found = wire_get(map, "table").object != NULL;
	static const char *const of_sent[] = {"dim", "views", "dtype", "rows", "scales", NULL};
	static const char *const of_found[] = {"keys", "max_age_ms", "missing",
		"history_half_life_ms", NULL};
	for (const char *const *name = is_found ? of_sent : of_found; *name != NULL; name++) {
		if (wire_get(map, *name).object != NULL) {
			params_fail(&in.from, STATUS_BAD_REQUEST, *name, "given %s from.table",
				is_found ? "beside" : "without");
		}
	}
	enum status status = in.from.status;
	if (status == STATUS_OK && !is_found) {
		status = check_release(params);
	}
	if (status == STATUS_OK) {
		status = is_found ? read_found(&in, params) : read_sent(&in, params);
	}
	through_free(in.through);
	/* search_begin and score.c rely on this. */
	assert(status != STATUS_OK ||
		(of->query.dim == place->at.items->spec.dim && of->query.parts > 0 &&
			of->query.count > 0 && of->query.vectors != NULL));
	return status == STATUS_OK ? given_weights_read(of, params) : status;
}

unsigned given_query_reply_fields(const struct given_query *of)
{
	return of->defaults ? 1 : 0;
}

void given_query_reply(const struct given_query *of, struct wire_writer *out)
{
	if (of->defaults) {
		reply_bin(out, "defaulted", of->defaulted, (of->query.count + 7) / 8);
	}
}

void given_query_fini(struct given_query *of)
{
	free(of->vectors);
	free(of->weights);
	given_places_close(of->places);
	*of = (struct given_query){0};
}
