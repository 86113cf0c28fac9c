/* import.c - repstore import: rows from files into a table. An open release gets them as a
 * load, which a later run can go on with. Any other release gets them as puts.
 */
#include "tools/command/command.h"
#include "tools/command/import_load.h"
#include "tools/command/options.h"
#include "tools/command/progress.h"
#include "tools/command/put_stream.h"
#include "tools/command/table_argument.h"
#include "tools/format/file_kind.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	CHUNK_BYTES = 4 << 20,
	CHUNK_ROWS_MAX = 65536,
	BUSY_MS = 60000,
};

/* ---- puts ---- */

static int report_puts(const struct session *session, const struct import *import,
	const struct put_outcome *outcome, double seconds)
{
	const struct place *place = &import->place;
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", place->release);
		json_write_text(&json, "table", place->table);
		json_write_u64(&json, "rows", outcome->rows);
		json_write_u64(&json, "applied", outcome->applied);
		json_write_u64(&json, "puts", outcome->puts);
		json_write_u64(&json, "sequence", outcome->sequence);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf("%" PRIu64 " rows put into %s/%s", outcome->rows, place->release,
			place->table);
		if (import->if_newer) {
			printf(", %" PRIu64 " of them newer", outcome->applied);
		}
		printf(" in %.1f s\n", seconds);
	}
	return session_finish(session, EXIT_DONE);
}

static int put_source(struct session *session, const struct import *import, struct source *source)
{
	const struct put_stream stream = {
		.client = session->client,
		.release = import->place.release,
		.table = import->place.table,
		.spec = &import->table.spec,
		.source = source,
		.if_newer = import->if_newer,
		.busy_ms = BUSY_MS,
	};
	struct put_outcome outcome;
	struct rep_error err = {0};
	struct progress progress;
	progress_begin(&progress, "");
	interrupt_watch();
	enum rep_status status = put_stream_run(&stream, &outcome, &err);
	if (status == REP_OK) {
		return report_puts(session, import, &outcome, progress_end(&progress));
	}
	session_refuse_text(session, (enum status)status, "%s; %" PRIu64 " rows were acknowledged",
		err.text, outcome.rows);
	bool again = import->source.path == NULL || strcmp(import->source.path, "-") != 0;
	if (!outcome.input_wrong && again && session_may_repeat(status) && !session->json) {
		fputs("repstore: the same command again is safe: it puts the same rows\n", stderr);
	}
	interrupt_end();
	return EXIT_REFUSED;
}

/* ---- preparing ---- */

static enum status open_source(const struct import *import, struct source **out, struct error *err)
{
	switch (import->format) {
	case FORMAT_NPY:
		return source_open_npy(&import->source, out, err);
	case FORMAT_NPZ:
		return source_open_npz(&import->source, out, err);
	case FORMAT_SAFETENSORS:
		return source_open_safetensors(&import->source, out, err);
	case FORMAT_MSGPACK:
		return source_open_msgpack(&import->source, out, err);
	case FORMAT_JSONL:
		return source_open_jsonl(&import->source, out, err);
	case FORMAT_NONE:
		break;
	}
	error_set(err, STATUS_INTERNAL, "no format");
	return STATUS_INTERNAL;
}

/* How many rows a chunk of a load has: about 4 MiB in the table's dtype. */
static uint32_t chunk_rows_of(const struct rep_table_spec *spec)
{
	size_t row_bytes = rep_row_bytes(spec->dtype, spec->dim, spec->views);
	size_t rows = row_bytes > 0 ? CHUNK_BYTES / row_bytes : 1;
	if (rows > CHUNK_ROWS_MAX) {
		return CHUNK_ROWS_MAX;
	}
	return rows > 0 ? (uint32_t)rows : 1;
}

/* Connects, and finds out whether the release is open. Its id replaces `live`, so that all rows go
 * into one release even if another is published meanwhile. */
static int find_release(struct session *session, struct import *import)
{
	struct rep_error err;
	struct rep_release release;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, import->place.release, &release, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	import->open = strcmp(release.state, "open") == 0;
	memcpy(import->place.release, release.id, sizeof import->place.release);
	if (!import->open && (import->load != NULL || import->forget != NULL)) {
		return session_usage(session,
			"import: '%s' is %s; --load and --forget are for open releases", release.id,
			release.state);
	}
	if (import->open && import->if_newer) {
		return session_usage(session,
			"import: '%s' is open; --if-newer is for releases that are sealed",
			release.id);
	}
	return EXIT_DONE;
}

