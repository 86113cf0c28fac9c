/* apply.c - from parts that are ready to a frame in the group. */
#include "daemon/store/write/apply.h"

#include "daemon/store/state/reader.h"
#include "daemon/store/write/write.h"
#include "daemon/store/write/write_ahead.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum status apply_in_part(const struct write_part *part, enum status status, struct error *err)
{
	const char *where = part->given->where;
	return where == NULL || status == STATUS_OK
		       ? status
		       : error_set(err, status, "%s%s", where, err == NULL ? "" : err->text);
}

static enum status find_release(struct apply *apply, const struct snapshot *snapshot,
	const char *id, struct error *err)
{
	const enum status status = snapshot_release(snapshot, id, &apply->release, err);
	return status != STATUS_OK || apply->release->state == RELEASE_SEALED
		       ? status
		       : error_set(err, STATUS_NOT_SEALED,
				 "release: '%s' is open; it takes loads until it is sealed",
				 apply->release->id.text);
}

enum status apply_begin(struct apply *apply, struct store *store, const struct apply_given *given,
	struct error *err)
{
	enum status status = reserve_check(store, RESERVE_WRITE, err);
	if (status == STATUS_OK && given->ahead != NULL && write_is_cold(store, given->ahead)) {
		status = writer_wait(store->writer, given->stop, err);
		if (status == STATUS_OK) {
			write_read_ahead(store, given->ahead);
		}
	}
	if (status == STATUS_OK) {
		status = writer_begin(store->writer, given->stop, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	lock_assert_held(&store->writer->apply_lock);
	apply->writer = store->writer;
	apply->now_ms = given->now_ms;
	apply->part_count = 0;
	apply->samples = NULL;
	apply->position = NULL;
	apply->forget = NULL;
	apply->forget_count = 0;
	apply->ticket = NULL;
	apply->rows = 0;
	apply->taken_bytes = 0;
	apply->taken_rows = 0;
	status = find_release(apply, snapshot_begin(store), given->release, err);
	if (status != STATUS_OK) {
		snapshot_end(store);
		writer_end(store->writer, NULL);
	}
	return status;
}

enum status apply_take(struct apply *apply, const struct write_part *part, struct error *err)
{
	lock_assert_held(&apply->writer->apply_lock);
	apply->taken_rows += part->given->batch.keys.count;
	apply->taken_bytes += write_part_bytes_max(part);
	if (apply->taken_rows > LIMIT_WRITE_ROWS) {
		return error_set(err, STATUS_TOO_LARGE,
			"rows: %zu in all tables, at most %u allowed in one write",
			apply->taken_rows, LIMIT_WRITE_ROWS);
	}
	return apply->taken_bytes <= LIMIT_WRITE_BYTES
		       ? STATUS_OK
		       : error_set(err, STATUS_TOO_LARGE,
				 "rows: %zu bytes in the dtypes of all tables, at most %u allowed "
				 "in one write",
				 apply->taken_bytes, LIMIT_WRITE_BYTES);
}

struct memtable_change apply_change(const struct apply *apply, const struct table *table)
{
	return (struct memtable_change){
		.spec = &table->spec,
		.usage = &apply->writer->store->usage,
		.sequence = apply->writer->next_sequence,
	};
}

/* The most that the frame can take. */
static size_t frame_room(const struct apply *apply)
{
	static_assert(FRAME_HEAD_BYTES + FRAME_POSITION_BYTES_MAX + LIMIT_WRITE_BYTES <= UINT32_MAX,
		"a frame");
	const size_t forget =
		apply->forget_count == 0 ? 0 : frame_forget_bytes_max(apply->forget_count);
	const size_t parts =
		apply->samples == NULL ? apply->taken_bytes : frame_samples_bytes(apply->samples);
	return FRAME_HEAD_BYTES + FRAME_POSITION_BYTES_MAX + parts + forget;
}

/* Makes room for the frame. */
static enum status prepare(struct apply *apply, struct error *err)
{
	const size_t bytes = frame_room(apply);
	if (apply->samples != NULL && frame_samples_bytes(apply->samples) > LIMIT_WRITE_BYTES) {
		return error_set(err, STATUS_TOO_LARGE,
			"rows: %zu bytes as f32 samples, at most %u allowed in one write",
			frame_samples_bytes(apply->samples), LIMIT_WRITE_BYTES);
	}
	apply->ticket = malloc(sizeof *apply->ticket + bytes);
	if (apply->ticket == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of log", bytes);
	}
	memset(apply->ticket, 0, sizeof *apply->ticket);
	return writer_check_room(apply->writer, bytes, err);
}

/* Links the parts one after the other; *end: where the frame ends. */
static enum status link_parts(struct apply *apply, uint8_t **end, struct error *err)
{
	struct frame_head *head = &apply->ticket->head;
	enum status status = STATUS_OK;
	if (apply->samples != NULL) {
		/* First, so that it tells which keys to take back if a part fails. */
		*end = frame_put_samples(*end, apply->samples);
		head->parts++;
	}
	for (size_t i = 0; status == STATUS_OK && i < apply->part_count; i++) {
		uint32_t rows;
		const struct memtable_change change = apply_change(apply, apply->parts[i].table);
		status = write_part_link(&apply->parts[i], &change, end, &rows, err);
		status = apply_in_part(&apply->parts[i], status, err);
		apply->rows += rows;
		if (apply->samples == NULL && rows > 0) {
			head->parts++;
		}
		apply->parts[i].linked = rows;
	}
	return status;
}

static enum status raise_position(struct apply *apply, uint8_t **end, struct error *err)
{
	struct source_position to = apply->position->to;
	to.time_ms = apply->now_ms;
	const enum status status = positions_raise(apply->release->positions, &to);
	if (status != STATUS_OK) {
		return error_set(err, status, "source: no memory for the position of '%s'",
			to.source.text);
	}
	apply->ticket->positions_at = (uint32_t)(*end - apply->ticket->data);
	*end = frame_put_position(*end, apply->position);
	apply->ticket->head.parts++;
	return STATUS_OK;
}

static void forget_positions(struct apply *apply, uint8_t **end)
{
	for (size_t i = 0; i < apply->forget_count; i++) {
		const struct source_position *source = &apply->forget[i];
		positions_forget(apply->release->positions, source->layer.text,
			source->source.text);
	}
	apply->ticket->positions_at = (uint32_t)(*end - apply->ticket->data);
	*end = frame_put_forget(*end, apply->forget, apply->forget_count);
	apply->ticket->head.parts++;
}

/* Counts what was linked, for each table. Of samples each has its share of their bytes in the log. */
static void count_parts(const struct apply *apply)
{
	const struct frame_head *head = &apply->ticket->head;
	const size_t bytes =
		apply->samples == NULL ? 0 : FRAME_HEAD_BYTES + frame_samples_bytes(apply->samples);
	writer_count_frame(apply->release, apply->ticket->data, head);
	for (size_t i = 0; i < apply->part_count; i++) {
		const struct write_part *part = &apply->parts[i];
		if (apply->samples != NULL) {
			memtable_count_log(part->table->memtable, bytes / apply->part_count,
				head->clock_ms);
		}
		table_counts_wrote(part->table->counts, apply->write, part->linked);
	}
}

static enum status link_all(struct apply *apply, struct error *err)
{
	struct writer *writer = apply->writer;
	struct write_ticket *ticket = apply->ticket;
	uint8_t *end = ticket->data + FRAME_HEAD_BYTES;
	assert(writer->next_sequence > atomic_load(&writer->store->visible));
	ticket->writer = writer;
	ticket->head = (struct frame_head){
		.sequence = writer->next_sequence,
		.release = apply->release->number,
		.clock_ms = apply->now_ms,
	};
	enum status status = link_parts(apply, &end, err);
	if (status == STATUS_OK && apply->rows > 0 && apply->position != NULL) {
		status = raise_position(apply, &end, err);
	}
	if (status == STATUS_OK && apply->forget_count > 0) {
		assert(apply->part_count == 0 && apply->position == NULL);
		forget_positions(apply, &end);
	}
	assert(end <= ticket->data + frame_room(apply)); /* as apply_take has counted */
	assert(status != STATUS_OK ||
		(apply->rows + apply->forget_count > 0) == (ticket->head.parts > 0));
	assert(ticket->head.parts <= FRAME_PARTS_MAX);
	if (ticket->head.parts > 0) {
		frame_end(ticket->data, end, &ticket->head);
	}
	if (status != STATUS_OK) {
		writer_undo_frame(apply->release, ticket, writer->next_sequence - 1);
		return status;
	}
	if (ticket->head.parts == 0) {
		/* Nothing is written. The ticket waits until the writes before it are durable, since it
		 * was compared with them. */
		ticket->head.sequence = writer->next_sequence - 1;
		return STATUS_OK;
	}
	assert(ticket->head.sequence == writer->next_sequence);
	count_parts(apply);
	counter_add(&writer->rows, apply->rows);
	writer->next_sequence++;
	return STATUS_OK;
}

enum status apply_end(struct apply *apply, enum status status, struct write_result *out,
	struct write_ticket **ticket, struct error *err)
{
	struct store *store = apply->writer->store;
	lock_assert_held(&apply->writer->apply_lock);
	assert(apply->part_count <= LIMIT_PARTS);
	if (status == STATUS_OK) {
		status = prepare(apply, err);
	}
	if (status == STATUS_OK) {
		status = link_all(apply, err);
	}
	if (status == STATUS_OK) {
		*out = (struct write_result){
			.release = apply->release->id,
			.sequence = apply->ticket->head.sequence,
			.count = apply->rows,
		};
		*ticket = apply->ticket;
	} else {
		free(apply->ticket);
		apply->ticket = NULL;
	}
	for (size_t i = 0; i < apply->part_count; i++) {
		write_part_end(&apply->parts[i]);
	}
	snapshot_end(store);
	writer_end(apply->writer, apply->ticket);
	for (size_t i = 0; i < apply->part_count; i++) {
		write_part_fini(&apply->parts[i]);
	}
	return status;
}
