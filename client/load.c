/* load.c - sends a table's rows in numbered chunks, several under way at once. */
#include "client/client.h"
#include "client/clock.h"
#include "client/field.h"
#include "client/rows.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct rep_load {
	rep_client *client; /* borrowed */
	char *release;      /* owned */
	char *table;        /* owned */
	char *name;         /* owned */
	uint32_t dim;
	uint32_t views;
	enum dtype dtype; /* of the table */
	uint64_t next;    /* the chunk to send */
	uint64_t rows;    /* that the daemon held when this began, and that were sent since */
	/* A ring: the msgids of chunks [next - in_flight, next), sent and not acknowledged. */
	uint32_t msgids[LIMIT_CHUNKS_IN_FLIGHT];
	unsigned in_flight;
	struct error failed; /* the first failure; every later call returns it again */
};

static void load_free(struct rep_load *load)
{
	if (load != NULL) {
		free(load->release);
		free(load->table);
		free(load->name);
		free(load);
	}
}

/* The map entries that name a load. */
enum { NAME_FIELDS = 3 };

static void write_name(struct wire_writer *writer, const struct rep_load *load)
{
	wire_write_str(writer, "release");
	wire_write_str(writer, load->release);
	wire_write_str(writer, "table");
	wire_write_str(writer, load->table);
	wire_write_str(writer, "load");
	wire_write_str(writer, load->name);
}

/* ---- begin ---- */

/* Finds this load among those of the daemon, and how far it is. */
static enum status find_progress(struct rep_load *load, struct wire_value result, struct error *err)
{
	struct wire_value loads = wire_get(result, "loads");
	for (size_t i = 0; i < wire_size(loads); i++) {
		struct wire_value each = wire_item(loads, i);
		if (!field_is(each, "table", load->table) || !field_is(each, "load", load->name)) {
			continue;
		}
		if (!field_uint(each, "next_chunk", &load->next) ||
			!field_uint(each, "rows", &load->rows)) {
			return error_set(err, STATUS_PROTOCOL,
				"a load is described in an unknown way");
		}
	}
	return STATUS_OK;
}

static enum status find_shape(struct rep_load *load, struct wire_value result, struct error *err)
{
	struct wire_value tables = wire_get(result, "table_list");
	for (size_t i = 0; i < wire_size(tables); i++) {
		struct wire_value each = wire_item(tables, i);
		if (!field_is(each, "table", load->table)) {
			continue;
		}
		struct wire_bytes dtype = {0};
		uint64_t dim = 0;
		uint64_t views = 0;
		uint64_t history = 0; /* its places are so many views */
		(void)wire_uint(wire_get(each, "history"), &history);
		if (field_uint(each, "dim", &dim) && field_uint(each, "views", &views) &&
			dim <= LIMIT_DIM && views <= LIMIT_VIEWS && history <= LIMIT_HISTORY &&
			wire_str(wire_get(each, "dtype"), &dtype)) {
			load->dim = (uint32_t)dim;
			load->views = (uint32_t)(history == 0 ? views : views * history);
			load->dtype = dtype_of_name((const char *)dtype.data, dtype.len);
		}
		if (dtype_row_bytes(load->dtype, load->dim, load->views) == 0) {
			return error_set(err, STATUS_PROTOCOL,
				"a table is described in an unknown way");
		}
		return STATUS_OK;
	}
	return error_set(err, STATUS_NOT_FOUND, "release '%s' has no table '%s'", load->release,
		load->table);
}

static enum status ask_progress(struct rep_load *load, struct error *err)
{
	struct wire_writer *writer = client_begin(load->client, "release.show", 1);
	wire_write_str(writer, "release");
	wire_write_str(writer, load->release);
	struct reply reply = {0};
	enum status status = client_call(load->client, CLIENT_REPEATABLE,
		client_deadline_ms(load->client), &reply, err);
	if (status == STATUS_OK && !field_is(reply.result, "state", "open")) {
		status = error_set(err, STATUS_SEALED,
			"release '%s' is sealed: a load needs an open one", load->release);
	}
	if (status == STATUS_OK) {
		status = find_shape(load, reply.result, err);
	}
	if (status == STATUS_OK) {
		status = find_progress(load, reply.result, err);
	}
	reply_close(&reply);
	return status;
}

