/* scan.c - walks through a table, one reply at a time.
 *
 * The first step asks what the table is and which release is meant: the reply of a
 * scan does not say how its keys are packed, and a walk that began on the live
 * release stays on it when another becomes live.
 */
#include "client/client.h"
#include "client/field.h"
#include "client/record.h"
#include "client/reserved.h"
#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Columns begin on cache lines, so that callers may cast them. */
enum { COLUMN_ALIGN = 64 };

struct walk {
	struct rep_table table;
	char release[RECORD_RELEASE_BYTES];
	bool began;    /* a reply has come */
	uint8_t *data; /* owned; the columns of the last reply */
	size_t cap;
};

/* The columns of a reply. Their bytes still belong to the reply. */
struct columns {
	uint32_t n;
	enum dtype dtype;
	size_t stride;
	struct wire_bytes keys;
	struct wire_bytes rows;
	struct wire_bytes scales;
	struct wire_bytes times;
	struct wire_bytes tags;
	struct wire_bytes weights;
	struct wire_bytes history_counts;
	struct wire_bytes history_times;
};

static void write_request(rep_client *client, const struct walk *walk, const struct rep_scan *scan,
	const char *table, enum rep_dtype dtype, uint32_t limit)
{
	struct wire_writer *writer = client_begin(client, "scan",
		2 + (size_t)scan->more + (limit != 0) + (dtype != REP_DTYPE_TABLE) + scan->raw +
			(scan->shards != 0));
	wire_write_str(writer, "release");
	wire_write_str(writer, walk->release);
	wire_write_str(writer, "table");
	wire_write_str(writer, table);
	if (scan->more) {
		wire_write_str(writer, "cursor");
		wire_write_uint(writer, scan->cursor);
	}
	if (scan->raw) {
		wire_write_str(writer, "raw");
		wire_write_bool(writer, true);
	}
	if (scan->shards != 0) {
		client->request.needs |= HELLO_SCAN_SHARD;
		wire_write_str(writer, "shard");
		wire_write_array(writer, 2);
		wire_write_uint(writer, scan->shard);
		wire_write_uint(writer, scan->shards);
	}
	if (limit != 0) {
		wire_write_str(writer, "limit");
		wire_write_uint(writer, limit);
	}
	if (dtype != REP_DTYPE_TABLE) {
		wire_write_str(writer, "dtype");
		wire_write_str(writer, dtype_name((enum dtype)dtype));
	}
}

/* Vectors of one row: those of all places of a history. */
static uint32_t row_views(const struct rep_table_spec *spec)
{
	return spec->history == 0 ? spec->views : spec->views * (uint32_t)spec->history;
}

static bool has_bytes(struct wire_value map, const char *name, size_t len, struct wire_bytes *out)
{
	return wire_bin(wire_get(map, name), out) && out->len == len;
}

static bool has_history(struct wire_value result, const struct rep_table_spec *spec, uint64_t n,
	struct columns *out)
{
	return has_bytes(result, "counts", n * sizeof(uint32_t), &out->history_counts) &&
	       has_bytes(result, "history_times", n * spec->history * sizeof(int64_t),
		       &out->history_times);
}

static enum status read_columns(struct wire_value result, const struct rep_table_spec *spec,
	enum rep_dtype asked, bool raw, struct columns *out, struct error *err)
{
	uint64_t n = 0;
	uint64_t stride = 0;
	uint32_t count = 0;
	struct wire_bytes dtype = {0};
	if (!field_uint(result, "n", &n) || !field_uint(result, "stride", &stride) ||
		!wire_str(wire_get(result, "dtype"), &dtype) ||
		!wire_bin(wire_get(result, "keys"), &out->keys)) {
		return error_set(err, STATUS_PROTOCOL, "scan: an answer without its shape");
	}
	out->dtype = dtype_of_name((const char *)dtype.data, dtype.len);
	out->stride = dtype_row_bytes(out->dtype, spec->dim, row_views(spec));
	bool right = asked == REP_DTYPE_TABLE || out->dtype == (enum dtype)asked;
	if (!right || out->stride == 0 || stride != out->stride || n > LIMIT_KEYS ||
		keys_count((enum key_type)spec->key_type, out->keys.data, out->keys.len, &count,
			NULL) != STATUS_OK ||
		count != n) {
		return error_set(err, STATUS_PROTOCOL,
			"scan: an answer of another shape than asked");
	}
	out->n = count;
	if (!has_bytes(result, "rows", n * stride, &out->rows) ||
		!has_bytes(result, "times", n * sizeof(int64_t), &out->times) ||
		(out->dtype == DTYPE_I8 &&
			!has_bytes(result, "scales", n * sizeof(float), &out->scales)) ||
		(spec->tags && !has_bytes(result, "tags", n * sizeof(uint64_t), &out->tags)) ||
		(raw && spec->kind == REP_CR && spec->history == 0 &&
			!has_bytes(result, "weights", n * sizeof(double), &out->weights)) ||
		(spec->history != 0 && !has_history(result, spec, n, out))) {
		return error_set(err, STATUS_PROTOCOL, "scan: a column that is missing or cut");
	}
	return STATUS_OK;
}

static size_t aligned(size_t len)
{
	return (len + COLUMN_ALIGN - 1) / COLUMN_ALIGN * COLUMN_ALIGN;
}

