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

enum status writer_replay(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	struct writer *writer = arg;
	const struct release *release = snapshot_find(store_current(writer->store), head->release);
	if (release == NULL) {
		return STATUS_OK; /* it was dropped; its number is never used again */
	}
	struct table *table = release_find(release, head->table);
	if (table == NULL || release->state != RELEASE_SEALED) {
		return error_set(err, STATUS_CORRUPT,
			"frame %" PRIu64 " is of table %" PRIu64 " of release '%s', which %s",
			head->sequence, head->table, release->id.text,
			table == NULL ? "has none of that number" : "is not sealed");
	}
	if (head->sequence <= table->folded) {
		return STATUS_OK;
	}
	const struct memtable_change change = {
		.spec = &table->spec,
		.usage = &writer->store->usage,
		.sequence = head->sequence,
		.probe_max = SIZE_MAX,
	};
	struct frame_walk walk;
	struct frame_row row;
	enum status status = STATUS_OK;
	frame_walk_begin(&walk, data, head, &table->spec);
	while (status == STATUS_OK && frame_walk_next(&walk, &row)) {
		status = memtable_put(table->memtable, &change, hash_key(&table->spec, &row), &row);
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "frame %" PRIu64 ": no memory for its rows",
			head->sequence);
	}
	if (walk.left != 0) {
		return error_set(err, STATUS_CORRUPT,
			"frame %" PRIu64 ": its rows do not fit table '%s'", head->sequence,
			table->spec.name.text);
	}
	if (head->rows > 0) {
		memtable_count_log(table->memtable, head->bytes);
	}
	return STATUS_OK;
}

void writer_undo_frame(const struct table *table, const struct write_ticket *ticket,
	uint64_t visible)
{
	struct frame_walk walk;
	struct frame_row row;
	frame_walk_begin(&walk, ticket->data, &ticket->head, &table->spec);
	while (frame_walk_next(&walk, &row)) {
		memtable_undo(table->memtable, hash_key(&table->spec, &row), row.key, row.key_len,
			visible);
	}
}

void writer_undo(struct writer *writer, const struct write_ticket *tickets, uint64_t visible)
{
	const struct snapshot *snapshot = snapshot_begin(writer->store);
	for (; tickets != NULL; tickets = tickets->next) {
		const struct table *table =
			release_find(snapshot_find(snapshot, tickets->head.release),
				tickets->head.table);
		/* It may have been dropped meanwhile. */
		if (tickets->head.bytes > 0 && table != NULL) {
			writer_undo_frame(table, tickets, visible);
		}
	}
	snapshot_end(writer->store);
}