/* NOLINTNEXTLINE(readability-function-size): the public face names every part of it */
enum rep_status rep_load_begin(rep_client *client, const char *release, const char *table,
	const char *name, rep_load **out, uint64_t *next_chunk, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	if (release == NULL || table == NULL || name == NULL) {
		return (enum rep_status)error_set(err, STATUS_BAD_REQUEST,
			"%s: NULL given, a name allowed",
			release == NULL ? "release" : (table == NULL ? "table" : "load"));
	}
	struct rep_load *load = calloc(1, sizeof *load);
	if (load == NULL) {
		error_set(err, STATUS_NO_MEMORY, "no memory for a load");
		return REP_NO_MEMORY;
	}
	load->client = client;
	load->release = strdup(release);
	load->table = strdup(table);
	load->name = strdup(name);
	enum status status = STATUS_OK;
	if (load->release == NULL || load->table == NULL || load->name == NULL) {
		status = error_set(err, STATUS_NO_MEMORY, "no memory for a load");
	} else {
		status = ask_progress(load, err);
	}
	if (status != STATUS_OK) {
		load_free(load);
		return (enum rep_status)status;
	}
	if (next_chunk != NULL) {
		*next_chunk = load->next;
	}
	*out = load;
	return REP_OK;
}

/* ---- chunks ---- */

/* Remembers a failure. Later chunks would be refused as gaps, which would hide the reason. */
static enum status fail(struct rep_load *load, enum status status, const struct error *why,
	struct error *err)
{
	assert(status != STATUS_OK && status != STATUS_AGAIN);
	load->failed = *why;
	load->failed.status = status;
	if (err != NULL) {
		*err = load->failed;
	}
	return status;
}

static enum status repeat_failure(const struct rep_load *load, struct error *err)
{
	if (err != NULL && load->failed.status != STATUS_OK) {
		*err = load->failed;
	}
	return load->failed.status;
}

/* Takes the answer to the oldest chunk under way. AGAIN: with TRANSPORT_NOW_MS it is not there
 * yet. */
static enum status take_answer(struct rep_load *load, int64_t deadline_ms, struct error *err)
{
	assert(load->in_flight > 0 && load->in_flight <= load->next);
	uint64_t oldest = load->next - load->in_flight;
	struct reply reply = {0};
	struct error why = {0};
	enum status status = client_receive(load->client,
		load->msgids[oldest % LIMIT_CHUNKS_IN_FLIGHT], deadline_ms, &reply, &why);
	if (status == STATUS_AGAIN) {
		return status;
	}
	load->in_flight--;
	uint64_t next = 0;
	if (status == STATUS_OK &&
		(!field_uint(reply.result, "next_chunk", &next) || next <= oldest)) {
		status = error_set(&why, STATUS_PROTOCOL,
			"chunk %" PRIu64 " was acknowledged as %" PRIu64, oldest, next);
	}
	reply_close(&reply);
	return status == STATUS_OK ? STATUS_OK : fail(load, status, &why, err);
}

/* rows_bytes: out, of all rows. */
static enum status check_chunk(const struct rep_load *load, const struct rep_rows *rows,
	size_t *rows_bytes, struct error *err)
{
	enum dtype dtype = rows->dtype != REP_DTYPE_TABLE ? (enum dtype)rows->dtype : load->dtype;
	enum status status = rows_check(rows, dtype, err);
	if (status != STATUS_OK) {
		return status;
	}
	uint32_t count = rows->keys.count;
	size_t row_bytes = dtype_row_bytes(dtype, load->dim, load->views);
	if (count > LIMIT_MESSAGE_BYTES / row_bytes) {
		return error_set(err, STATUS_TOO_LARGE,
			"a chunk of %u rows of %zu bytes; a request has at most %u MiB", count,
			row_bytes, LIMIT_MESSAGE_BYTES >> 20);
	}
	if (rows->rows_bytes != 0 && rows->rows_bytes != count * row_bytes) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rows_bytes: %zu given, %u rows of '%s' have %zu", rows->rows_bytes, count,
			load->table, count * row_bytes);
	}
	if (rows->if_newer) {
		return error_set(err, STATUS_BAD_REQUEST, "if_newer: only a put has it");
	}
	*rows_bytes = count * row_bytes;
	return STATUS_OK;
}

