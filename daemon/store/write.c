/* write.c - applies a put or a delete: checked whole, then its frame and its versions. */
#include "daemon/store/age.h"
#include "daemon/store/base.h"
#include "daemon/store/find.h"
#include "daemon/store/mapfault.h"
#include "daemon/store/writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A write on its way. */
struct apply {
	struct writer *writer;
	const struct row_write *write;
	enum frame_kind kind;
	const struct release *release;
	const struct table *table;
	int64_t *base_times; /* owned: of each key's row in the base, BASE_ABSENT without one; or
				NULL */
	uint8_t *kept;       /* owned: the rows in the table's dtype; NULL: they were given so */
	float *kept_scales;  /* within `kept` */
	struct write_ticket *ticket; /* owned until it is in the group */
	uint8_t *end;                /* of its frame */
};

#define BASE_ABSENT INT64_MIN

/* ---- checks ---- */

static enum status find_table(struct apply *apply, const struct snapshot *snapshot,
	struct error *err)
{
	const struct row_write *write = apply->write;
	enum status status = snapshot_release(snapshot, write->release, &apply->release, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (apply->release->state != RELEASE_SEALED) {
		return error_set(err, STATUS_NOT_SEALED,
			"release: '%s' is open; it takes loads until it is sealed",
			apply->release->id.text);
	}
	status = release_table(apply->release, write->table, &apply->table, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct base_set *set = apply->table->bases;
	for (size_t i = 0; set != NULL && i < set->segment_count; i++) {
		if (base_segment_state(&set->segments[i]) == BASE_DAMAGED) {
			return error_set(err, STATUS_CORRUPT,
				"table '%s': a segment is damaged, so nothing can be merged into it",
				apply->table->spec.name.text);
		}
	}
	return STATUS_OK;
}

static enum status check_keys(const struct apply *apply, struct error *err)
{
	const struct table_spec *spec = &apply->table->spec;
	if (apply->write->batch.keys.type != spec->key_type) {
		return error_set(err, STATUS_BAD_REQUEST, "keys: %s given, table '%s' has %s",
			key_type_name(apply->write->batch.keys.type), spec->name.text,
			key_type_name(spec->key_type));
	}
	return STATUS_OK;
}

/* Turns the rows into the table's dtype, unless they are. */
static enum status convert(struct apply *apply, struct error *err)
{
	const struct row_batch *batch = &apply->write->batch;
	const struct table_spec *spec = &apply->table->spec;
	const size_t count = batch->keys.count;
	enum status status = batch_check(batch, spec, err);
	if (status != STATUS_OK || batch->dtype == spec->dtype || count == 0) {
		return status;
	}
	const size_t scales_bytes = spec->dtype == DTYPE_I8 ? count * sizeof(float) : 0;
	apply->kept = malloc(scales_bytes + count * spec_row_bytes(spec));
	if (apply->kept == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "put: no memory for %zu rows", count);
	}
	apply->kept_scales = (float *)(void *)apply->kept;
	const struct dtype_rows to = {
		.dtype = spec->dtype,
		.rows = apply->kept + scales_bytes,
		.scales = apply->kept,
	};
	const struct dtype_rows from = {
		.dtype = batch->dtype,
		.rows = (void *)batch->rows,
		.scales = (void *)batch->scales,
	};
	dtype_convert(&to, &from, count, spec->dim, spec->views);
	return batch_check_kept(batch, spec, &to, err);
}

/* ---- what is there ---- */

static enum status look_at_base(struct apply *apply)
{
	const struct keys *keys = &apply->write->batch.keys;
	struct found_row rows[FIND_BLOCK];
	uint64_t hashes[FIND_BLOCK];
	const struct find find = {
		.set = apply->table->bases,
		.keys = keys,
		.hashes = hashes,
		.wants_times = true,
		.may_block = true,
	};
	for (uint32_t first = 0; first < keys->count; first += FIND_BLOCK) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(keys, first, count, hashes);
		const enum status status = find_rows(&find, first, count, rows);
		if (status != STATUS_OK) {
			return status;
		}
		for (uint32_t i = 0; i < count; i++) {
			if (rows[i].row == (uint32_t)FIND_CORRUPT) {
				return STATUS_CORRUPT;
			}
			apply->base_times[first + i] =
				rows[i].segment == NULL ? BASE_ABSENT
							: rows[i].segment->view.times[rows[i].row];
		}
	}
	return STATUS_OK;
}

