/* served.c - repstore served: what the log of served rows holds. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/served_check.h"
#include "tools/format/json.h"
#include "tools/format/json_write.h"
#include "tools/format/jsonl_row.h"
#include "tools/format/served_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- one fetch ---- */

static void write_key(struct json_writer *json, const struct served_rows *rows, const uint8_t *key)
{
	if (rows->key_type == KEY_U64) {
		uint64_t number = 0;
		memcpy(&number, key, sizeof number);
		json_write_u64(json, NULL, number);
	} else if (json_is_utf8(key + 1, key[0])) {
		json_write_string(json, NULL, key + 1, key[0]);
	} else {
		json_write_object(json, NULL);
		json_write_hex(json, "hex", key + 1, key[0]);
		json_write_object_end(json);
	}
}

static const uint8_t *next_key(const struct served_rows *rows, const uint8_t *key)
{
	return key + (rows->key_type == KEY_U64 ? sizeof(uint64_t) : 1u + key[0]);
}

static bool is_found(const struct served_rows *rows, uint32_t i)
{
	return (rows->found[i / 8] >> i % 8 & 1) != 0;
}

/* As few digits as read back as the same value of its dtype. */
static void write_element(struct json_writer *json, enum dtype dtype, double element)
{
	if (dtype == DTYPE_F64) {
		json_write_double(json, NULL, element);
	} else {
		json_write_float(json, NULL, (float)element);
	}
}

/* A row as one array, of all views. null: it was not found. */
static void write_row(struct json_writer *json, const struct served_rows *rows, uint32_t i)
{
	const uint8_t *row = rows->rows + i * rows->stride;
	float scale = 1;
	if (!is_found(rows, i)) {
		json_write_null(json, NULL);
		return;
	}
	if (rows->scales != NULL) {
		memcpy(&scale, rows->scales + i * sizeof scale, sizeof scale);
	}
	json_write_array(json, NULL);
	for (uint32_t view = 0; view < rows->views; view++) {
		for (uint32_t j = 0; j < rows->dim; j++) {
			const size_t at =
				jsonl_index((enum rep_dtype)rows->dtype, rows->dim, view, j);
			write_element(json, rows->dtype,
				jsonl_element((enum rep_dtype)rows->dtype, row, at) *
					(double)scale);
		}
	}
	json_write_array_end(json);
}

static void write_part(struct json_writer *json, const struct served_rows *rows)
{
	json_write_object(json, NULL);
	json_write_text(json, "table", rows->table.text);
	json_write_text(json, "dtype", dtype_name(rows->dtype));
	json_write_u64(json, "dim", rows->dim);
	json_write_u64(json, "views", rows->views);
	if (rows->raw) {
		json_write_bool(json, "raw", true);
	}
	if (rows->through) {
		json_write_bool(json, "through", true);
	}
	json_write_array(json, "keys");
	const uint8_t *key = rows->keys;
	for (uint32_t i = 0; i < rows->count; i++) {
		write_key(json, rows, key);
		key = next_key(rows, key);
	}
	json_write_array_end(json);
	json_write_array(json, "found");
	for (uint32_t i = 0; i < rows->count; i++) {
		json_write_bool(json, NULL, is_found(rows, i));
	}
	json_write_array_end(json);
	if (rows->rows != NULL) {
		json_write_array(json, "rows");
		for (uint32_t i = 0; i < rows->count; i++) {
			write_row(json, rows, i);
		}
		json_write_array_end(json);
	}
	json_write_object_end(json);
}

static void write_record(const struct served_record *record)
{
	struct json_writer json = {.out = stdout};
	json_write_object(&json, NULL);
	json_write_i64(&json, "time", record->time_ms);
	json_write_text(&json, "release", record->release);
	json_write_u64(&json, "sequence", record->sequence);
	json_write_text(&json, "client", record->client);
	json_write_array(&json, "parts");
	for (size_t i = 0; i < record->part_count; i++) {
		struct served_rows rows;
		if (served_record_rows(record, i, &rows)) {
			write_part(&json, &rows);
		} else {
			json_write_null(&json, NULL);
		}
	}
	json_write_array_end(&json);
	json_write_object_end(&json);
	json_write_line(&json);
}

