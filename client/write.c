/* write.c - puts and deletes in a sealed release, one by one or pipelined, and merges. */
#include "client/write.h"
#include "client/clock.h"
#include "client/field.h"
#include "client/keys.h"
#include "client/pipeline.h"
#include "client/reserved.h"
#include "client/rows.h"
#include "schema/limits.h"

/* ---- the requests ---- */

static void write_name(struct wire_writer *writer, const char *name, const char *text)
{
	wire_write_str(writer, name);
	wire_write_str(writer, text);
}

struct wire_writer *write_begin(struct request *request, const char *method, size_t fields,
	const char *release)
{
	struct wire_writer *writer = request_begin(request, method, 1 + fields);
	write_name(writer, "release", release != NULL ? release : "live");
	return writer;
}

static enum status check_table(const char *table, struct error *err)
{
	return table != NULL ? STATUS_OK : error_set(err, STATUS_BAD_REQUEST, "table: none given");
}

/* Only the table tells how many bytes a row has, but each row must have equally many. */
static enum status check_bytes(const struct rep_rows *rows, struct error *err)
{
	uint32_t count = rows->keys.count;
	bool whole = count > 0 ? rows->rows_bytes > 0 && rows->rows_bytes % count == 0
			       : rows->rows_bytes == 0;
	return whole ? STATUS_OK
		     : error_set(err, STATUS_BAD_REQUEST,
			       "rows_bytes: %zu given, which is not so many for each of %u rows",
			       rows->rows_bytes, count);
}

static enum status check_part(const struct rep_put_part *part, struct error *err)
{
	const struct rep_rows *rows = part->rows;
	enum status status = check_table(part->table, err);
	if (status == STATUS_OK) {
		status = rows_check(rows, (enum dtype)rows->dtype, err);
	}
	return status == STATUS_OK ? check_bytes(rows, err) : status;
}

static enum status check_parts(const struct rep_put_part *parts, size_t count, struct error *err)
{
	if (count == 0 || count > LIMIT_PARTS) {
		return error_set(err, STATUS_BAD_REQUEST, "parts: %zu given, 1..%d allowed", count,
			LIMIT_PARTS);
	}
	for (size_t i = 0; i < count; i++) {
		enum status status = RESERVED_CHECK("rep_put_part", &parts[i], err);
		if (status == STATUS_OK) {
			status = check_part(&parts[i], err);
		}
		if (status == STATUS_OK && parts[i].rows->if_newer != parts[0].rows->if_newer) {
			status = error_set(err, STATUS_BAD_REQUEST,
				"if_newer: not the same as in the first part");
		}
		if (status != STATUS_OK) {
			return count == 1 ? status
					  : error_set(err, status, "parts[%zu].%s", i,
						    err == NULL ? "" : err->text);
		}
	}
	return STATUS_OK;
}

/* One table's columns. */
static void write_part(struct request *request, const struct rep_put_part *part, size_t parts)
{
	write_name(&request->writer, "table", part->table);
	rows_write(request, part->rows, part->rows->rows_bytes, parts);
}

enum status write_put(struct request *request, const char *release,
	const struct rep_put_part *parts, size_t count, struct error *err)
{
	enum status status = check_parts(parts, count, err);
	if (status != STATUS_OK) {
		return status;
	}
	const bool if_newer = parts[0].rows->if_newer;
	const size_t fields = count == 1 ? 1 + rows_fields(parts[0].rows) : 1;
	struct wire_writer *writer = write_begin(request, "put", if_newer + fields, release);
	if (if_newer) {
		wire_write_str(writer, "if_newer");
		wire_write_bool(writer, true);
	}
	if (count == 1) {
		write_part(request, &parts[0], count);
		return STATUS_OK;
	}
	wire_write_str(writer, "parts");
	wire_write_array(writer, count);
	for (size_t i = 0; i < count; i++) {
		/* Rows of all parts but the last are copied: a request has one tail. */
		if (request->tail.len > 0) {
			wire_write_raw(writer, request->tail.data, request->tail.len);
		}
		wire_write_map(writer, 1 + rows_fields(parts[i].rows));
		write_part(request, &parts[i], count);
	}
	return STATUS_OK;
}

