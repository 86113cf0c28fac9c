/* fetch.c - rows of keys, from one snapshot of one release. */
#include "client/fetch.h"

#include "client/client.h"
#include "client/field.h"
#include "client/hello.h"
#include "client/keys.h"
#include "client/pipeline.h"
#include "client/reserved.h"
#include "schema/dtype.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One part of an answer, after it was checked against what was asked. */
struct answer {
	char table[sizeof((struct rep_part *)0)->resolved];
	uint32_t dim;
	uint32_t views;
	enum dtype dtype;
	bool is_placed; /* the rows were received into a part's memory */
	size_t stride;
	struct wire_bytes found;
	struct wire_bytes rows;
	struct wire_bytes scales; /* i8 only */
	struct wire_bytes times;
	struct wire_bytes tags;
	struct wire_bytes weights;
	uint64_t history;      /* places of a row; 0: the table has no histories */
	uint64_t history_room; /* for times of so many */
	struct wire_bytes history_counts;
	struct wire_bytes history_times;
	struct wire_bytes why;
	uint8_t *moved; /* owned: rows that were received into another part's memory; or NULL */
};

/* ---- the request ---- */

static enum status check_part(const struct rep_part *part, size_t i, struct error *err)
{
	if (part->table == NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "parts[%zu]: no table", i);
	}
	if (part->max_age_ms != 0 && !part->has_max_age) {
		return error_set(err, STATUS_BAD_REQUEST,
			"parts[%zu]: max_age_ms given, has_max_age goes with it", i);
	}
	if (part->missing != REP_MISSING_ZERO && part->missing != REP_MISSING_DEFAULT) {
		return error_set(err, STATUS_BAD_REQUEST,
			"parts[%zu]: missing: %d given, REP_MISSING_ZERO or REP_MISSING_DEFAULT "
			"allowed",
			i, (int)part->missing);
	}
	const enum status status = RESERVED_CHECK("rep_part", part, err);
	return status == STATUS_OK ? keys_check(&part->keys, err) : status;
}

static void write_flag(struct wire_writer *writer, const char *name, bool wanted)
{
	if (wanted) {
		wire_write_str(writer, name);
		wire_write_bool(writer, true);
	}
}

static void write_part(struct wire_writer *writer, const struct rep_part *part, size_t parts)
{
	size_t fields = 2 + (part->dtype != REP_DTYPE_TABLE) + part->has_max_age +
			(part->times != NULL) + (part->tags != NULL) + (part->why != NULL) +
			part->raw + (part->weights != NULL) + (part->through_count != 0) +
			(part->missing == REP_MISSING_DEFAULT) + (part->history_times != NULL);
	wire_write_map(writer, fields);
	wire_write_str(writer, "table");
	wire_write_str(writer, part->table);
	if (part->dtype != REP_DTYPE_TABLE) {
		wire_write_str(writer, "dtype");
		wire_write_str(writer, dtype_name((enum dtype)part->dtype));
	}
	if (part->has_max_age) {
		wire_write_str(writer, "max_age_ms");
		wire_write_uint(writer, part->max_age_ms);
	}
	if (part->through_count != 0) {
		wire_write_str(writer, "through");
		wire_write_array(writer, part->through_count);
		for (size_t i = 0; i < part->through_count; i++) {
			wire_write_str(writer, part->through[i]);
		}
	}
	if (part->missing == REP_MISSING_DEFAULT) {
		wire_write_str(writer, "missing");
		wire_write_str(writer, "default");
	}
	write_flag(writer, "times", part->times != NULL);
	write_flag(writer, "tags", part->tags != NULL);
	write_flag(writer, "why", part->why != NULL);
	write_flag(writer, "raw", part->raw);
	write_flag(writer, "weights", part->weights != NULL);
	write_flag(writer, "history_times", part->history_times != NULL);
	wire_write_str(writer, "keys");
	keys_write(writer, &part->keys, parts);
}

enum status fetch_write(struct request *request, const char *release, const struct rep_part *parts,
	size_t count, struct error *err)
{
	if (count == 0 || count > LIMIT_PARTS) {
		return error_set(err, STATUS_BAD_REQUEST, "parts: %zu given, 1 to %u allowed",
			count, LIMIT_PARTS);
	}
	unsigned needs = 0;
	for (size_t i = 0; i < count; i++) {
		enum status status = check_part(&parts[i], i, err);
		if (status != STATUS_OK) {
			return status;
		}
		needs |= parts[i].missing == REP_MISSING_DEFAULT ? HELLO_DEFAULT_ROW : 0;
		needs |= parts[i].history_times != NULL ? HELLO_HISTORY : 0;
	}
	struct wire_writer *writer = request_begin(request, "fetch", release != NULL ? 2 : 1);
	request->needs |= needs;
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	wire_write_str(writer, "parts");
	wire_write_array(writer, count);
	for (size_t i = 0; i < count; i++) {
		write_part(writer, &parts[i], count);
	}
	return STATUS_OK;
}