static int run_import(struct session *session, struct import *import)
{
	struct rep_error rep_err;
	int status = find_release(session, import);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rep_table_show(session->client, import->place.release, import->place.table,
		    &import->table, &rep_err) != REP_OK) {
		return session_refuse(session, &rep_err);
	}
	struct rep_table_spec *spec = &import->table.spec;
	/* A row of a file has the vectors of all places. */
	spec->views *= spec->history != 0 ? (uint32_t)spec->history : 1;
	import->source.spec = spec;
	/* The chunks of a load that is gone on with must be cut at the same rows each time. */
	import->source.prompt = !import->open || import->load == NULL;
	import->source.chunk_rows = import->open ? chunk_rows_of(spec) : put_stream_rows(spec);
	struct error err;
	struct source *source = NULL;
	if (open_source(import, &source, &err) != STATUS_OK || source == NULL) {
		return session_refuse_error(session, &err);
	}
	status = import->open ? import_load(session, import, source)
			      : put_source(session, import, source);
	source->close(source);
	return status;
}

static int run_forget(struct session *session, struct import *import)
{
	const int status = find_release(session, import);
	return status != EXIT_DONE ? status : import_forget(session, import);
}

/* Checks that the format is known, and that it has what the other arguments ask for. */
static int check_format(const struct session *session, const struct import *import,
	const char *format)
{
	const struct source_options *source = &import->source;
	if (import->format == FORMAT_NONE && format != NULL) {
		return session_usage(session,
			"--format: '%s', " FORMAT_NAMES
			"; npy files are given by --keys and --rows",
			format);
	}
	if (import->format == FORMAT_NONE) {
		const char *kind = file_kind_by_name(source->path);
		return session_usage(session,
			"import: '%s' is not read%s%s\n" FILE_KIND_READ
			"; of other names with --format",
			source->path, kind != NULL ? ": " : "", kind != NULL ? kind : "");
	}
	if ((import->format == FORMAT_NPZ || import->format == FORMAT_SAFETENSORS) &&
		strcmp(source->path, "-") == 0) {
		return session_usage(session,
			"import: npz and safetensors are read from a file, not from standard input");
	}
	if (import->format == FORMAT_MSGPACK && import->source.time.unit != ROW_TIME_MS) {
		return session_usage(session,
			"import: --time-unit: a msgpack dump has milliseconds");
	}
	return EXIT_DONE;
}

/* Checks which arguments may stand together. */
static int check_arguments(const struct session *session, struct import *import, const char *format)
{
	const struct source_options *source = &import->source;
	bool npy = source->keys != NULL || source->rows != NULL;
	if (npy && source->path != NULL) {
		return session_usage(session, "import: either --keys and --rows, or one file");
	}
	if (npy && (source->keys == NULL || source->rows == NULL)) {
		return session_usage(session, "import: --keys and --rows belong together");
	}
	if (!npy && (source->times != NULL || source->scales != NULL || source->tags != NULL ||
			    source->weights != NULL || source->counts != NULL ||
			    source->history_times != NULL)) {
		return session_usage(session,
			"import: --times, --scales, --tags, --weights, --counts and --history-times "
			"come with --keys and --rows");
	}
	if (!npy && source->path == NULL) {
		return session_usage(session, "import: which file?");
	}
	import->format = npy ? FORMAT_NPY : format_find(format, source->path);
	return check_format(session, import, format);
}

