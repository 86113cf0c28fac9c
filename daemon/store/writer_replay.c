/* writer_replay.c - frames of the log into memtables, and out of them again. */
#include "daemon/store/base.h"
#include "daemon/store/writer.h"

#include <inttypes.h>

static uint64_t hash_key(const struct table_spec *spec, const struct frame_row *row)
{
	if (spec->key_type == KEY_BYTES) {
		return key_hash_bytes(row->key, row->key_len);
	}
	uint64_t key;
	__builtin_memcpy(&key, row->key, sizeof key);
	return key_hash_u64(key);
}

/* The first part of a frame also counts its head. */
static uint64_t log_bytes(const struct frame_part *part, bool first)
{
	return FRAME_PART_BYTES + part->bytes + (first ? FRAME_HEAD_BYTES : 0);
}

static enum status replay_position(const struct release *release, const struct frame_part *part,
	struct error *err)
{
	struct frame_position position;
	enum status status = frame_read_position(part, &position);
	if (status != STATUS_OK) {
		return error_set(err, status, "a position of release '%s' cannot be read",
			release->id.text);
	}
	status = feed_raise(release->feed, &position.to);
	return status == STATUS_OK
		       ? status
		       : error_set(err, status, "a position of release '%s'", release->id.text);
}

static enum status replay_part(struct writer *writer, const struct frame_head *head,
	const struct frame_part *part, const struct table *table, struct error *err)
{
	const struct memtable_change change = {
		.spec = &table->spec,
		.usage = &writer->store->usage,
		.sequence = head->sequence,
		.probe_max = SIZE_MAX,
	};
	struct frame_walk walk;
	struct frame_row row;
	enum status status = STATUS_OK;
	frame_walk_begin(&walk, part, &table->spec);
	while (status == STATUS_OK && frame_walk_next(&walk, &row)) {
		status = memtable_put(table->memtable, &change, hash_key(&table->spec, &row), &row);
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

enum status writer_replay(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	struct writer *writer = arg;
	const struct release *release = snapshot_find(store_current(writer->store), head->release);
	if (release == NULL) {
		return STATUS_OK; /* it was dropped; its number is never used again */
	}
	struct frame_part part;
	size_t at = 0;
	for (bool first = true; frame_next_part(data, head, &at, &part); first = false) {
		if (part.kind == FRAME_POSITION) {
			const enum status status = replay_position(release, &part, err);
			if (status != STATUS_OK) {
				return status;
			}
			continue;
		}
		struct table *table = release_find(release, part.table);
		if (table == NULL || release->state != RELEASE_SEALED) {
			return error_set(err, STATUS_CORRUPT,
				"frame %" PRIu64 " is of table %" PRIu64
				" of release '%s', which %s",
				head->sequence, part.table, release->id.text,
				table == NULL ? "has none of that number" : "is not sealed");
		}
		if (head->sequence <= table->folded || part.rows == 0) {
			continue;
		}
		const enum status status = replay_part(writer, head, &part, table, err);
		if (status != STATUS_OK) {
			return status;
		}
		memtable_count_log(table->memtable, log_bytes(&part, first));
	}
	return STATUS_OK;
}

void writer_count_frame(const struct release *release, const uint8_t *data,
	const struct frame_head *head)
{
	struct frame_part part;
	size_t at = 0;
	for (bool first = true; frame_next_part(data, head, &at, &part); first = false) {
		if (part.kind != FRAME_POSITION) {
			memtable_count_log(release_find(release, part.table)->memtable,
				log_bytes(&part, first));
		}
	}
}

static void undo_position(const struct release *release, const struct frame_part *part)
{
	struct frame_position position;
	if (frame_read_position(part, &position) == STATUS_OK) {
		position.to.next = position.before;
		feed_lower(release->feed, &position.to, position.is_first);
	}
}

void writer_undo_frame(const struct release *release, const struct write_ticket *ticket,
	uint64_t visible)
{
	struct frame_part part;
	size_t at = 0;
	while (frame_next_part(ticket->data, &ticket->head, &at, &part)) {
		if (part.kind == FRAME_POSITION) {
			undo_position(release, &part);
			continue;
		}
		const struct table *table = release_find(release, part.table);
		struct frame_walk walk;
		struct frame_row row;
		frame_walk_begin(&walk, &part, &table->spec);
		while (frame_walk_next(&walk, &row)) {
			memtable_undo(table->memtable, hash_key(&table->spec, &row), row.key,
				row.key_len, visible);
		}
	}
}

void writer_undo(struct writer *writer, const struct write_ticket *tickets, uint64_t visible)
{
	const struct snapshot *snapshot = snapshot_begin(writer->store);
	for (; tickets != NULL; tickets = tickets->next) {
		const struct release *release = snapshot_find(snapshot, tickets->head.release);
		/* It may have been dropped meanwhile. */
		if (release != NULL) {
			writer_undo_frame(release, tickets, visible);
		}
	}
	snapshot_end(writer->store);
}
