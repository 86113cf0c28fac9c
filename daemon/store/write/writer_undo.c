/* writer_undo.c - what becomes of a frame besides the log: its bytes are counted for its tables, its
 * positions are settled, or all of it is taken back. */
#include "daemon/store/log/frame.h"
#include "daemon/store/log/frame_samples.h"
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
		if (frame_is_of_table(part.kind)) {
			const struct table *table = release_find(release, part.table);
			assert(table != NULL); /* the frame was made for this release */
			memtable_count_log(table->memtable, frame_part_log_bytes(&part, first),
				head->clock_ms);
		}
	}
}

enum fate { TAKEN_BACK, WRITTEN, SYNCED };

static void end_source(struct positions *positions, const struct source_position *of,
	const uint64_t *to, enum fate fate)
{
	if (fate == TAKEN_BACK) {
		positions_undo(positions, of->layer.text, of->source.text);
	} else {
		positions_settle(positions, of, to, fate == SYNCED);
	}
}

/* Takes back, or settles, what a part has done to positions. */
static void end_positions(struct positions *positions, const struct frame_part *part,
	enum fate fate)
{
	struct frame_position position;
	if (part->kind == FRAME_POSITION) {
		const enum status status = frame_read_position(part, &position);
		assert(status == STATUS_OK); /* what was written can be read */
		(void)status;
		end_source(positions, &position.to, &position.to.next, fate);
		return;
	}
	struct frame_sources walk;
	struct source_position source;
	frame_sources_begin(&walk, part);
	while (frame_sources_next(&walk, &source)) {
		end_source(positions, &source, NULL, fate);
	}
	assert(walk.left == 0);
}

/* Takes back what samples have done to one table. */
static void undo_samples_of(const struct table *table, const struct frame_samples *samples,
	uint64_t visible)
{
	const struct keys *keys =
		table->spec.entity == ENTITY_USER ? &samples->users : &samples->items;
	const uint8_t *key = keys->packed;
	for (uint32_t i = 0; i < keys->count; i++) {
		const size_t len = keys->type == KEY_U64 ? 8 : *key++;
		memtable_undo(table->memtable, siphash(&table->seed, key, len), key, len, visible);
		key += len;
	}
}

static void undo_samples(const struct release *release, const struct frame_part *part,
	uint64_t visible)
{
	struct frame_samples samples;
	const enum status status = frame_read_samples(part, &samples);
	assert(status == STATUS_OK);
	(void)status;
	for (uint32_t i = 0; i < samples.table_count; i++) {
		undo_samples_of(release_find(release, frame_samples_table(&samples, i)), &samples,
			visible);
	}
}

void writer_undo_frame(const struct release *release, const struct write_ticket *ticket,
	uint64_t visible)
{
	struct frame_part part;
	size_t at = 0;
	while (frame_next_part(ticket->data, &ticket->head, &at, &part)) {
		if (part.kind == FRAME_SAMPLES) {
			undo_samples(release, &part, visible);
			continue;
		}
		if (!frame_is_of_table(part.kind)) {
			end_positions(release->positions, &part, TAKEN_BACK);
			continue;
		}
		const struct table *table = release_find(release, part.table);
		assert(table != NULL); /* a sealed release keeps its tables */
		struct frame_walk walk;
		struct frame_row row;
		frame_walk_begin(&walk, &part, &table->spec);
		while (frame_walk_next(&walk, &row)) {
			memtable_undo(table->memtable, siphash(&table->seed, row.key, row.key_len),
				row.key, row.key_len, visible);
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

void writer_settle(struct writer *writer, const struct write_ticket *tickets, bool synced)
{
	while (tickets != NULL && tickets->positions_at == 0) {
		tickets = tickets->next;
	}
	if (tickets == NULL) {
		return;
	}
	const struct snapshot *snapshot = snapshot_begin(writer->store);
	for (; tickets != NULL; tickets = tickets->next) {
		const struct release *release =
			tickets->positions_at == 0 ? NULL
						   : snapshot_find(snapshot, tickets->head.release);
		if (release != NULL) { /* NULL: it was dropped meanwhile */
			struct frame_part part;
			size_t at = tickets->positions_at;
			(void)frame_next_part(tickets->data, &tickets->head, &at, &part);
			assert(at == tickets->head.bytes); /* it is the last one */
			end_positions(release->positions, &part, synced ? SYNCED : WRITTEN);
		}
	}
	snapshot_end(writer->store);
}

void writer_positions_synced(struct writer *writer)
{
	const struct snapshot *snapshot = snapshot_begin(writer->store);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		positions_synced(snapshot->releases[i]->positions);
	}
	snapshot_end(writer->store);
}