/* ---- the answer ---- */

static enum status column_error(const char *name, size_t bytes, struct error *err)
{
	return error_set(err, STATUS_PROTOCOL,
		"fetch: the answer's '%s' has not the %zu bytes that it must", name, bytes);
}

/* A column must have exactly the bytes that its keys need. */
static enum status read_column(struct wire_value part, const char *name, size_t bytes,
	struct wire_bytes *out, struct error *err)
{
	const bool is_right = wire_bin(wire_get(part, name), out) && out->len == bytes;
	return is_right ? STATUS_OK : column_error(name, bytes, err);
}

static enum status read_shape(struct wire_value part, const struct rep_part *asked,
	struct answer *out, struct error *err)
{
	uint64_t n = 0;
	uint64_t dim = 0;
	uint64_t views = 0;
	uint64_t stride = 0;
	struct wire_bytes dtype = {0};
	if (!field_text(part, "table", out->table, sizeof out->table) ||
		!wire_uint(wire_get(part, "n"), &n) || !wire_uint(wire_get(part, "dim"), &dim) ||
		!wire_uint(wire_get(part, "views"), &views) ||
		!wire_uint(wire_get(part, "stride"), &stride) ||
		!wire_str(wire_get(part, "dtype"), &dtype)) {
		return error_set(err, STATUS_PROTOCOL, "fetch: an answer without its shape");
	}
	out->dtype = dtype_of_name((const char *)dtype.data, dtype.len);
	out->history_room = asked->history;
	if (n != asked->keys.count || dim == 0 || dim > LIMIT_DIM || views == 0 ||
		views > LIMIT_VIEWS || out->dtype == DTYPE_NONE ||
		(asked->dtype != REP_DTYPE_TABLE && out->dtype != (enum dtype)asked->dtype)) {
		return error_set(err, STATUS_PROTOCOL,
			"fetch: an answer of another shape than asked");
	}
	const struct wire_value history = wire_get(part, "history");
	if (wire_type(history) != WIRE_ABSENT &&
		(!wire_uint(history, &out->history) || out->history == 0 || out->history > views ||
			views % out->history != 0)) {
		return error_set(err, STATUS_PROTOCOL,
			"fetch: an answer of another shape than asked");
	}
	out->dim = (uint32_t)dim;
	out->views = (uint32_t)views;
	out->stride = dtype_row_bytes(out->dtype, out->dim, out->views);
	if (stride != out->stride) {
		return error_set(err, STATUS_PROTOCOL,
			"fetch: rows of %" PRIu64 " bytes where %zu are right", stride,
			out->stride);
	}
	return STATUS_OK;
}

/* The rows of the bin that was the k-th, from 1, to be received past the message. */
static struct wire_bytes placed_rows(const struct fetch_answer *from, unsigned k)
{
	for (size_t i = 0; i < from->places_count; i++) {
		if (from->places[i].filled == k) {
			return (struct wire_bytes){from->places[i].memory, from->places[i].bytes};
		}
	}
	return (struct wire_bytes){0};
}

/* Of rows that were received past the message an empty bin is left. */
static enum status read_rows(const struct fetch_answer *from, unsigned *placed,
	struct wire_value part, size_t bytes, struct answer *out, struct error *err)
{
	struct wire_bytes rows;
	if (bytes > 0 && wire_bin(wire_get(part, "rows"), &rows) && rows.len == 0) {
		out->rows = placed_rows(from, ++*placed);
		out->is_placed = true;
		return out->rows.len == bytes ? STATUS_OK : column_error("rows", bytes, err);
	}
	return read_column(part, "rows", bytes, &out->rows, err);
}

