/* layer_list.c - layer.list: the extraction layers of a release. */
#include "daemon/method/methods.h"

#include <assert.h>
#include <string.h>

#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/release_asked.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/state/reader.h"
#include "schema/limits.h"

/* The layers of a release, each once, in the order of their first tables. */
static size_t list_layers(const struct release *release, const char *layers[LIMIT_TABLES])
{
	size_t count = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table_spec *spec = &release->tables[i]->spec;
		const char *layer = table_name_layer(&spec->name);
		size_t at = 0;
		while (spec_takes_samples(spec) && at < count && strcmp(layers[at], layer) != 0) {
			at++;
		}
		if (spec_takes_samples(spec) && at == count) {
			assert(count < LIMIT_TABLES);
			layers[count++] = layer;
		}
	}
	return count;
}

static void write_layer(struct wire_writer *out, const struct release *release, const char *layer)
{
	struct layer_shape shape;
	const enum status status = layer_find(release, layer, &shape, NULL);
	assert(status == STATUS_OK && shape.tables > 0); /* list_layers has found a table of it */
	wire_write_map(out, 5 + (shape.user_key != KEY_NONE ? 1u : 0u) +
				    (shape.item_key != KEY_NONE ? 1u : 0u));
	reply_str(out, "layer", layer);
	reply_flag(out, "chosen", strcmp(release->layer.text, layer) == 0);
	reply_uint(out, "dim", shape.dim);
	reply_uint(out, "views", shape.views);
	if (shape.user_key != KEY_NONE) {
		reply_str(out, "user_key", key_type_name(shape.user_key));
	}
	if (shape.item_key != KEY_NONE) {
		reply_str(out, "item_key", key_type_name(shape.item_key));
	}
	wire_write_str(out, "tables");
	wire_write_array(out, shape.tables);
	for (size_t i = 0; i < release->table_count; i++) {
		if (layer_has(release->tables[i], layer)) {
			wire_write_str(out, release->tables[i]->spec.name.text);
		}
	}
}

/* Each layer is compared with every table, twice; there is at most one for each table that
 * aggregates. */
static uint64_t list_cost(const struct release *release)
{
	enum { LAYER_ENTRIES = 8 };
	uint64_t layers = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		layers += spec_takes_samples(&release->tables[i]->spec);
	}
	return release->table_count * COST_TABLE_NS +
	       layers * ((uint64_t)LAYER_ENTRIES * COST_ENTRY_NS +
				2 * release->table_count * COST_TABLE_NS);
}

enum status layer_list_run(struct call *call)
{
	const struct snapshot *snapshot;
	const struct release *release;
	enum status status = release_asked(call, &snapshot, &release);
	if (status != STATUS_OK) {
		return status;
	}
	status = call_charge(call, COST_LIST, list_cost(release));
	if (status == STATUS_OK) {
		const char *layers[LIMIT_TABLES];
		const size_t count = list_layers(release, layers);
		wire_write_map(call->out, 2);
		reply_str(call->out, "release", release->id.text);
		wire_write_str(call->out, "layers");
		wire_write_array(call->out, count);
		for (size_t i = 0; i < count; i++) {
			write_layer(call->out, release, layers[i]);
		}
	}
	snapshot_end(call->service->store);
	return status == STATUS_OK ? reply_end(call) : status;
}
