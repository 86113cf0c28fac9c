/* features_from.c - lists the tables of layers, and fetches sums, weights and times of keys. */
#include "tools/command/features_from.h"

#include "tools/evaluation/cr_states.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of sums that are fetched at once, about. */
enum { REPLY_BYTES = 4 << 20 };

/* ---- tables ---- */

/* The number of the layer that a table is of; `count`: of none of them. */
static size_t layer_of(const char *table, const char *const *layers, size_t count)
{
	const char *name = strchr(table, '@');
	for (size_t i = 0; name != NULL && i < count; i++) {
		const size_t len = strcspn(layers[i], "=");
		if (strncmp(name + 1, layers[i], len) == 0 && name[1 + len] == '\0') {
			return i;
		}
	}
	return count;
}

static struct training_table table_of(const struct rep_table_spec *spec, size_t layer)
{
	struct training_table table = {
		.layer = layer,
		.spec = {.entity = spec->entity == REP_USER ? ENTITY_USER : ENTITY_ITEM,
			.kind = KIND_CR,
			.dtype = DTYPE_F32,
			.key_type = spec->key_type == REP_KEY_BYTES ? KEY_BYTES : KEY_U64,
			.dim = spec->dim,
			.views = spec->views,
			.decay_events = spec->decay_events,
			.half_life_ms = spec->half_life_ms,
			.state = (enum state_kind)spec->state,
			.reading = (enum reading)spec->reading},
	};
	static_assert((int)STATE_F32X2 == (int)REP_STATE_F32X2 &&
			      (int)READING_LAYER_NORM == (int)REP_LAYER_NORM,
		"the numbers of the library are those of specs");
	memcpy(table.spec.name.text, spec->name, strlen(spec->name) + 1);
	return table;
}

static int check_layers(const struct session *session, const struct features_from *from,
	const char *const *layers, size_t layer_count, const bool *seen)
{
	for (size_t i = 0; i < layer_count; i++) {
		if (!seen[i]) {
			return session_refuse_text(session, STATUS_NOT_FOUND,
				"--from: no table of release '%s' aggregates layer '%.*s'",
				from->release, (int)strcspn(layers[i], "="), layers[i]);
		}
	}
	return EXIT_DONE;
}

static int list_tables(struct features_from *from, const char *const *layers, size_t layer_count)
{
	struct rep_table *list = NULL;
	size_t listed = 0;
	struct rep_error why;
	bool *seen = calloc(layer_count, sizeof *seen);
	if (seen == NULL) {
		return session_refuse_text(from->session, STATUS_NO_MEMORY, "no memory for layers");
	}
	if (rep_table_list(from->session->client, from->release, &list, &listed, &why) != REP_OK) {
		free(seen);
		return session_refuse(from->session, &why);
	}
	for (size_t i = 0; i < listed && from->table_count < FEATURES_FROM_TABLES_MAX; i++) {
		const size_t layer = layer_of(list[i].spec.name, layers, layer_count);
		/* A history sums nothing up. */
		if (list[i].spec.kind == REP_CR && list[i].spec.history == 0 &&
			layer < layer_count) {
			from->tables[from->table_count++] = table_of(&list[i].spec, layer);
			seen[layer] = true;
		}
	}
	const int status = check_layers(from->session, from, layers, layer_count, seen);
	free(seen);
	free(list);
	return status;
}

int features_from_open(struct session *session, const char *release, const char *const *layers,
	size_t layer_count, struct features_from *out)
{
	struct rep_release found;
	struct rep_error why;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, release, &found, &why) != REP_OK) {
		return session_refuse(session, &why);
	}
	out->session = session;
	out->table_count = 0;
	memcpy(out->release, found.id, sizeof out->release);
	return list_tables(out, layers, layer_count);
}

void features_from_close(struct features_from *from)
{
	buffer_fini(&from->keys);
	buffer_fini(&from->sums);
	buffer_fini(&from->columns);
}

/* ---- states ---- */

/* Packs keys [first, first + count); strings lose what they are padded with. */
static enum status pack(struct features_from *from, const struct training_keys *keys,
	uint32_t first, uint32_t count)
{
	enum status status = STATUS_OK;
	from->keys.len = 0;
	for (uint32_t i = first; i < first + count && status == STATUS_OK; i++) {
		const uint8_t *key = keys->keys + (size_t)i * keys->key_bytes;
		size_t len = keys->key_bytes;
		while (keys->strings && len > 1 && key[len - 1] == 0) {
			len--;
		}
		const uint8_t packed_len = (uint8_t)len;
		if (keys->strings) {
			status = buffer_add(&from->keys, &packed_len, 1);
		}
		status = status == STATUS_OK ? buffer_add(&from->keys, key, len) : status;
	}
	return status;
}

/* Where the columns of a request's answer go. */
static enum status make_room(struct features_from *from, const struct table_spec *spec,
	uint32_t count, struct rep_part *part)
{
	const size_t rows_bytes = (size_t)count * spec->dim * sizeof(double);
	from->sums.len = 0;
	from->columns.len = 0;
	part->rows = buffer_room(&from->sums, rows_bytes);
	part->rows_bytes = rows_bytes;
	uint8_t *columns = buffer_room(&from->columns,
		count * (sizeof(double) + sizeof(int64_t)) + (count + 7) / 8);
	if (part->rows == NULL || columns == NULL) {
		return STATUS_NO_MEMORY;
	}
	part->weights = (double *)(void *)columns;
	part->times = (int64_t *)(void *)(columns + count * sizeof(double));
	part->found = columns + count * (sizeof(double) + sizeof(int64_t));
	return STATUS_OK;
}

static enum status fetch_some(struct features_from *from, const struct table_spec *spec,
	const struct training_keys *keys, uint32_t first, uint32_t count, struct rep_part *part)
{
	*part = (struct rep_part){.table = spec->name.text, .dtype = REP_F64, .raw = true};
	enum status status = pack(from, keys, first, count);
	if (status == STATUS_OK) {
		part->keys = (struct rep_keys){keys->strings ? REP_KEY_BYTES : REP_KEY_U64, count,
			from->keys.data, from->keys.len};
		status = make_room(from, spec, count, part);
	}
	return status;
}

enum status features_from_begin(struct features_from *from, size_t table,
	const struct training_keys *keys, struct cr_states *states, struct error *err)
{
	const struct table_spec *spec = &from->tables[table].spec;
	const size_t row_bytes = spec->dim * sizeof(double);
	const uint32_t some = row_bytes < REPLY_BYTES ? (uint32_t)(REPLY_BYTES / row_bytes) : 1;
	for (uint32_t first = 0; first < keys->count;) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < some ? left : some;
		struct rep_part part;
		struct rep_error why;
		if (fetch_some(from, spec, keys, first, count, &part) != STATUS_OK) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for '%s'",
				spec->name.text);
		}
		if (rep_fetch(from->session->client, from->release, &part, 1, NULL, &why) !=
			REP_OK) {
			return error_set(err, (enum status)why.status, "--from: release '%s': %s",
				from->release, why.text);
		}
		for (uint32_t i = 0; i < count; i++) {
			if ((part.found[i / 8] >> i % 8 & 1) != 0) {
				cr_states_set(states, (size_t)keys->first + first + i,
					part.times[i], (const uint8_t *)part.rows + i * part.stride,
					part.weights[i]);
			}
		}
		first += count;
	}
	return STATUS_OK;
}
