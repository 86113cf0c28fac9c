/* observe.c - samples of cross representations, vectors for histories, positions of their sources, the
 * chosen layer. */
#include "client/field.h"
#include "client/hello.h"
#include "client/keys.h"
#include "client/reserved.h"
#include "client/rows.h"
#include "client/write.h"
#include "schema/dtype.h"

#include <stdlib.h>

/* ---- samples ---- */

static bool is_given(const struct rep_keys *keys)
{
	return keys->type != 0;
}

static enum status check_keys(const struct rep_keys *keys, uint32_t count, const char *what,
	struct error *err)
{
	if (!is_given(keys)) {
		return STATUS_OK;
	}
	const enum status status = keys_check(keys, err);
	if (status != STATUS_OK) {
		return error_set(err, status, "%s: %s", what, err == NULL ? "" : err->text);
	}
	return keys->count == count
		       ? STATUS_OK
		       : error_set(err, STATUS_BAD_REQUEST, "%s: %u given for %u samples", what,
				 keys->count, count);
}

static enum status check_samples(const struct rep_samples *samples, struct error *err)
{
	const size_t count = samples->count;
	if (samples->layer == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "layer: none given");
	}
	if (dtype_row_bytes((enum dtype)samples->dtype, 1, 1) == 0 || samples->dtype == REP_BIT) {
		return error_set(err, STATUS_BAD_REQUEST, "dtype: %d given", (int)samples->dtype);
	}
	if ((samples->dtype == REP_I8) != (samples->scales != NULL)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"scales: i8 rows need them, others have none");
	}
	const bool whole = count > 0 ? samples->times != NULL && samples->rows != NULL &&
					       samples->rows_bytes > 0 &&
					       samples->rows_bytes % count == 0
				     : samples->rows_bytes == 0;
	if (!whole) {
		return error_set(err, STATUS_BAD_REQUEST,
			"rows_bytes: %zu given, which is not so many for each of %zu samples; "
			"times and rows are needed",
			samples->rows_bytes, count);
	}
	enum status status = RESERVED_CHECK("rep_samples", samples, err);
	if (status == STATUS_OK) {
		status = check_keys(&samples->users, samples->count, "users", err);
	}
	return status == STATUS_OK ? check_keys(&samples->items, samples->count, "items", err)
				   : status;
}

static void write_keys(struct wire_writer *writer, const char *name, const struct rep_keys *keys)
{
	if (is_given(keys)) {
		wire_write_str(writer, name);
		keys_write(writer, keys, 2);
	}
}

/* How many entries write_columns writes. */
static size_t count_columns(const struct rep_samples *samples)
{
	return 3 + (size_t)(samples->scales != NULL) + (size_t)samples->any_time +
	       (samples->source != NULL ? 2u + samples->first : 0u);
}

/* Writes all of a batch but whose it is. */
static void write_columns(struct request *request, struct wire_writer *writer,
	const struct rep_samples *samples)
{
	wire_write_str(writer, "dtype");
	wire_write_str(writer, dtype_name((enum dtype)samples->dtype));
	if (samples->source != NULL) {
		wire_write_str(writer, "source");
		wire_write_str(writer, samples->source);
		wire_write_str(writer, "position");
		wire_write_uint(writer, samples->position);
	}
	if (samples->source != NULL && samples->first) {
		wire_write_str(writer, "first");
		wire_write_bool(writer, true);
	}
	wire_write_str(writer, "times");
	wire_write_bin(writer, samples->times, samples->count * sizeof(int64_t));
	if (samples->any_time) {
		wire_write_str(writer, "any_time");
		wire_write_bool(writer, true);
	}
	if (samples->scales != NULL) {
		wire_write_str(writer, "scales");
		wire_write_bin(writer, samples->scales, samples->count * sizeof(float));
	}
	request_write_tail(request, "rows",
		(struct wire_bytes){samples->rows, samples->rows_bytes});
}

enum status write_observe(struct request *request, const char *release,
	const struct rep_samples *samples, struct error *err)
{
	const enum status status = check_samples(samples, err);
	if (status != STATUS_OK) {
		return status;
	}
	const size_t fields = 1 + (size_t)is_given(&samples->users) +
			      (size_t)is_given(&samples->items) + count_columns(samples);
	struct wire_writer *writer = write_begin(request, "observe", fields, release);
	wire_write_str(writer, "layer");
	wire_write_str(writer, samples->layer);
	write_keys(writer, "users", &samples->users);
	write_keys(writer, "items", &samples->items);
	write_columns(request, writer, samples);
	return STATUS_OK;
}