static enum status read_answer(struct wire_value part, const struct rep_part *asked,
	struct answer *out, struct error *err)
{
	enum status status = read_shape(part, asked, out, err);
	if (status != STATUS_OK) {
		return status;
	}
	size_t n = asked->keys.count;
	bool has_tags = wire_type(wire_get(part, "tags")) != WIRE_ABSENT;
	const struct {
		const char *name;
		bool wanted;
		size_t bytes;
		struct wire_bytes *out;
	} columns[] = {
		{"found", true, (n + 7) / 8, &out->found},
		{"scales", out->dtype == DTYPE_I8, n * sizeof(float), &out->scales},
		{"times", asked->times != NULL, n * sizeof(int64_t), &out->times},
		{"tags", asked->tags != NULL && has_tags, n * sizeof(uint64_t), &out->tags},
		{"weights", asked->weights != NULL, n * sizeof(double), &out->weights},
		{"counts", asked->history_counts != NULL && out->history != 0, n * sizeof(uint32_t),
			&out->history_counts},
		{"history_times", asked->history_times != NULL, n * out->history * sizeof(int64_t),
			&out->history_times},
		{"why", asked->why != NULL, n, &out->why},
	};
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		if (!columns[i].wanted) {
			continue;
		}
		status = read_column(part, columns[i].name, columns[i].bytes, columns[i].out, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

static void copy_column(void *target, struct wire_bytes column, size_t bytes)
{
	if (target == NULL || bytes == 0 || target == column.data) {
		return;
	}
	if (column.len == bytes) {
		memcpy(target, column.data, bytes);
	} else {
		memset(target, 0, bytes); /* the table does not have this column */
	}
}

static uint32_t count_found(struct wire_bytes found, uint32_t n)
{
	uint32_t count = 0;
	for (size_t i = 0; i < found.len; i++) {
		unsigned byte = found.data[i];
		if (i == n / 8) {
			byte &= (1u << n % 8) - 1; /* the bits behind the last key say nothing */
		}
		count += (uint32_t)__builtin_popcount(byte);
	}
	return count;
}

static void fill_shape(const struct answer *answer, struct rep_part *part)
{
	part->dim = answer->dim;
	part->views = answer->views;
	part->row_dtype = (enum rep_dtype)answer->dtype;
	part->stride = answer->stride;
	part->history = answer->history;
}

static void fill_part(const struct answer *answer, struct rep_part *part)
{
	size_t n = part->keys.count;
	assert(answer->rows.len == n * answer->stride && answer->found.len == (n + 7) / 8);
	assert(part->rows == NULL || answer->rows.len <= part->rows_bytes);
	part->found_count = count_found(answer->found, part->keys.count);
	copy_column(part->rows, answer->rows, n * answer->stride);
	copy_column(part->found, answer->found, (n + 7) / 8);
	copy_column(part->scales, answer->scales, n * sizeof(float));
	copy_column(part->times, answer->times, n * sizeof(int64_t));
	copy_column(part->tags, answer->tags, n * sizeof(uint64_t));
	copy_column(part->weights, answer->weights, n * sizeof(double));
	copy_column(part->history_counts, answer->history_counts, n * sizeof(uint32_t));
	copy_column(part->history_times, answer->history_times,
		n * answer->history * sizeof(int64_t));
	copy_column(part->why, answer->why, n);
	memcpy(part->resolved, answer->table, sizeof part->resolved);
}

static enum status read_answers(const struct fetch_answer *from, const struct rep_part *parts,
	size_t count, struct answer *out, struct error *err)
{
	const struct wire_value list = wire_get(from->result, "parts");
	unsigned placed = 0;
	for (size_t i = 0; i < count; i++) {
		const struct wire_value part = wire_item(list, i);
		out[i] = (struct answer){0};
		enum status status = read_answer(part, &parts[i], &out[i], err);
		if (status == STATUS_OK) {
			status = read_rows(from, &placed, part, parts[i].keys.count * out[i].stride,
				&out[i], err);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	/* A bin that was taken for rows and is none has left its column empty: nothing is lost. */
	return STATUS_OK;
}

static enum status check_room(const struct answer *answers, const struct rep_part *parts,
	size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].rows != NULL && parts[i].rows_bytes < answers[i].rows.len) {
			return error_set(err, STATUS_TOO_LARGE,
				"parts[%zu] ('%s'): %zu bytes of rows, room for %zu", i,
				parts[i].table, answers[i].rows.len, parts[i].rows_bytes);
		}
		if (parts[i].history_times != NULL &&
			answers[i].history_room < answers[i].history) {
			return error_set(err, STATUS_TOO_LARGE,
				"parts[%zu] ('%s'): %" PRIu64 " places a row, history has %" PRIu64,
				i, parts[i].table, answers[i].history, answers[i].history_room);
		}
	}
	return STATUS_OK;
}

static bool is_within(const struct rep_part *part, const uint8_t *data)
{
	const uint8_t *rows = part->rows;
	return rows != NULL && data >= rows && data < rows + part->rows_bytes;
}

/* Where the memory of one part has room for more rows than it got, and as many as another part got, these
 * may have been received there. They are taken aside, before that part is filled. */
static enum status move_rows(struct answer *answers, const struct rep_part *parts, size_t count,
	struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct wire_bytes *rows = &answers[i].rows;
		bool is_elsewhere = false;
		for (size_t j = 0; j < count && answers[i].is_placed; j++) {
			is_elsewhere = is_elsewhere || (j != i && is_within(&parts[j], rows->data));
		}
		if (!is_elsewhere) {
			continue;
		}
		answers[i].moved = malloc(rows->len);
		if (answers[i].moved == NULL) {
			return error_set(err, STATUS_NO_MEMORY, "no memory for %zu bytes of rows",
				rows->len);
		}
		memcpy(answers[i].moved, rows->data, rows->len);
		rows->data = answers[i].moved;
	}
	return STATUS_OK;
}

