/* replay.c - one frame of the log into the memtables and positions of a snapshot. */
#include "daemon/store/snapshot/replay.h"

#include "daemon/store/log/frame.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"

#include <assert.h>
#include <inttypes.h>

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

/* Of a part that is no part of a table. */
static enum status replay_source(const struct release *release, const struct frame_head *head,
	const struct frame_part *part, struct error *err)
{
	return part->kind == FRAME_POSITION ? replay_position(release, head, part, err)
					    : replay_forget(release, head, part, err);
}

static enum status find_table(const struct release *release, const struct frame_head *head,
	const struct frame_part *part, struct table **out, struct error *err)
{
	*out = release_find(release, part->table);
	if (*out != NULL && release->state == RELEASE_SEALED) {
		return STATUS_OK;
	}
	return error_set(err, STATUS_CORRUPT,
		"frame %" PRIu64 " is of table %" PRIu64 " of release '%s', which %s",
		head->sequence, part->table, release->id.text,
		*out == NULL ? "has none of that number" : "is not sealed");
}

enum status replay_frame(const struct snapshot *snapshot, struct memtable_usage *usage,
	const uint8_t *data, const struct frame_head *head, struct error *err)
{
	const struct release *release = snapshot_find(snapshot, head->release);
	if (release == NULL) {
		return STATUS_OK; /* it was dropped; its number is never used again */
	}
	struct frame_part part;
	size_t at = 0;
	for (bool first = true; frame_next_part(data, head, &at, &part); first = false) {
		enum status status;
		if (!frame_is_of_table(part.kind)) {
			status = replay_source(release, head, &part, err);
			if (status != STATUS_OK) {
				return status;
			}
			continue;
		}
		struct table *table;
		status = find_table(release, head, &part, &table, err);
		if (status != STATUS_OK) {
			return status;
		}
		if (head->sequence <= table->merged_to || part.rows == 0) {
			continue;
		}
		status = replay_part(usage, head, &part, table, err);
		if (status != STATUS_OK) {
			return status;
		}
		memtable_count_log(table->memtable, frame_part_log_bytes(&part, first),
			head->clock_ms);
	}
	return STATUS_OK;
}
