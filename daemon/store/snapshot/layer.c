/* layer.c - which tables are of a layer, and whether they fit each other. */
#include "daemon/store/snapshot/layer.h"

#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static bool is_of(const struct table_spec *spec, const char *layer)
{
	const char *own = table_name_layer(&spec->name);
	return spec_takes_samples(spec) && own != NULL && strcmp(own, layer) == 0;
}

bool layer_has(const struct table *table, const char *layer)
{
	return is_of(&table->spec, layer);
}

static struct layer_shape shape_of(const struct release *release, const char *layer)
{
	struct layer_shape shape = {0};
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table_spec *spec = &release->tables[i]->spec;
		if (!is_of(spec, layer)) {
			continue;
		}
		shape.dim = spec->dim;
		shape.views = spec->views;
		shape.tables++;
		if (spec->entity == ENTITY_USER) {
			shape.user_key = spec->key_type;
		} else {
			shape.item_key = spec->key_type;
		}
	}
	assert(shape.tables <= release->table_count);
	return shape;
}

enum status layer_find(const struct release *release, const char *layer, struct layer_shape *out,
	struct error *err)
{
	const struct layer_shape shape = shape_of(release, layer);
	if (shape.tables == 0) {
		return error_set(err, STATUS_NOT_FOUND,
			"layer: no table of release '%s' aggregates '%s'", release->id.text, layer);
	}
	*out = shape;
	return STATUS_OK;
}

/* Positions are kept of a layer, and of a table with a history that is fed alone, by their names: no
 * such table may be called as a layer is. */
static enum status check_fed(const struct release *release, const struct table_spec *spec,
	struct error *err)
{
	const char *layer = spec_takes_samples(spec) ? table_name_layer(&spec->name) : NULL;
	for (size_t i = 0; i < release->table_count; i++) {
		const struct table_spec *other = &release->tables[i]->spec;
		const bool is_as_layer = spec->history != 0 && is_of(other, spec->name.text);
		const bool is_layer = layer != NULL && other->history != 0 &&
				      strcmp(other->name.text, layer) == 0;
		if (is_as_layer || is_layer) {
			return error_set(err, STATUS_BAD_REQUEST,
				"table: '%s' given, beside '%s'; a table with a history may not be "
				"called as a layer is, since positions are kept of both",
				spec->name.text, other->name.text);
		}
	}
	return STATUS_OK;
}

enum status layer_check_table(const struct release *release, const struct table_spec *spec,
	struct error *err)
{
	const enum status status = check_fed(release, spec, err);
	if (status != STATUS_OK || !spec_takes_samples(spec)) {
		return status;
	}
	const char *layer = table_name_layer(&spec->name);
	assert(layer != NULL); /* spec_read has seen to it */
	const struct layer_shape shape = shape_of(release, layer);
	if (shape.tables == 0) {
		return STATUS_OK;
	}
	if (shape.dim != spec->dim || shape.views != spec->views) {
		return error_set(err, STATUS_BAD_REQUEST,
			"dim: %" PRIu32 " of %" PRIu32 " views given, layer '%s' has %" PRIu32
			" of %" PRIu32 " views",
			spec->dim, spec->views, layer, shape.dim, shape.views);
	}
	const enum key_type key = spec->entity == ENTITY_USER ? shape.user_key : shape.item_key;
	if (key != KEY_NONE && key != spec->key_type) {
		return error_set(err, STATUS_BAD_REQUEST,
			"key: %s given, the other %s tables of layer '%s' have %s",
			key_type_name(spec->key_type), entity_name(spec->entity), layer,
			key_type_name(key));
	}
	return shape.tables < LIMIT_PARTS ? STATUS_OK
					  : error_set(err, STATUS_TOO_LARGE,
						    "table: layer '%s' has %zu, at most %u allowed",
						    layer, shape.tables, LIMIT_PARTS);
}

void layer_choose_first(struct release *release, const struct table_spec *spec)
{
	if (spec_takes_samples(spec) && release->layer.text[0] == '\0') {
		const char *layer = table_name_layer(&spec->name);
		const enum status status =
			name_check(layer, strlen(layer), "layer", &release->layer, NULL);
		assert(status == STATUS_OK); /* spec_read has checked it */
		(void)status;
	}
}