enum status write_append(struct request *request, const char *release,
	const struct rep_vectors *vectors, struct error *err)
{
	/* A batch of samples, but for whom they are. */
	const struct rep_samples samples = {
		.layer = vectors->table,
		.count = vectors->keys.count,
		.times = vectors->times,
		.dtype = vectors->dtype,
		.any_time = vectors->any_time,
		.rows = vectors->rows,
		.rows_bytes = vectors->rows_bytes,
		.scales = vectors->scales,
		.source = vectors->source,
		.position = vectors->position,
		.first = vectors->first,
	};
	enum status status = vectors->table != NULL
				     ? RESERVED_CHECK("rep_vectors", vectors, err)
				     : error_set(err, STATUS_BAD_REQUEST, "table: none given");
	if (status == STATUS_OK) {
		status = keys_check(&vectors->keys, err);
	}
	if (status == STATUS_OK) {
		status = check_samples(&samples, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	struct wire_writer *writer =
		write_begin(request, "append", 2 + count_columns(&samples), release);
	request->needs |= HELLO_HISTORY;
	wire_write_str(writer, "table");
	wire_write_str(writer, vectors->table);
	write_keys(writer, "keys", &vectors->keys);
	write_columns(request, writer, &samples);
	return STATUS_OK;
}

enum rep_status rep_observe(rep_client *client, const char *release,
	const struct rep_samples *samples, struct rep_written *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = write_observe(client_request(client), release, samples, err);
	return (enum rep_status)(status == STATUS_OK ? write_call(client, out, err) : status);
}

enum rep_status rep_observe_send(rep_client *client, const char *release,
	const struct rep_samples *samples, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = write_observe(client_request(client), release, samples, err);
	return (enum rep_status)(status == STATUS_OK ? write_send(client, err) : status);
}

enum rep_status rep_append(rep_client *client, const char *release,
	const struct rep_vectors *vectors, struct rep_written *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = write_append(client_request(client), release, vectors, err);
	return (enum rep_status)(status == STATUS_OK ? write_call(client, out, err) : status);
}

enum rep_status rep_append_send(rep_client *client, const char *release,
	const struct rep_vectors *vectors, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = write_append(client_request(client), release, vectors, err);
	return (enum rep_status)(status == STATUS_OK ? write_send(client, err) : status);
}

/* ---- positions ---- */

static enum status read_positions(struct wire_value result, struct rep_position **out,
	size_t *count, struct error *err)
{
	const struct wire_value list = wire_get(result, "positions");
	const size_t size = wire_size(list);
	struct rep_position *positions = calloc(size + 1, sizeof *positions);
	if (positions == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for %zu positions", size);
	}
	bool read = wire_type(list) == WIRE_ARRAY;
	for (size_t i = 0; read && i < size; i++) {
		const struct wire_value each = wire_item(list, i);
		struct rep_position *to = &positions[i];
		read = field_text(each, "layer", to->layer, sizeof to->layer) &&
		       field_text(each, "source", to->source, sizeof to->source) &&
		       field_uint(each, "next", &to->next);
		(void)wire_uint(wire_get(each, "durable"), &to->durable);
		(void)wire_int(wire_get(each, "counted_ms"), &to->counted_ms);
	}
	if (!read) {
		free(positions);
		return error_set(err, STATUS_PROTOCOL, "positions were answered in an unknown way");
	}
	*out = positions;
	*count = size;
	return STATUS_OK;
}

enum rep_status rep_positions(rep_client *client, const char *release, struct rep_position **out,
	size_t *count, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct wire_writer *writer = client_begin(client, "positions", release != NULL ? 1 : 0);
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	enum status status =
		client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply, err);
	if (status == STATUS_OK) {
		status = read_positions(reply.result, out, count, err);
	}
	reply_close(&reply);
	return (enum rep_status)status;
}

/* ---- layers ---- */

enum rep_status rep_layer_choose(rep_client *client, const char *release, const char *layer,
	struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	if (layer == NULL) {
		return (enum rep_status)error_set(err, STATUS_BAD_REQUEST, "layer: none given");
	}
	struct wire_writer *writer =
		write_begin(client_request(client), "layer.choose", 1, release);
	wire_write_str(writer, "layer");
	wire_write_str(writer, layer);
	return (enum rep_status)client_call_plain(client, CLIENT_ONCE, client_deadline_ms(client),
		err);
}
