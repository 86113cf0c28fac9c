/* writer_undo.c - counts the bytes of a frame for its tables, and takes the rows of a frame back. */
#include "daemon/store/log/frame.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "daemon/store/write/writer.h"

#include <assert.h>

void writer_count_frame(const struct release *release, const uint8_t *data,
	const struct frame_head *head)
{
	struct frame_part part;
	size_t at = 0;
	for (bool first = true; frame_next_part(data, head, &at, &part); first = false) {
		if (part.kind != FRAME_POSITION) {
			const struct table *table = release_find(release, part.table);
			assert(table != NULL); /* the frame was made for this release */
			memtable_count_log(table->memtable, frame_part_log_bytes(&part, first));
		}
	}
}

static void undo_position(const struct release *release, const struct frame_part *part)
{
	struct frame_position position;
	if (frame_read_position(part, &position) == STATUS_OK) {
		position.to.next = position.before;
		positions_lower(release->positions, &position.to, position.is_first);
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
		assert(table != NULL); /* a sealed release keeps its tables */
		struct frame_walk walk;
		struct frame_row row;
		frame_walk_begin(&walk, &part, &table->spec);
		while (frame_walk_next(&walk, &row)) {
			memtable_undo(table->memtable, frame_row_hash(&table->spec, &row), row.key,
				row.key_len, visible);
		}
		assert(walk.left == 0); /* what was written can be read */
	}
}

void writer_undo(struct writer *writer, const struct write_ticket *tickets, uint64_t visible)
{
	/* Nobody applies meanwhile. */
	assert(atomic_load(&writer->halting) > 0);
	assert(visible == atomic_load(&writer->store->visible));
	const struct snapshot *snapshot = snapshot_begin(writer->store);
	for (; tickets != NULL; tickets = tickets->next) {
		assert(tickets->writer == writer);
		const struct release *release = snapshot_find(snapshot, tickets->head.release);
		/* NULL: it was dropped meanwhile, and its rows with it. */
		if (release != NULL) {
			writer_undo_frame(release, tickets, visible);
		}
	}
	snapshot_end(writer->store);
}
