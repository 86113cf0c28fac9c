/* layer_from.c - scans the sums of a layer's tables. */
#include "tools/command/layer_from.h"

#include "tools/command/scan_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One of the two tables, and the keys whose rows are looked for. */
struct side {
	const char *option;
	char table[LIMIT_TABLE_NAME_BYTES + 1];
	enum rep_entity entity;
	const struct cr_keys *keys;
	struct cr_start_side *rows;
	uint64_t late; /* rows */
};

/* Turns an error of the library into one of ours. */
static enum status failed(const struct rep_error *from, const char *release, struct error *err)
{
	return error_set(err, (enum status)from->status, "--from: release '%s': %s", release,
		from->text);
}

static enum status check_table(const struct layer_from *from, const struct side *side,
	const struct cr_layer *layer, const struct rep_table_spec *spec, struct error *err)
{
	const bool strings = side->keys->kind == 'S';
	if (spec->kind != REP_CR || spec->entity != side->entity) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--from: table '%s' is not of kind cr and of the samples' %s", side->table,
			side->option);
	}
	if ((spec->key_type == REP_KEY_BYTES) != strings) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--from: keys of table '%s' are %s, but --%s has %s", side->table,
			strings ? "integers" : "byte strings", side->option,
			strings ? "byte strings" : "integers");
	}
	if (spec->dim != layer->dim || spec->views != 1) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--from: table '%s' is %" PRIu32 " x %" PRIu32
			", but vectors of --layer %s have %" PRIu32 " elements",
			side->table, spec->views, spec->dim, layer->name.text, layer->dim);
	}
	if (spec->decay_events != from->spec->decay_events ||
		spec->half_life_ms != from->spec->half_life_ms) {
		return error_set(err, STATUS_BAD_REQUEST,
			"--from: table '%s' has decay events=%g and a half-life of %" PRIu64
			" ms (0: none), but --decay is events=%g and %" PRIu64 " ms",
			side->table, spec->decay_events, spec->half_life_ms,
			from->spec->decay_events, from->spec->half_life_ms);
	}
	return STATUS_OK;
}

/* Keeps the rows whose users or items are in the samples. */
static enum status take(struct side *side, const struct table_spec *spec,
	const struct rep_scan *scan, int64_t first_ms)
{
	const uint8_t *key = scan->keys.data;
	const bool strings = scan->keys.type == REP_KEY_BYTES;
	for (size_t i = 0; i < scan->keys.count; i++) {
		const size_t len = strings ? *key++ : sizeof(uint64_t);
		uint32_t number = 0;
		if (cr_keys_find(side->keys, key, len, &number)) {
			const uint8_t *sums = (const uint8_t *)scan->rows + i * scan->stride;
			side->late += scan->times[i] >= first_ms;
			if (cr_start_add(side->rows, spec, number, scan->times[i], sums,
				    scan->weights[i]) != STATUS_OK) {
				return STATUS_NO_MEMORY;
			}
		}
		key += len;
	}
	return STATUS_OK;
}

static enum status load_side(const struct layer_from *from, struct side *side,
	const struct cr_layer *layer, int64_t first_ms, struct error *err)
{
	rep_client *client = from->session->client;
	struct table_spec spec = *from->spec;
	struct rep_table table;
	struct rep_error why;
	spec.dim = layer->dim;
	if (rep_table_show(client, from->release, side->table, &table, &why) != REP_OK) {
		return failed(&why, from->release, err);
	}
	enum status status = check_table(from, side, layer, &table.spec, err);
	struct rep_scan scan = {.raw = true};
	scan.more = status == STATUS_OK;
	while (status == STATUS_OK && scan.more) {
		if (rep_scan_next(client, from->release, side->table, REP_F64,
			    scan_reply_rows(&table.spec), &scan, &why) != REP_OK) {
			status = failed(&why, from->release, err);
		} else if (take(side, &spec, &scan, first_ms) != STATUS_OK) {
			status =
				error_set(err, STATUS_NO_MEMORY, "no memory for '%s'", side->table);
		}
	}
	rep_scan_free(&scan);
	return status;
}

enum status layer_from_load(void *context, const struct cr_samples *samples,
	const struct cr_layer *layer, struct cr_start *out, struct error *err)
{
	const struct layer_from *from = context;
	struct side sides[2] = {
		{"users", "", REP_USER, &samples->user_keys, &out->users, 0},
		{"items", "", REP_ITEM, &samples->item_keys, &out->items, 0},
	};
	for (size_t i = 0; i < 2; i++) {
		snprintf(sides[i].table, sizeof sides[i].table, "cr_%s@%s",
			i == 0 ? "user" : "item", layer->name.text);
		enum status status = load_side(from, &sides[i], layer, samples->times_ms[0], err);
		if (status != STATUS_OK) {
			return status;
		}
		if (sides[i].late > 0) {
			return error_set(err, STATUS_CONFLICT,
				"--from: %" PRIu64 " rows of the samples' %s in table '%s' of "
				"release '%s' were updated at %" PRId64
				" or later, the time of the first sample; states from before it "
				"are allowed",
				sides[i].late, sides[i].option, sides[i].table, from->release,
				samples->times_ms[0]);
		}
	}
	return STATUS_OK;
}
