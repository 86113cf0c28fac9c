/* write.c - applies a put or a delete: all parts checked, then one frame and its versions. */
#include "daemon/store/write/write.h"

#include "daemon/store/base/find.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/write/apply.h"
#include "daemon/store/write/fullness.h"
#include "daemon/store/write/write_ahead.h"

#include <assert.h>
#include <stddef.h>

/* With more that is not durable yet, who has written most waits, so that others need not. */
enum { CROWDED_BYTES = 8 << 20 };

static enum status prepare_parts(struct apply *apply, enum frame_kind kind,
	const struct row_write *write, struct error *err)
{
	enum status status = STATUS_OK;
	assert(apply->part_count + write->part_count <= LIMIT_PARTS);
	for (size_t i = 0; status == STATUS_OK && i < write->part_count; i++) {
		struct write_part *part = &apply->parts[apply->part_count++];
		*part = (struct write_part){
			.given = &write->parts[i],
			.kind = kind,
			.if_newer = write->if_newer,
			.now_ms = write->now_ms,
		};
		status = write_part_find(part, apply->release, err);
		if (status == STATUS_OK) {
			status = apply_take(apply, part, err);
		}
		if (status == STATUS_OK) {
			status = write_part_prepare(part, err);
		}
		status = apply_in_part(part, status, err);
	}
	return status;
}

/* The parts of a write, for one that depends on what is there. */
static bool part_at(const void *given, const struct release *release, size_t i,
	struct write_ahead_part *part)
{
	const struct row_write *write = given;
	if (i >= write->part_count) {
		return false;
	}
	part->keys = &write->parts[i].batch.keys;
	if (release_table(release, write->parts[i].table, &part->table, NULL) != STATUS_OK ||
		part->table->spec.key_type != part->keys->type) {
		part->table = NULL;
	}
	return true;
}

static enum status apply_write(struct store *store, enum frame_kind kind,
	const struct row_write *write, struct write_result *out, struct write_ticket **ticket,
	struct error *err)
{
	if (write->part_count == 0 || write->part_count > LIMIT_PARTS) {
		return error_set(err, STATUS_BAD_REQUEST, "parts: %zu given, 1 to %d allowed",
			write->part_count, LIMIT_PARTS);
	}
	struct apply apply;
	const struct write_ahead ahead = {
		.release = write->release,
		.at = part_at,
		.write = write,
		.wants = FIND_TIMES,
		.stop = write->stop,
	};
	const struct apply_given given = {
		.release = write->release,
		.now_ms = write->now_ms,
		.stop = write->stop,
		.ahead = kind == FRAME_DELETE || write->if_newer ? &ahead : NULL,
	};
	enum status status = apply_begin(&apply, store, &given, err);
	if (status != STATUS_OK) {
		return status;
	}
	apply.write = kind == FRAME_PUT ? WRITE_KIND_PUT : WRITE_KIND_DELETE;
	status = prepare_parts(&apply, kind, write, err);
	return apply_end(&apply, status, out, ticket, err);
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

bool store_write_is_crowded(struct store *store)
{
	const struct writer *writer = store->writer;
	return fullness_of(store) >= FULLNESS_CROWDED ||
	       atomic_load(&writer->waiting_bytes) + atomic_load(&writer->committing_bytes) >
		       CROWDED_BYTES;
}
