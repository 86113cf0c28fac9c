/* query_place.c - reads the release, the table of items and the metric of a search. */
#include "daemon/method/query/query_place.h"

#include <assert.h>

#include "daemon/method/call/call.h"
#include "daemon/method/call/service.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"

static enum metric read_metric(struct params *params)
{
	struct wire_bytes text = params_str(params, "metric", PARAM_OPTIONAL);
	if (params->status != STATUS_OK || text.data == NULL) {
		return METRIC_INNER_PRODUCT;
	}
	const enum metric metric = metric_of_name((const char *)text.data, text.len);
	if (metric == METRIC_NONE) {
		char quote[ERROR_QUOTE_BYTES];
		params_fail(params, STATUS_BAD_REQUEST, "metric", "'%s' given, %s expected",
			error_quote(quote, text.data, text.len), metric_names_text);
	}
	return metric;
}

static enum status find_items(struct query_place *place, struct params *params, const char *release,
	const char *in, const struct snapshot *snapshot)
{
	struct error *err = params->err;
	enum status status = snapshot_release(snapshot, release, &place->release, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (place->release->state == RELEASE_OPEN) {
		return error_set(err, STATUS_NOT_SEALED, "release '%s' is open, seal it first",
			place->release->id.text);
	}
	status = release_table(place->release, in, &place->at.items, err);
	if (status != STATUS_OK) {
		return error_set(err, status, "in: %s", err->text);
	}
	const struct table_spec *spec = &place->at.items->spec;
	if (metric_is_of_bits(place->at.metric) && spec->dtype != DTYPE_BIT) {
		params_fail(params, STATUS_BAD_REQUEST, "metric",
			"%s given, which compares bits, but table '%s' holds %s",
			metric_name(place->at.metric), spec->name.text, dtype_name(spec->dtype));
	}
	assert(place->at.metric != METRIC_NONE);
	return params->status;
}

enum status query_place_read(struct query_place *place, struct params *params, struct call *call,
	const struct snapshot *snapshot)
{
	struct name release;
	struct table_name in;
	*place = (struct query_place){
		.call = call,
		.at.visible = store_visible(call->service->store),
		.at.now_ms = clock_unix_ms(),
		.at.metric = read_metric(params),
	};
	params_name(params, "release", PARAM_OPTIONAL, &release);
	params_table_named(params, "in", &in);
	if (params->status != STATUS_OK) {
		return params->status;
	}
	return find_items(place, params, release.text[0] != '\0' ? release.text : NULL, in.text,
		snapshot);
}