/* Copies one column behind the others; NULL for one that is not there. */
static const void *place(struct walk *walk, size_t *at, struct wire_bytes column)
{
	if (column.data == NULL) {
		return NULL;
	}
	assert(*at % COLUMN_ALIGN == 0 && column.len <= walk->cap - *at);
	uint8_t *target = walk->data + *at;
	memcpy(target, column.data, column.len);
	*at += aligned(column.len);
	return target;
}

static enum status keep_columns(struct walk *walk, const struct columns *columns,
	struct rep_scan *scan, struct error *err)
{
	size_t bytes = COLUMN_ALIGN + aligned(columns->keys.len) + aligned(columns->rows.len) +
		       aligned(columns->scales.len) + aligned(columns->times.len) +
		       aligned(columns->tags.len) + aligned(columns->weights.len) +
		       aligned(columns->history_counts.len) + aligned(columns->history_times.len);
	if (bytes > walk->cap) {
		free(walk->data);
		walk->cap = 0;
		walk->data = aligned_alloc(COLUMN_ALIGN, aligned(bytes));
		if (walk->data == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of rows",
				bytes);
		}
		walk->cap = aligned(bytes);
	}
	size_t at = 0;
	scan->keys = (struct rep_keys){walk->table.spec.key_type, columns->n,
		place(walk, &at, columns->keys), columns->keys.len};
	scan->rows = place(walk, &at, columns->rows);
	scan->scales = place(walk, &at, columns->scales);
	scan->times = place(walk, &at, columns->times);
	scan->tags = place(walk, &at, columns->tags);
	scan->weights = place(walk, &at, columns->weights);
	scan->history = walk->table.spec.history;
	scan->history_counts = place(walk, &at, columns->history_counts);
	scan->history_times = place(walk, &at, columns->history_times);
	scan->dtype = (enum rep_dtype)columns->dtype;
	scan->dim = walk->table.spec.dim;
	scan->views = row_views(&walk->table.spec);
	scan->stride = columns->stride;
	return STATUS_OK;
}

/* Reads a reply. A cursor that stands still is refused: the walk would never end. */
static enum status read_reply(struct wire_value result, enum rep_dtype dtype, struct walk *walk,
	struct rep_scan *scan, struct error *err)
{
	struct columns columns = {0};
	uint64_t sequence = 0;
	uint64_t cursor = 0;
	bool more = field_uint(result, "cursor", &cursor);
	if (!field_uint(result, "sequence", &sequence) ||
		!field_is(result, "release", walk->release) ||
		(more && scan->more && cursor == scan->cursor)) {
		return error_set(err, STATUS_PROTOCOL, "scan: an answer that does not go on");
	}
	enum status status =
		read_columns(result, &walk->table.spec, dtype, scan->raw, &columns, err);
	if (status == STATUS_OK) {
		status = keep_columns(walk, &columns, scan, err);
	}
	if (status == STATUS_OK) {
		walk->began = true;
		memcpy(scan->release, walk->release, sizeof walk->release);
		scan->sequence = sequence;
		scan->cursor = cursor;
		scan->more = more;
	}
	return status;
}

/* The daemon bounds how many shards there may be. */
static enum status check_asked(const struct rep_scan *scan, struct error *err)
{
	enum status status = RESERVED_CHECK("rep_scan", scan, err);
	if (status != STATUS_OK || (scan->shard == 0 && scan->shards == 0)) {
		return status;
	}
	if (scan->shard >= scan->shards) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rep_scan: shard %" PRIu32 " of %" PRIu32 " given, 0 to shards - 1 allowed",
			scan->shard, scan->shards);
	}
	return STATUS_OK;
}

/* One request and its reply; a reply that does not fit ends the connection. */
static enum status step(rep_client *client, struct walk *walk, enum rep_dtype dtype,
	struct rep_scan *scan, struct error *err)
{
	struct reply reply = {0};
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = read_reply(reply.result, dtype, walk, scan, err);
		if (status == STATUS_PROTOCOL) {
			client_disconnect(client);
		}
	}
	reply_close(&reply);
	return status;
}

/* NOLINTNEXTLINE(readability-function-size): the public face names every part of it */
enum rep_status rep_scan_next(rep_client *client, const char *release, const char *table,
	enum rep_dtype dtype, uint32_t limit, struct rep_scan *scan, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct walk *walk = scan->memory;
	const enum status asked = check_asked(scan, err);
	if (asked != STATUS_OK) {
		return (enum rep_status)asked;
	}
	if (walk == NULL) {
		walk = calloc(1, sizeof *walk);
		if (walk == NULL) {
			error_set(err, STATUS_NO_MEMORY, "no memory for a scan");
			return REP_NO_MEMORY;
		}
		enum status status =
			record_show_table(client, release, table, &walk->table, walk->release, err);
		if (status != STATUS_OK) {
			free(walk);
			return (enum rep_status)status;
		}
		*scan = (struct rep_scan){.raw = scan->raw,
			.memory = walk,
			.shard = scan->shard,
			.shards = scan->shards};
	} else if (walk->began && !scan->more) {
		return (enum rep_status)error_set(err, STATUS_BAD_REQUEST,
			"the scan is at its end");
	}
	write_request(client, walk, scan, table, dtype, limit);
	return (enum rep_status)step(client, walk, dtype, scan, err);
}

void rep_scan_free(struct rep_scan *scan)
{
	struct walk *walk = scan->memory;
	if (walk != NULL) {
		free(walk->data);
		free(walk);
	}
	*scan = (struct rep_scan){0};
}