enum status write_delete(struct request *request, const char *release, const char *table,
	const struct rep_keys *keys, struct error *err)
{
	enum status status = check_table(table, err);
	if (status == STATUS_OK) {
		status = keys_check(keys, err);
	}
	if (status == STATUS_OK) {
		struct wire_writer *writer = write_begin(request, "delete", 2, release);
		write_name(writer, "table", table);
		wire_write_str(writer, "keys");
		keys_write(writer, keys, 1);
	}
	return status;
}

/* ---- the answers ---- */

enum status write_read(struct wire_value result, struct rep_written *out, struct error *err)
{
	struct rep_written written = {0};
	bool read = field_text(result, "release", written.release, sizeof written.release) &&
		    field_uint(result, "sequence", &written.sequence) &&
		    (field_uint(result, "applied", &written.count) ||
			    field_uint(result, "deleted", &written.count));
	(void)field_uint(result, "next", &written.next);
	if (!read) {
		return error_set(err, STATUS_PROTOCOL, "a write was answered in an unknown way");
	}
	if (out != NULL) {
		*out = written;
	}
	return STATUS_OK;
}

/* Reads an answer and lets go of it. What lies once may lie again: the connection is
 * closed when it is not one to a write. */
static enum status finish_write(rep_client *client, struct reply *reply, struct rep_written *out,
	struct error *err)
{
	const enum status status = write_read(reply->result, out, err);
	reply_close(reply);
	if (status != STATUS_OK) {
		client_disconnect(client);
	}
	return status;
}

enum status write_call(rep_client *client, struct rep_written *out, struct error *err)
{
	struct reply reply = {0};
	enum status status =
		client_call(client, CLIENT_ONCE, client_deadline_ms(client), &reply, err);
	return status == STATUS_OK ? finish_write(client, &reply, out, err) : status;
}

enum status write_send(rep_client *client, struct error *err)
{
	client_drop_dead(client);
	return pipeline_send(client, CLIENT_WRITES, err);
}

/* ---- the public functions ---- */

enum rep_status rep_put_parts(rep_client *client, const char *release,
	const struct rep_put_part *parts, size_t count, struct rep_written *out,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = write_put(client_request(client), release, parts, count, err);
	return (enum rep_status)(status == STATUS_OK ? write_call(client, out, err) : status);
}

enum rep_status rep_put(rep_client *client, const char *release, const char *table,
	const struct rep_rows *rows, struct rep_written *out, struct rep_error *rep_err)
{
	const struct rep_put_part part = {.table = table, .rows = rows};
	return rep_put_parts(client, release, &part, 1, out, rep_err);
}

enum rep_status rep_delete(rep_client *client, const char *release, const char *table,
	struct rep_keys keys, struct rep_written *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = write_delete(client_request(client), release, table, &keys, err);
	return (enum rep_status)(status == STATUS_OK ? write_call(client, out, err) : status);
}

enum rep_status rep_put_parts_send(rep_client *client, const char *release,
	const struct rep_put_part *parts, size_t count, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = write_put(client_request(client), release, parts, count, err);
	return (enum rep_status)(status == STATUS_OK ? write_send(client, err) : status);
}

enum rep_status rep_put_send(rep_client *client, const char *release, const char *table,
	const struct rep_rows *rows, struct rep_error *rep_err)
{
	const struct rep_put_part part = {.table = table, .rows = rows};
	return rep_put_parts_send(client, release, &part, 1, rep_err);
}

enum rep_status rep_delete_send(rep_client *client, const char *release, const char *table,
	struct rep_keys keys, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = write_delete(client_request(client), release, table, &keys, err);
	return (enum rep_status)(status == STATUS_OK ? write_send(client, err) : status);
}

enum rep_status rep_write_receive(rep_client *client, struct rep_written *out,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	enum status status = pipeline_receive(client, CLIENT_WRITES, &reply, err);
	return (enum rep_status)(
		status == STATUS_OK ? finish_write(client, &reply, out, err) : status);
}