/* Reads what the base has of each key, where that matters. */
static enum status read_base(struct apply *apply, struct error *err)
{
	const uint32_t count = apply->write->batch.keys.count;
	if (apply->table->bases == NULL || (apply->kind == FRAME_PUT && !apply->write->if_newer)) {
		return STATUS_OK;
	}
	apply->base_times = malloc((size_t)count * sizeof *apply->base_times + 1);
	if (apply->base_times == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %" PRIu32 " keys", count);
	}
	enum status status;
	unsigned faults;
	do {
		faults = mapfault_count();
		status = look_at_base(apply);
	} while (status == STATUS_OK && mapfault_count() != faults);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status,
				 "table '%s': a segment that has some of the keys is damaged",
				 apply->table->spec.name.text);
}

/* Whether key i has a row that has not expired, and its time. */
static bool is_there(const struct apply *apply, uint32_t i, uint64_t hash, int64_t *time_ms)
{
	size_t len;
	const uint8_t *key = keys_bytes(&apply->write->batch.keys, i, &len);
	const struct row_version *newest = memtable_newest(apply->table->memtable, hash, key, len);
	if (newest != NULL) {
		*time_ms = newest->time_ms;
	} else {
		*time_ms = apply->base_times == NULL ? BASE_ABSENT : apply->base_times[i];
	}
	return *time_ms != BASE_ABSENT && (newest == NULL || !newest->deleted) &&
	       !age_is_over(*time_ms, apply->write->now_ms, apply->table->spec.ttl_ms);
}

/* ---- rows ---- */

static struct frame_row row_of(const struct apply *apply, uint32_t i)
{
	const struct row_batch *batch = &apply->write->batch;
	const struct table_spec *spec = &apply->table->spec;
	struct frame_row row = {.time_ms = apply->write->now_ms};
	row.key = keys_bytes(&batch->keys, i, &row.key_len);
	if (apply->kind == FRAME_DELETE) {
		return row;
	}
	row.time_ms = batch_time(batch, i, apply->write->now_ms);
	row.tags = batch_tags(batch, i);
	const size_t row_bytes = spec_row_bytes(spec);
	if (apply->kept != NULL) {
		const size_t scales_bytes =
			spec->dtype == DTYPE_I8 ? batch->keys.count * sizeof(float) : 0;
		row.data = apply->kept + scales_bytes + i * row_bytes;
		row.scale = spec->dtype == DTYPE_I8 ? apply->kept_scales[i] : 0;
	} else {
		row.data = batch->rows + i * row_bytes;
		if (spec->dtype == DTYPE_I8) {
			memcpy(&row.scale, batch->scales + (size_t)i * 4, 4);
		}
	}
	return row;
}

static bool is_wanted(const struct apply *apply, uint32_t i, uint64_t hash,
	const struct frame_row *row)
{
	int64_t time_ms;
	if (apply->kind == FRAME_PUT) {
		return !apply->write->if_newer || !is_there(apply, i, hash, &time_ms) ||
		       row->time_ms > time_ms;
	}
	return is_there(apply, i, hash, &time_ms);
}

/* Links one row and writes it into the frame, if it is wanted. */
static enum status apply_row(struct apply *apply, uint32_t i, uint64_t hash)
{
	const struct table_spec *spec = &apply->table->spec;
	const struct frame_row row = row_of(apply, i);
	if (!is_wanted(apply, i, hash, &row)) {
		return STATUS_OK;
	}
	const struct memtable_change change = {
		.spec = spec,
		.usage = &apply->writer->store->usage,
		.sequence = apply->writer->next_sequence,
		.probe_max = MEMTABLE_PROBE_MAX,
	};
	const enum status status = memtable_put(apply->table->memtable, &change, hash, &row);
	if (status == STATUS_OK) {
		apply->end = frame_put_row(apply->end, spec, apply->kind, &row);
		apply->ticket->head.rows++;
	}
	return status;
}

static enum status apply_rows(struct apply *apply)
{
	const struct keys *keys = &apply->write->batch.keys;
	uint64_t hashes[FIND_BLOCK];
	for (uint32_t first = 0; first < keys->count; first += FIND_BLOCK) {
		const uint32_t left = keys->count - first;
		const uint32_t count = left < FIND_BLOCK ? left : FIND_BLOCK;
		keys_hash(keys, first, count, hashes);
		memtable_prefetch(apply->table->memtable, hashes, count);
		for (uint32_t i = 0; i < count; i++) {
			const enum status status = apply_row(apply, first + i, hashes[i]);
			if (status != STATUS_OK) {
				return status;
			}
		}
	}
	return STATUS_OK;
}