static void write_chunk(struct rep_load *load, const struct rep_rows *rows, size_t rows_bytes)
{
	/* No limit is told: it would count the time that a chunk waits behind those before it. */
	struct wire_writer *writer =
		client_begin_long(load->client, "load", NAME_FIELDS + 1 + rows_fields(rows));
	write_name(writer, load);
	wire_write_str(writer, "chunk");
	wire_write_uint(writer, load->next);
	rows_write(&load->client->request, rows, rows_bytes, 1);
}

/* Waits until fewer than `most` chunks are under way. */
static enum status drain(struct rep_load *load, unsigned most, struct error *err)
{
	while (load->in_flight > most) {
		enum status status = take_answer(load, client_deadline_ms(load->client), err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

/* Takes the answers that are there already, so that a refusal is known early. */
static enum status take_ready(struct rep_load *load, struct error *err)
{
	while (load->in_flight > 0) {
		enum status status = take_answer(load, TRANSPORT_NOW_MS, err);
		if (status != STATUS_OK) {
			return status == STATUS_AGAIN ? STATUS_OK : status;
		}
	}
	return STATUS_OK;
}

enum rep_status rep_load_chunk(rep_load *load, const struct rep_rows *rows,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	size_t bytes = 0;
	enum status status = repeat_failure(load, err);
	if (status == STATUS_OK) {
		status = check_chunk(load, rows, &bytes, err);
	}
	if (status == STATUS_OK) {
		status = take_ready(load, err);
	}
	if (status == STATUS_OK) {
		status = drain(load, LIMIT_CHUNKS_IN_FLIGHT - 1, err);
	}
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	struct error why = {0};
	if (!client_connected(load->client)) {
		status = error_set(&why, STATUS_CLOSED,
			"the connection was lost during load '%s'; begin it again to go on",
			load->name);
		return (enum rep_status)fail(load, status, &why, err);
	}
	assert(load->in_flight < LIMIT_CHUNKS_IN_FLIGHT); /* the ring of msgids has room */
	write_chunk(load, rows, bytes);
	uint32_t msgid = 0;
	status = client_send(load->client, client_deadline_ms(load->client), &msgid, &why);
	if (status != STATUS_OK) {
		return (enum rep_status)fail(load, status, &why, err);
	}
	load->msgids[load->next % LIMIT_CHUNKS_IN_FLIGHT] = msgid;
	load->next++;
	load->in_flight++;
	load->rows += rows->keys.count;
	return REP_OK;
}

/* ---- end ---- */

enum rep_status rep_load_end(rep_load *load, uint64_t *rows, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = repeat_failure(load, err);
	if (status == STATUS_OK) {
		status = drain(load, 0, err);
	}
	if (status == STATUS_OK) {
		struct wire_writer *writer =
			client_begin(load->client, "load.end", NAME_FIELDS + 2);
		write_name(writer, load);
		wire_write_str(writer, "chunks");
		wire_write_uint(writer, load->next);
		wire_write_str(writer, "rows");
		wire_write_uint(writer, load->rows);
		/* The daemon takes a second end, so this may be sent again. */
		status = client_call_plain(load->client, CLIENT_REPEATABLE,
			client_deadline_ms(load->client), err);
	}
	if (status == STATUS_OK && rows != NULL) {
		*rows = load->rows;
	}
	rep_load_leave(load);
	return (enum rep_status)status;
}

void rep_load_leave(rep_load *load)
{
	if (load == NULL) {
		return;
	}
	/* An answer that comes when nobody waits for it would look like a broken stream. */
	if (load->in_flight > 0 && drain(load, 0, NULL) != STATUS_OK && load->in_flight > 0) {
		client_disconnect(load->client);
	}
	load_free(load);
}

enum rep_status rep_load_abort(rep_load *load, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	/* A chunk that is applied after the abort would begin the load anew. */
	while (load->in_flight > 0 && client_connected(load->client)) {
		take_answer(load, client_deadline_ms(load->client), NULL);
	}
	struct wire_writer *writer = client_begin(load->client, "load.abort", NAME_FIELDS);
	write_name(writer, load);
	enum status status = client_call_plain(load->client, CLIENT_REPEATABLE,
		client_deadline_ms(load->client), err);
	if (status == STATUS_NOT_FOUND) {
		status = STATUS_OK; /* it never began */
	}
	load_free(load);
	return (enum rep_status)status;
}
