/* write.c - applies a put or a delete: all parts checked, then one frame and its versions. */
#include "daemon/store/write_part.h"
#include "daemon/store/writer.h"

#include "schema/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A write on its way. */
struct apply {
	struct writer *writer;
	const struct row_write *write;
	const struct release *release;
	struct write_part parts[LIMIT_PARTS]; /* the first write->part_count are set */
	uint64_t rows;                        /* that were linked */
	struct write_ticket *ticket;          /* owned until it is in the group */
};

/* Says in an error which part it is about. */
static enum status in_part(const struct apply *apply, size_t i, enum status status,
	struct error *err)
{
	const char *where = apply->write->parts[i].where;
	return where == NULL || status == STATUS_OK
		       ? status
		       : error_set(err, status, "%s%s", where, err == NULL ? "" : err->text);
}

static enum status find_release(struct apply *apply, const struct snapshot *snapshot,
	struct error *err)
{
	const enum status status =
		snapshot_release(snapshot, apply->write->release, &apply->release, err);
	return status != STATUS_OK || apply->release->state == RELEASE_SEALED
		       ? status
		       : error_set(err, STATUS_NOT_SEALED,
				 "release: '%s' is open; it takes loads until it is sealed",
				 apply->release->id.text);
}

/* Makes all parts ready, and room for the frame. */
static enum status prepare(struct apply *apply, struct error *err)
{
	size_t bytes = FRAME_HEAD_BYTES;
	for (size_t i = 0; i < apply->write->part_count; i++) {
		const enum status status =
			write_part_prepare(&apply->parts[i], apply->release, err);
		if (status != STATUS_OK) {
			return in_part(apply, i, status, err);
		}
		bytes += write_part_bytes_max(&apply->parts[i]);
	}
	if (bytes > UINT32_MAX) {
		return error_set(err, STATUS_TOO_LARGE,
			"rows: %zu bytes of log, at most %" PRIu32 " allowed", bytes, UINT32_MAX);
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
	for (size_t i = 0; status == STATUS_OK && i < apply->write->part_count; i++) {
		uint32_t rows;
		status = write_part_link(&apply->parts[i], &apply->writer->store->usage,
			head->sequence, end, &rows, err);
		status = in_part(apply, i, status, err);
		apply->rows += rows;
		head->parts = (uint16_t)(head->parts + (rows > 0 ? 1 : 0));
	}
	return status;
}

static enum status link_all(struct apply *apply, struct error *err)
{
	struct writer *writer = apply->writer;
	struct write_ticket *ticket = apply->ticket;
	uint8_t *end = ticket->data + FRAME_HEAD_BYTES;
	ticket->writer = writer;
	ticket->head = (struct frame_head){
		.sequence = writer->next_sequence,
		.release = apply->release->number,
		.clock_ms = apply->write->now_ms,
	};
	const enum status status = link_parts(apply, &end, err);
	if (apply->rows > 0) {
		frame_end(ticket->data, end, &ticket->head);
	}
	if (status != STATUS_OK) {
		writer_undo_frame(apply->release, ticket, writer->next_sequence - 1);
		return status;
	}
	if (apply->rows == 0) {
		/* It only waits until what it was compared with is durable. */
		ticket->head.sequence = writer->next_sequence - 1;
		return STATUS_OK;
	}
	writer_count_frame(apply->release, ticket->data, &ticket->head);
	writer->next_sequence++;
	return STATUS_OK;
}

/* Within a snapshot, with apply_lock. */
static enum status apply_parts(struct apply *apply, const struct snapshot *snapshot,
	struct error *err)
{
	enum status status = find_release(apply, snapshot, err);
	if (status == STATUS_OK) {
		status = prepare(apply, err);
	}
	return status == STATUS_OK ? link_all(apply, err) : status;
}

static enum status apply_write(struct store *store, enum frame_kind kind,
	const struct row_write *write, struct write_result *out, struct write_ticket **ticket,
	struct error *err)
{
	if (write->part_count == 0 || write->part_count > LIMIT_PARTS) {
		return error_set(err, STATUS_BAD_REQUEST, "parts: %zu given, 1 to %d allowed",
			write->part_count, LIMIT_PARTS);
	}
	enum status status = writer_begin(store->writer, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct apply apply;
	apply.writer = store->writer;
	apply.write = write;
	apply.rows = 0;
	apply.ticket = NULL;
	for (size_t i = 0; i < write->part_count; i++) {
		apply.parts[i] = (struct write_part){.write = write,
			.given = &write->parts[i],
			.kind = kind};
	}
	status = apply_parts(&apply, snapshot_begin(store), err);
	if (status == STATUS_OK) {
		*out = (struct write_result){
			.release = apply.release->id,
			.sequence = apply.ticket->head.sequence,
			.count = apply.rows,
		};
		*ticket = apply.ticket;
	} else {
		free(apply.ticket);
		apply.ticket = NULL;
	}
	snapshot_end(store);
	writer_end(store->writer, apply.ticket);
	for (size_t i = 0; i < write->part_count; i++) {
		write_part_fini(&apply.parts[i]);
	}
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
