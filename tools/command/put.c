/* put.c - repstore put, repstore delete: a row of the live release by hand. */
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/key_argument.h"
#include "tools/command/options.h"
#include "tools/command/table_argument.h"
#include "tools/format/json_write.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/row_time.h"
#include "tools/format/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Stands for "no time given"; it is above every time. */
static const uint64_t time_not_given = UINT64_MAX;

/* The arguments, and what is made of them. */
struct write {
	const char *release; /* of --release, or NULL */
	struct place place;
	struct rep_release target; /* that release; it stays the same if another is published */
	const char *table;
	uint64_t time; /* as it is given */
	int64_t time_ms;
	struct row_time_rule rule;
	uint64_t tags; /* 0: not given; the daemon stores 0 then */
	bool if_newer;
	struct rep_table shape;
	struct buffer keys;
	struct buffer row;
	struct rep_written written;
};

static void write_fini(struct write *write)
{
	buffer_fini(&write->keys);
	buffer_fini(&write->row);
}

/* Asks for the release and the table's shape, and reads the keys, whose type the table tells. */
static int prepare(struct session *session, struct write *write, const struct rest *keys)
{
	struct rep_error err;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, write->place.release, &write->target, &err) !=
			REP_OK ||
		rep_table_show(session->client, write->target.id, write->table, &write->shape,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	return key_argument_pack(session, write->shape.spec.key_type, keys, &write->keys);
}

static struct rep_keys keys_of(const struct write *write, int count)
{
	return (struct rep_keys){write->shape.spec.key_type, (uint32_t)count, write->keys.data,
		write->keys.len};
}

static int print_json(const struct session *session, const struct write *write, const char *count)
{
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_text(&json, "release", write->written.release);
	json_write_u64(&json, "sequence", write->written.sequence);
	json_write_u64(&json, count, write->written.count);
	json_write_object_end(&json);
	json_write_line(&json);
	return session_finish(session, EXIT_DONE);
}

/* ---- put ---- */

/* Sets element `at` of a row of bits. */
static bool read_bit(const char *text, uint8_t *row, size_t at)
{
	bool set = strcmp(text, "1") == 0;
	if (set) {
		row[at / 8] |= (uint8_t)(0x80u >> at % 8);
	}
	return set || strcmp(text, "0") == 0;
}

static bool read_float(const char *text, uint8_t *row, size_t at)
{
	float value = 0;
	bool read = argument_float(text, &value);
	memcpy(row + at * sizeof value, &value, sizeof value);
	return read;
}

/* Reads a row: bits for a table of bits, f32 for any other; the daemon converts. */
static int read_row(const struct session *session, struct write *write, const struct rest *values)
{
	const struct rep_table_spec *spec = &write->shape.spec;
	bool bits = spec->dtype == REP_BIT;
	enum rep_dtype dtype = bits ? REP_BIT : REP_F32;
	size_t needed = (size_t)spec->dim * spec->views;
	if ((size_t)values->count != needed) {
		return session_usage(session,
			"put: %d values given, %zu needed, apart by spaces: a row of '%s' is %u x %u",
			values->count, needed, write->table, spec->views, spec->dim);
	}
	size_t bytes = rep_row_bytes(dtype, spec->dim, spec->views);
	uint8_t *row = buffer_room(&write->row, bytes);
	if (row == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for a row");
	}
	memset(row, 0, bytes);
	write->row.len = bytes;
	for (uint32_t i = 0; i < needed; i++) {
		const char *text = values->values[i];
		size_t at = jsonl_index(dtype, spec->dim, i / spec->dim, i % spec->dim);
		if (!(bits ? read_bit(text, row, at) : read_float(text, row, at))) {
			return session_usage(session,
				bits ? "'%s': elements of '%s' are 0 or 1"
				     : "'%s': not an element of '%s', a finite number that f32 holds",
				text, write->table);
		}
	}
	return EXIT_DONE;
}

/* Refuses what the table's dtype cannot hold, before the daemon does by the names of the wire. */
static int check_row(const struct session *session, const struct write *write)
{
	struct error err;
	const struct source_options options = {.spec = &write->shape.spec, .cannot_allow = true};
	const bool bits = write->shape.spec.dtype == REP_BIT;
	const struct rep_rows rows = {
		.keys = keys_of(write, 1),
		.dtype = bits ? REP_BIT : REP_F32,
		.rows = write->row.data,
	};
	return source_check(&rows, &options, "put", 0, &err) == STATUS_OK
		       ? EXIT_DONE
		       : session_refuse_error(session, &err);
}