/* ---- files ---- */

/* Writes the fetches of a file. *damaged: set if it is. */
static enum status dump_file(const char *path, bool *damaged, struct error *err)
{
	struct served_reader reader;
	struct served_record record;
	bool more = true;
	enum status status = served_reader_open(path, &reader, err);
	if (status != STATUS_OK) {
		return status;
	}
	while (status == STATUS_OK && more && !ferror(stdout)) {
		status = served_reader_next(&reader, &record, &more, err);
		if (status == STATUS_OK && more) {
			write_record(&record);
		}
	}
	if (status == STATUS_OK) {
		status = mapping_check(err);
	}
	if (status == STATUS_OK && reader.end == SERVED_END_CUT) {
		fprintf(stderr, "repstore: '%s' ends in a part of a fetch, at byte %zu\n", path,
			reader.at);
	}
	if (status == STATUS_OK && reader.end == SERVED_END_DAMAGED) {
		fprintf(stderr,
			"repstore: '%s' is damaged at byte %zu; what stands behind is not read\n",
			path, reader.at);
		*damaged = true;
	}
	served_reader_close(&reader);
	return status;
}

static int run(struct session *session, int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "check") == 0) {
		return served_check_run(session, argc - 1, argv + 1);
	}
	struct rest rest;
	struct error err = {0};
	bool damaged = false;
	const int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count == 0) {
		return session_usage(session, "served: one FILE or more");
	}
	for (int i = 0; i < rest.count; i++) {
		if (dump_file(rest.values[i], &damaged, &err) != STATUS_OK) {
			return session_refuse_error(session, &err);
		}
	}
	return session_finish(session, damaged ? EXIT_REFUSED : EXIT_DONE);
}

const struct command cmd_served = {
	.name = "served",
	.summary = "what fetches were answered, and whether training or a dump has the same",
	.usage = "served FILE ...\n"
		 "       repstore served check FILE ... --features F.npz [--release ID]\n"
		 "         [--tolerance X] [--allow SHARE]\n"
		 "       repstore served check FILE ... --dump TABLE=FILE.npz ... --release ID\n"
		 "         [--tolerance X] [--allow SHARE]\n",
	.help = "Writes each fetch of the files as one JSON object a line, in the order of the files:\n"
		"time (Unix ms), release, sequence, client, and of each table its keys, which of them\n"
		"were found, and their rows if they were logged: one array a row, of all views; null\n"
		"where none was found. A file whose last fetch is cut, as it is while it is written,\n"
		"is read up to there. Where a file is damaged the exit status is 1.\n"
		"The daemon's settings [served] file, rate and rows make such files.\n"
		"\n"
		"`check` holds them against a training set of `layer features`: each row that was\n"
		"served against the row of the key's first sample at that time or later, which is\n"
		"the state of that moment. The set must have all samples of the stream. It prints,\n"
		"for each table and each hour (UTC) of which more differs than is allowed: rows\n"
		"compared; of these, rows that differ; the skew, which is the share of keys that\n"
		"differ or that one side lacks; the largest and the mean of rows' largest\n"
		"differences; keys that training has and serving did not find, and the other way\n"
		"round; keys without a later sample, of which nothing is known. With --json all\n"
		"hours. Where there is skew, the exit status is 1.\n"
		"With --dump it is what the release held that they are held against: npz files that\n"
		"`dump RELEASE/TABLE` has written. A key whose row in the dump is of a later time than\n"
		"the fetch was written since, and is unknown; what was deleted since is one that the\n"
		"dump lacks. Histories, sums and bits are not compared.\n"
		"  --features   the training set\n"
		"  --dump       a table and its dump; may be given several times\n"
		"  --release    fetches from this release alone\n"
		"  --tolerance  rows differ when elements are apart by more than so much of the\n"
		"               row's largest (f32 1e-5, f16 1e-3, bf16 8e-3, i8 1e-2)\n"
		"  --allow      a share of keys in an hour that is no skew (0)\n",
	.run = run,
};