/* Fills all parts, or none but for rows that were received into their memory. */
static enum status fill_parts(struct answer *answers, struct rep_part *parts, size_t count,
	struct error *err)
{
	enum status status = check_room(answers, parts, count, err);
	if (status == STATUS_OK) {
		status = move_rows(answers, parts, count, err);
	}
	for (size_t i = 0; i < count; i++) {
		if (status == STATUS_OK) {
			fill_part(&answers[i], &parts[i]);
		}
		free(answers[i].moved);
	}
	return status;
}

enum status fetch_read(const struct fetch_answer *answer, struct rep_part *parts, size_t count,
	struct rep_fetched *out, struct error *err)
{
	struct answer answers[LIMIT_PARTS];
	struct rep_fetched fetched = {.lag_ms = answer->lag_ms};
	const struct wire_value list = wire_get(answer->result, "parts");
	if (wire_type(list) != WIRE_ARRAY || wire_size(list) != count ||
		!field_text(answer->result, "release", fetched.release, sizeof fetched.release) ||
		!field_uint(answer->result, "sequence", &fetched.sequence)) {
		return error_set(err, STATUS_PROTOCOL, "fetch: an answer without its parts");
	}
	enum status status = read_answers(answer, parts, count, answers, err);
	if (status != STATUS_OK) {
		return status;
	}
	for (size_t i = 0; i < count; i++) {
		fill_shape(&answers[i], &parts[i]);
	}
	status = fill_parts(answers, parts, count, err);
	if (status == STATUS_OK && out != NULL) {
		*out = fetched;
	}
	return status;
}

/* Reads an answer and closes the reply. An answer that does not fit what was asked ends the
 * connection: the next one may be as wrong. */
static enum status finish_fetch(rep_client *client, struct reply *reply, struct rep_part *parts,
	size_t count, struct rep_fetched *out, struct error *err)
{
	const struct transport *transport = &client->transport;
	const struct fetch_answer answer = {.result = reply->result,
		.places = transport->places,
		.places_count = transport->places_count,
		.lag_ms = reply->lag_ms};
	enum status status = fetch_read(&answer, parts, count, out, err);
	reply_close(reply);
	if (status == STATUS_PROTOCOL) {
		client_disconnect(client);
	}
	return status;
}

/* Where large rows are received without a copy: into the memory of each part, if they fill it. That wins where
 * the client is awake while the daemon still writes; elsewhere it costs a system call more than it saves. */
static size_t list_places(const rep_client *client, const struct rep_part *parts, size_t count,
	struct transport_place *places)
{
	size_t listed = 0;
	if (client->transport.spin.most_ns == 0 || !client_is_idle(client)) {
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (parts[i].rows != NULL && parts[i].rows_bytes >= TRANSPORT_PLACE_MIN) {
			places[listed++] = (struct transport_place){.memory = parts[i].rows,
				.bytes = parts[i].rows_bytes};
		}
	}
	return listed;
}

enum rep_status rep_fetch(rep_client *client, const char *release, struct rep_part *parts,
	size_t count, struct rep_fetched *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	enum status status = fetch_write(client_request(client), release, parts, count, err);
	struct transport_place places[LIMIT_PARTS];
	if (status == STATUS_OK) {
		const size_t placed = list_places(client, parts, count, places);
		transport_set_places(&client->transport, places, placed);
		status = client_call(client, CLIENT_REPEATABLE, client_deadline_ms(client), &reply,
			err);
	}
	if (status == STATUS_OK) {
		status = finish_fetch(client, &reply, parts, count, out, err);
	}
	transport_set_places(&client->transport, NULL, 0);
	return (enum rep_status)status;
}

enum rep_status rep_fetch_send(rep_client *client, const char *release,
	const struct rep_part *parts, size_t count, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	enum status status = fetch_write(client_request(client), release, parts, count, err);
	if (status == STATUS_OK) {
		status = pipeline_send(client, CLIENT_FETCHES, err);
	}
	return (enum rep_status)status;
}

enum rep_status rep_fetch_receive(rep_client *client, struct rep_part *parts, size_t count,
	struct rep_fetched *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	enum status status = pipeline_receive(client, CLIENT_FETCHES, &reply, err);
	if (status == STATUS_OK) {
		status = finish_fetch(client, &reply, parts, count, out, err);
	}
	return (enum rep_status)status;
}