static int send_put(struct session *session, struct write *write)
{
	const struct rep_rows rows = {
		.keys = keys_of(write, 1),
		.dtype = write->shape.spec.dtype == REP_BIT ? REP_BIT : REP_F32,
		.rows = write->row.data,
		.rows_bytes = write->row.len,
		.times = write->time != time_not_given ? &write->time_ms : NULL,
		.tags = write->tags != 0 ? &write->tags : NULL,
		.any_time = write->rule.any,
		.if_newer = write->if_newer,
	};
	struct rep_error err;
	if (rep_put(session->client, write->target.id, write->table, &rows, &write->written,
		    &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	if (session->json) {
		return print_json(session, write, "applied");
	}
	if (write->written.count > 0) {
		printf("put into %s/%s, sequence %" PRIu64 "\n", write->written.release,
			write->table, write->written.sequence);
	} else {
		printf("not put: the row in %s/%s is not older\n", write->written.release,
			write->table);
	}
	return session_finish(session, EXIT_DONE);
}

/* Turns --time into milliseconds. */
static int read_time(const struct session *session, struct write *write)
{
	struct error err;
	if (write->time == time_not_given) {
		return EXIT_DONE;
	}
	write->time_ms = write->time <= INT64_MAX ? (int64_t)write->time : INT64_MAX;
	return row_time_take(&write->rule, &write->time_ms, "--time", &err) == STATUS_OK
		       ? EXIT_DONE
		       : session_usage(session, "%s", err.text);
}

static int run_put(struct session *session, int argc, char **argv)
{
	struct write write = {.time = time_not_given};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &write.release},
		{"time", OPTION_COUNT, &write.time},
		{"time-unit", OPTION_TIME_UNIT, &write.rule.unit},
		{"any-time", OPTION_FLAG, &write.rule.any},
		{"tags", OPTION_BITS, &write.tags},
		{"if-newer", OPTION_FLAG, &write.if_newer},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 3) {
		return session_usage(session, "put: a table, a key and its values");
	}
	status = read_time(session, &write);
	if (status != EXIT_DONE) {
		return status;
	}
	const struct rest key = {.count = 1, .values = rest.values + 1};
	const struct rest values = {.count = rest.count - 2, .values = rest.values + 2};
	status = table_argument_read(session, rest.values[0], write.release, &write.place);
	if (status != EXIT_DONE) {
		return status;
	}
	write.table = write.place.table;
	status = prepare(session, &write, &key);
	if (status == EXIT_DONE) {
		status = read_row(session, &write, &values);
	}
	if (status == EXIT_DONE) {
		status = check_row(session, &write);
	}
	if (status == EXIT_DONE) {
		status = send_put(session, &write);
	}
	write_fini(&write);
	return status;
}

const struct command cmd_put = {
	.name = "put",
	.summary = "writes a row of the live release",
	.usage = "put [RELEASE/]TABLE KEY VALUE... [--release ID] [--time T]\n"
		 "         [--time-unit ms|s|us|ns] [--any-time] [--tags BITS] [--if-newer]\n",
	.help = "  --release  another sealed release than the live one; as RELEASE/TABLE\n"
		"  --time     of the row, Unix time; the daemon's clock unless told\n"
		"  --time-unit  of --time: ms (unless told), s, us or ns\n"
		"  --any-time   takes a time before 1990 or over an hour ahead\n"
		"  --tags     64 bits, decimal or 0x...; 0 unless told\n"
		"  --if-newer  writes only where the stored row is older, or there is none\n"
		"As many values as the table's views x dim: numbers, which may be negative, or 0\n"
		"and 1 for a table of bits. A key of bytes is written as it is, or as hex:0a1b; one\n"
		"that begins with - stands behind `--`. What was put is durable when this returns.\n"
		"Many rows at once: `repstore import live/TABLE ...`.\n",
	.run = run_put,
};

/* ---- delete ---- */

static int send_delete(struct session *session, struct write *write, int count)
{
	struct rep_error err;
	if (rep_delete(session->client, write->target.id, write->table, keys_of(write, count),
		    &write->written, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	if (session->json) {
		return print_json(session, write, "deleted");
	}
	printf("%" PRIu64 " of %d keys deleted from %s/%s, sequence %" PRIu64 "\n",
		write->written.count, count, write->written.release, write->table,
		write->written.sequence);
	return session_finish(session, EXIT_DONE);
}

static int run_delete(struct session *session, int argc, char **argv)
{
	struct write write = {0};
	const struct option_row rows[] = {{"release", OPTION_TEXT, &write.release}};
	struct rest rest;
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 2) {
		return session_usage(session, "delete: a table and keys, such as `delete ur 1 2`");
	}
	const struct rest keys = {.count = rest.count - 1, .values = rest.values + 1};
	status = table_argument_read(session, rest.values[0], write.release, &write.place);
	if (status != EXIT_DONE) {
		return status;
	}
	write.table = write.place.table;
	status = prepare(session, &write, &keys);
	if (status == EXIT_DONE) {
		status = send_delete(session, &write, keys.count);
	}
	write_fini(&write);
	return status;
}

const struct command cmd_delete = {
	.name = "delete",
	.summary = "deletes rows of the live release",
	.usage = "delete [RELEASE/]TABLE KEY... [--release ID]\n",
	.help = "  --release  another sealed release than the live one; as RELEASE/TABLE\n"
		"A key of bytes is written as it is, or as hex:0a1b. Keys that are not there are\n"
		"passed over. What was deleted stays so when this returns.\n",
	.run = run_delete,
};