/* Takes back the rows of a frame that could not be applied whole. */
static void take_back(struct apply *apply)
{
	struct write_ticket *ticket = apply->ticket;
	frame_end(ticket->data, apply->end, &ticket->head);
	writer_undo_frame(apply->table, ticket, apply->writer->next_sequence - 1);
}

static enum status link_rows(struct apply *apply, struct error *err)
{
	struct writer *writer = apply->writer;
	struct write_ticket *ticket = apply->ticket;
	ticket->writer = writer;
	ticket->head = (struct frame_head){
		.kind = apply->kind,
		.sequence = writer->next_sequence,
		.release = apply->release->number,
		.table = apply->table->number,
		.clock_ms = apply->write->now_ms,
	};
	apply->end = ticket->data + FRAME_HEAD_BYTES;
	const enum status status = apply_rows(apply);
	if (status != STATUS_OK) {
		take_back(apply);
		return status == STATUS_TOO_LARGE
			       ? error_set(err, status,
					 "keys: over %d of them share the first bits of their hash",
					 MEMTABLE_PROBE_MAX)
			       : error_set(err, status, "no memory for %" PRIu32 " rows",
					 apply->write->batch.keys.count);
	}
	if (ticket->head.rows == 0) {
		/* It only waits until what it was compared with is durable. */
		ticket->head.sequence = writer->next_sequence - 1;
		return STATUS_OK;
	}
	frame_end(ticket->data, apply->end, &ticket->head);
	memtable_count_log(apply->table->memtable, ticket->head.bytes);
	writer->next_sequence++;
	return STATUS_OK;
}

static size_t key_bytes(const struct keys *keys)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < keys->count; i++) {
		size_t len;
		(void)keys_bytes(keys, i, &len);
		bytes += len;
	}
	return bytes;
}

static enum status prepare(struct apply *apply, struct error *err)
{
	const struct keys *keys = &apply->write->batch.keys;
	enum status status = check_keys(apply, err);
	if (status == STATUS_OK && apply->kind == FRAME_PUT) {
		status = convert(apply, err);
	}
	if (status == STATUS_OK) {
		status = read_base(apply, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	const size_t bytes =
		frame_bytes_max(&apply->table->spec, apply->kind, keys->count, key_bytes(keys));
	apply->ticket = malloc(sizeof *apply->ticket + bytes);
	if (apply->ticket == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %" PRIu32 " rows",
			keys->count);
	}
	memset(apply->ticket, 0, sizeof *apply->ticket);
	return writer_check_room(apply->writer, bytes, err);
}

static enum status apply_write(struct store *store, enum frame_kind kind,
	const struct row_write *write, struct write_result *out, struct write_ticket **ticket,
	struct error *err)
{
	struct apply apply = {.writer = store->writer, .write = write, .kind = kind};
	enum status status = writer_begin(store->writer, err);
	if (status != STATUS_OK) {
		return status;
	}
	const struct snapshot *snapshot = snapshot_begin(store);
	status = find_table(&apply, snapshot, err);
	if (status == STATUS_OK) {
		status = prepare(&apply, err);
	}
	if (status == STATUS_OK) {
		status = link_rows(&apply, err);
	}
	if (status == STATUS_OK) {
		*out = (struct write_result){
			.release = apply.release->id,
			.sequence = apply.ticket->head.sequence,
			.count = apply.ticket->head.rows,
		};
		*ticket = apply.ticket;
	} else {
		free(apply.ticket);
		apply.ticket = NULL;
	}
	snapshot_end(store);
	writer_end(store->writer, apply.ticket);
	free(apply.base_times);
	free(apply.kept);
	return status;
}

enum status store_put(struct store *store, const struct row_write *put, struct write_result *out,
	struct write_ticket **ticket, struct error *err)
{
	return apply_write(store, FRAME_PUT, put, out, ticket, err);
}

enum status store_delete(struct store *store, const struct row_write *which,
	struct write_result *out, struct write_ticket **ticket, struct error *err)
{
	return apply_write(store, FRAME_DELETE, which, out, ticket, err);
}