static int run(struct session *session, int argc, char **argv)
{
	struct import import = {0};
	const char *format = NULL;
	const char *release = NULL;
	const struct option_row rows[] = {
		{"keys", OPTION_TEXT, &import.source.keys},
		{"rows", OPTION_TEXT, &import.source.rows},
		{"times", OPTION_TEXT, &import.source.times},
		{"time-unit", OPTION_TIME_UNIT, &import.source.time.unit},
		{"any-time", OPTION_FLAG, &import.source.time.any},
		{"scales", OPTION_TEXT, &import.source.scales},
		{"tags", OPTION_TEXT, &import.source.tags},
		{"weights", OPTION_TEXT, &import.source.weights},
		{"counts", OPTION_TEXT, &import.source.counts},
		{"history-times", OPTION_TEXT, &import.source.history_times},
		{"format", OPTION_TEXT, &format},
		{"release", OPTION_TEXT, &release},
		{"load", OPTION_TEXT, &import.load},
		{"forget", OPTION_TEXT, &import.forget},
		{"allow-nonfinite", OPTION_FLAG, &import.source.allow_nonfinite},
		{"if-newer", OPTION_FLAG, &import.if_newer},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 1) {
		return session_usage(session, "import: into which RELEASE/TABLE?");
	}
	if (rest.count > 2) {
		return session_usage(session,
			"import: '%s': not expected; one file, or --keys K.npy --rows R.npy",
			rest.values[2]);
	}
	status = table_argument_read(session, rest.values[0], release, &import.place);
	if (status != EXIT_DONE) {
		return status;
	}
	if (import.forget != NULL) {
		return run_forget(session, &import);
	}
	import.source.path = rest.count == 2 ? rest.values[1] : NULL;
	status = check_arguments(session, &import, format);
	return status != EXIT_DONE ? status : run_import(session, &import);
}

const struct command cmd_import = {
	.name = "import",
	.summary = "rows from files into a table",
	.usage = "import RELEASE/TABLE --keys K.npy --rows R.npy [--times T.npy] [--scales S.npy]\n"
		 "         [--tags G.npy] [--weights W.npy] [--allow-nonfinite]\n"
		 "         [--counts C.npy --history-times H.npy]\n"
		 "         [--time-unit ms|s|us|ns] [--any-time]\n"
		 "         [--if-newer | --load NAME]\n"
		 "       repstore import RELEASE/TABLE FILE.npz | FILE.safetensors\n"
		 "       repstore import RELEASE/TABLE FILE.msgpack | FILE.jsonl\n"
		 "       repstore import RELEASE/TABLE --format msgpack|jsonl -\n"
		 "       repstore import RELEASE/TABLE --forget LOAD\n",
	.help = "  --release  RELEASE, where TABLE alone is named; the live one unless told\n"
		"  --keys     integers, or S for a table of byte strings\n"
		"  --rows     [n, views x dim] or [n, views, dim] of f4, f2, u2 (bf16), i1 (i8) or\n"
		"             u1 (packed bits)\n"
		"  --times    i8, Unix time; without them rows get the daemon's clock\n"
		"  --time-unit  of --times, or of `time` in jsonl: ms (unless told), s, us or ns\n"
		"  --any-time   takes times before 1990 and times over an hour ahead, which are\n"
		"             refused otherwise: they look like another unit\n"
		"  --scales   f4, one a row of i8\n"
		"  --tags     u8, 64 bits a row\n"
		"  --weights  f8 or f4, of a table of kind cr, whose rows are sums (dump --raw), in f8 or\n"
		"             f4; 1 unless given\n"
		"  --counts, --history-times   of a table with a history, whose rows are\n"
		"             [n, history, dim], the oldest vector first: u4, how many of the places\n"
		"             are taken, and i8 [n, history], the times of all; there are no --times\n"
		"  --allow-nonfinite   takes NaN and infinities\n"
		"  --if-newer  writes only where the stored row is older, or there is none; into a\n"
		"             release that is sealed or `live`\n"
		"  --load     the name under which an interrupted import is gone on with; it is\n"
		"             made of what the files hold otherwise\n"
		"  --forget   drops what an interrupted import has sent\n"
		"One npz (np.savez) or safetensors file has the same as its arrays: keys, rows, and\n"
		"times, scales, tags, weights, counts, history_times if there are any.\n"
		"Arrays are checked whole before anything is sent. After an interruption the\n"
		"same command goes on where the daemon stands. Of a key given twice the last wins.\n"
		"A release that is sealed or `live` gets the rows as puts: each is in effect once it\n"
		"is acknowledged. There is no load then, and the same command again begins anew,\n"
		"which is safe. A daemon that is busy is waited for, up to a minute.\n",
	.run = run,
};
