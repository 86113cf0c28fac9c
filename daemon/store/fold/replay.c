/* replay.c - one frame of the log into the memtables and positions of a snapshot. */
#include "daemon/store/fold/replay.h"

#include "daemon/store/fold/fold.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/log/frame_samples.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static enum status replay_position(const struct release *release, const struct frame_head *head,
	const struct frame_part *part, struct error *err)
{
	struct frame_position position = {.is_first = false};
	enum status status = frame_read_position(part, &position);
	if (status != STATUS_OK) {
		return error_set(err, status, "a position of release '%s' cannot be read",
			release->id.text);
	}
	position.to.time_ms = head->clock_ms;
	status = positions_raise(release->positions, &position.to);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "a position of release '%s'", release->id.text);
}

static enum status replay_forget(const struct release *release, const struct frame_head *head,
	const struct frame_part *part, struct error *err)
{
	struct frame_sources walk;
	struct source_position source;
	frame_sources_begin(&walk, part);
	while (frame_sources_next(&walk, &source)) {
		positions_forget(release->positions, source.layer.text, source.source.text);
	}
	return walk.left == 0 ? STATUS_OK
			      : error_set(err, STATUS_CORRUPT,
					"frame %" PRIu64 ": what it forgets of release '%s' cannot "
					"be read",
					head->sequence, release->id.text);
}

static enum status replay_part(struct memtable_usage *usage, const struct frame_head *head,
	const struct frame_part *part, const struct table *table, struct error *err)
{
	const struct memtable_change change = {
		.spec = &table->spec,
		.usage = usage,
		.sequence = head->sequence,
	};
	struct frame_walk walk;
	struct frame_row row;
	enum status status = STATUS_OK;
	assert(head->sequence > table->merged_to); /* else an older row would hide a newer one */
	frame_walk_begin(&walk, part, &table->spec);
	while (status == STATUS_OK && frame_walk_next(&walk, &row)) {
		status = memtable_put(table->memtable, &change,
			siphash(&table->seed, row.key, row.key_len), &row);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "frame %" PRIu64 ": no memory for its rows",
			head->sequence);
	}
	return walk.left == 0 ? STATUS_OK
			      : error_set(err, STATUS_CORRUPT,
					"frame %" PRIu64 ": its rows do not fit table '%s'",
					head->sequence, table->spec.name.text);
}

static enum status find_table(const struct release *release, const struct frame_head *head,
	uint64_t number, struct table **out, struct error *err)
{
	*out = release_find(release, number);
	if (*out != NULL && release->state == RELEASE_SEALED) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_CORRUPT,
		"frame %" PRIu64 " is of table %" PRIu64 " of release '%s', which %s",
		head->sequence, number, release->id.text,
		*out == NULL ? "has none of that number" : "is not sealed");
}

/* ---- samples ---- */

/* Keys of samples with the offsets that a fold wants. */
static enum status index_keys(const struct keys *from, struct keys *to, uint32_t **at)
{
	*to = *from;
	*at = NULL;
	if (from->type == KEY_BYTES) {
		*at = malloc(from->count * sizeof **at);
		if (*at == NULL) {
			return STATUS_NO_MEMORY;
		}
		keys_find_offsets(from->packed, from->count, *at);
		to->at = *at;
	}
	return STATUS_OK;
}

static enum status fold_again(struct memtable_usage *usage, const struct frame_head *head,
	const struct frame_samples *from, const struct table *table, struct error *err)
{
	const struct samples samples = {from->count, from->rows, from->times};
	const struct memtable_change change = {&table->spec, usage, head->sequence};
	struct fold fold = {.table = table};
	struct keys keys;
	uint32_t *at;
	enum status status =
		index_keys(table->spec.entity == ENTITY_USER ? &from->users : &from->items, &keys,
			&at);
	if (status == STATUS_OK) {
		status = fold_init(&fold, table, &keys, err);
	}
	if (status == STATUS_OK) {
		fold.passes_damage = true;
		status = fold_run(&fold, &change, &samples, head->clock_ms, err);
	}
	if (status == STATUS_OK) {
		uint32_t linked;
		status = memtable_room_link(&fold.room, &linked);
	}
	fold_end(&fold);
	/* What is lost stays so, and keeps its samples in the log: the file may be put back, or be read the next
	 * time. */
	if (status == STATUS_OK && fold.has_lost) {
		status = memtable_keep_log(table->memtable, &change);
	}
	fold_fini(&fold);
	free(at);
	/* The write has checked the same sums. */
	return status == STATUS_BAD_REQUEST ? STATUS_CORRUPT : status;
}

/* Whether samples fit a table: else the frame is of another folder. */
static bool fit(const struct frame_samples *samples, const struct table_spec *spec)
{
	const struct keys *keys = spec->entity == ENTITY_USER ? &samples->users : &samples->items;
	return spec_folds(spec) && spec_sample_elements(spec) == samples->elements &&
	       keys->type == spec->key_type;
}

static enum status replay_samples(const struct release *release, struct memtable_usage *usage,
	const struct frame_head *head, const struct frame_part *part, uint64_t log_bytes,
	struct error *err)
{
	struct frame_samples samples;
	enum status status = frame_read_samples(part, &samples);
	for (uint32_t i = 0; status == STATUS_OK && i < samples.table_count; i++) {
		struct table *table;
		status = find_table(release, head, frame_samples_table(&samples, i), &table, err);
		if (status != STATUS_OK || head->sequence <= table->merged_to) {
			continue;
		}
		status = fit(&samples, &table->spec) ? fold_again(usage, head, &samples, table, err)
						     : STATUS_CORRUPT;
		if (status == STATUS_OK) {
			memtable_count_log(table->memtable, log_bytes / samples.table_count,
				head->clock_ms);
		}
	}
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "frame %" PRIu64 ": its samples %s", head->sequence,
				 status == STATUS_NO_MEMORY ? "find no memory" : "do not fit");
}

/* ---- a frame ---- */

/* Of a part that is no part of one table. */
static enum status replay_other(const struct replay *replay, const struct release *release,
	const struct frame_head *head, const struct frame_part *part, uint64_t log_bytes,
	struct error *err)
{
	if (part->kind == FRAME_SAMPLES) {
		return replay_samples(release, replay->usage, head, part, log_bytes, err);
	}
	if (!replay->positions) {
		return STATUS_OK;
	}
	return part->kind == FRAME_POSITION ? replay_position(release, head, part, err)
					    : replay_forget(release, head, part, err);
}

enum status replay_frame(const struct replay *replay, const uint8_t *data,
	const struct frame_head *head, struct error *err)
{
	const struct release *release = snapshot_find(replay->snapshot, head->release);
	if (release == NULL) {
		return STATUS_OK; /* it was dropped; its number is never used again */
	}
	struct frame_part part;
	size_t at = 0;
	for (bool first = true; frame_next_part(data, head, &at, &part); first = false) {
		enum status status;
		if (!frame_is_of_table(part.kind)) {
			status = replay_other(replay, release, head, &part,
				frame_part_log_bytes(&part, first), err);
			if (status != STATUS_OK) {
				return status;
			}
			continue;
		}
		struct table *table;
		status = find_table(release, head, part.table, &table, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (head->sequence <= table->merged_to || part.rows == 0) {
			continue;
		}
		status = replay_part(replay->usage, head, &part, table, err);
		if (status != STATUS_OK) {
			return status;
		}
		memtable_count_log(table->memtable, frame_part_log_bytes(&part, first),
			head->clock_ms);
	}
	return STATUS_OK;
}
