/* dump.c - repstore dump: a table's rows into files. */
#include "schema/dtype.h"
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/progress.h"
#include "tools/command/scan_reply.h"
#include "tools/command/table_argument.h"
#include "tools/format/format_name.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"
#include "tools/format/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The arguments. */
struct dump {
	struct place place;
	struct rep_table table;
	struct sink_options sink;
	enum format format;
	const char *dtype;
	struct shard_argument shard; /* 0 of 0: the whole table */
};

static enum status open_sink(const struct dump *dump, struct sink **out, struct error *err)
{
	switch (dump->format) {
	case FORMAT_NPY:
		return sink_open_npy(&dump->sink, out, err);
	case FORMAT_NPZ:
		return sink_open_npz(&dump->sink, out, err);
	case FORMAT_SAFETENSORS:
		return sink_open_safetensors(&dump->sink, out, err);
	case FORMAT_MSGPACK:
		return sink_open_msgpack(&dump->sink, out, err);
	case FORMAT_JSONL:
		return sink_open_jsonl(&dump->sink, out, err);
	case FORMAT_NONE:
		break;
	}
	error_set(err, STATUS_INTERNAL, "no format");
	return STATUS_INTERNAL;
}

/* Walks through the table and writes its rows into the sink. */
static int copy_rows(struct session *session, const struct dump *dump, struct sink *sink)
{
	struct rep_scan scan = {.raw = dump->sink.raw,
		.shard = dump->shard.number,
		.shards = dump->shard.count};
	const uint64_t parts = dump->shard.count > 0 ? dump->shard.count : 1;
	struct rep_error rep_err;
	struct error err;
	struct progress progress;
	int status = EXIT_DONE;
	progress_begin(&progress, "dump");
	interrupt_watch();
	do {
		if (rep_scan_next(session->client, dump->place.release, dump->place.table,
			    dump->table.spec.dtype, scan_reply_rows(&dump->table.spec), &scan,
			    &rep_err) != REP_OK) {
			status = session_refuse(session, &rep_err);
		} else if (sink->write(sink, &scan, &err) != STATUS_OK) {
			status = session_refuse_error(session, &err);
		} else if (interrupt_seen()) {
			status = session_refuse_text(session, STATUS_CLOSED,
				"interrupted; no file was made");
		}
		progress_update(&progress, sink->rows, dump->table.rows / parts, sink->rows);
	} while (status == EXIT_DONE && scan.more);
	progress_end(&progress);
	rep_scan_free(&scan);
	return status;
}

/* Tells what was dumped, unless the dump itself went to standard output. */
static int report(struct session *session, const struct dump *dump, uint64_t scanned,
	uint64_t written, double seconds)
{
	if (dump->sink.path != NULL && strcmp(dump->sink.path, "-") == 0) {
		return session_finish(session, EXIT_DONE);
	}
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", dump->place.release);
		json_write_text(&json, "table", dump->place.table);
		json_write_u64(&json, "rows", written);
		json_write_u64(&json, "rows_scanned", scanned);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf("%" PRIu64 " rows of %s/%s in %.1f s", written, dump->place.release,
			dump->place.table, seconds);
		if (scanned != written) {
			printf("; the table has %" PRIu64, scanned);
		}
		putchar('\n');
	}
	return session_finish(session, EXIT_DONE);
}

/* Checks what is asked of histories. */
static int check_history(const struct session *session, const struct dump *dump)
{
	const struct rep_table_spec *spec = &dump->table.spec;
	const bool has_places = dump->sink.counts != NULL || dump->sink.history_times != NULL;
	if (has_places && spec->history == 0) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--counts and --history-times: the table has no histories");
	}
	if (dump->sink.raw && spec->history != 0) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--raw is for sums; a dump of histories is what import takes back without it");
	}
	return EXIT_DONE;
}

/* Finds the dump's dtype, and checks that the table has the columns that are asked for. */
static int check_table(struct session *session, struct dump *dump)
{
	struct rep_table_spec *spec = &dump->table.spec;
	if (dump->sink.raw && dump->dtype != NULL) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--dtype %s: given with --raw, which dumps sums in full, as f64, and takes "
			"no --dtype",
			dump->dtype);
	}
	if (dump->dtype != NULL) {
		enum dtype dtype = dtype_of_name(dump->dtype, strlen(dump->dtype));
		if (dtype == DTYPE_NONE || !dtype_convertible((enum dtype)spec->dtype, dtype)) {
			return session_refuse_text(session, STATUS_BAD_REQUEST,
				"--dtype %s: the table holds %s, which does not convert into it",
				dump->dtype, dtype_name((enum dtype)spec->dtype));
		}
		spec->dtype = (enum rep_dtype)dtype;
	}
	if (spec->dtype == REP_F64) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--dtype f64: allowed for sums, which --raw dumps in it");
	}
	const int status = check_history(session, dump);
	if (status != EXIT_DONE) {
		return status;
	}
	bool i8 = spec->dtype == REP_I8;
	if (dump->format == FORMAT_NPY && i8 && dump->sink.scales == NULL) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"i8 rows mean nothing without --scales; or --dtype f32");
	}
	if (dump->sink.scales != NULL && !i8) {
		return session_refuse_text(session, STATUS_BAD_REQUEST, "only i8 rows have scales");
	}
	if (dump->sink.raw && spec->kind != REP_CR) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--raw is for tables of kind cr, whose sums are dumped in full, as f64");
	}
	if (dump->sink.weights != NULL && !dump->sink.raw) {
		return session_refuse_text(session, STATUS_BAD_REQUEST,
			"--weights comes with --raw: they are those of the sums");
	}
	if (dump->sink.tags != NULL && !spec->tags) {
		return session_refuse_text(session, STATUS_BAD_REQUEST, "the table has no tags");
	}
	if (dump->sink.raw) {
		spec->dtype = REP_F64;
	}
	return EXIT_DONE;
}

/* Asks the daemon for the table. The release's id replaces `live`, so that all rows are of the same
 * table even if another release is published meanwhile. */
static int find_table(struct session *session, struct dump *dump)
{
	struct rep_error err;
	struct rep_release release;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_release_show(session->client, dump->place.release, &release, &err) != REP_OK ||
		rep_table_show(session->client, release.id, dump->place.table, &dump->table,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	memcpy(dump->place.release, release.id, sizeof dump->place.release);
	/* A row of a file has the vectors of all places. */
	struct rep_table_spec *spec = &dump->table.spec;
	spec->views *= spec->history != 0 ? (uint32_t)spec->history : 1;
	return EXIT_DONE;
}

static int run_dump(struct session *session, struct dump *dump)
{
	int status = find_table(session, dump);
	if (status == EXIT_DONE) {
		status = check_table(session, dump);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	struct error err;
	struct sink *sink = NULL;
	dump->sink.spec = &dump->table.spec;
	if (open_sink(dump, &sink, &err) != STATUS_OK || sink == NULL) {
		return session_refuse_error(session, &err);
	}
	struct progress progress;
	progress_begin(&progress, "");
	status = copy_rows(session, dump, sink);
	uint64_t scanned = sink->rows;
	if (status == EXIT_DONE && sink->finish(sink, &err) != STATUS_OK) {
		status = session_refuse_error(session, &err);
	}
	uint64_t written = sink->rows;
	sink->close(sink);
	interrupt_end();
	return status != EXIT_DONE
		       ? status
		       : report(session, dump, scanned, written, progress_end(&progress));
}

/* Whether all paths differ: no two columns may be written into one file. */
static bool all_differ(const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (paths[i] != NULL && paths[j] != NULL &&
				strcmp(paths[i], paths[j]) == 0) {
				return false;
			}
		}
	}
	return true;
}

static int check_arguments(const struct session *session, struct dump *dump, const char *format,
	const char *sort)
{
	struct sink_options *sink = &dump->sink;
	const char *const paths[] = {sink->keys, sink->rows, sink->times, sink->scales, sink->tags,
		sink->weights, sink->counts, sink->history_times};
	bool npy = sink->rows != NULL;
	if (npy == (sink->path != NULL)) {
		return session_usage(session,
			"dump: to which file? One that ends in .npz, .safetensors, .msgpack or "
			".jsonl, or --keys K.npy and --rows R.npy");
	}
	if (npy && sink->keys == NULL && sink->order == NULL) {
		return session_usage(session, "dump: --rows needs --keys or --order");
	}
	dump->format = npy ? FORMAT_NPY : format_find(format, sink->path);
	if (dump->format == FORMAT_NONE) {
		return session_usage(session,
			"dump: '%s': --format " FORMAT_NAMES ", or a file that ends so",
			sink->path);
	}
	if (!npy && (sink->keys != NULL || sink->times != NULL || sink->scales != NULL ||
			    sink->tags != NULL || sink->weights != NULL || sink->counts != NULL ||
			    sink->history_times != NULL)) {
		return session_usage(session, "dump: columns come with --rows");
	}
	if ((dump->format == FORMAT_MSGPACK || dump->format == FORMAT_JSONL) &&
		(sink->order != NULL || sort != NULL)) {
		return session_usage(session, "dump: orders come with --rows, npz and safetensors");
	}
	if (!all_differ(paths, sizeof paths / sizeof paths[0])) {
		return session_usage(session, "dump: two columns into one file");
	}
	if (sort != NULL && (strcmp(sort, "key") != 0 || sink->order != NULL)) {
		return session_usage(session, "dump: --sort key, or --order FILE");
	}
	sink->sort =
		sort != NULL ? SINK_BY_KEY : (sink->order != NULL ? SINK_BY_FILE : SINK_AS_SCANNED);
	return EXIT_DONE;
}

static int read_shard(const struct session *session, const char *text, struct dump *dump)
{
	if (!argument_shard(text, &dump->shard)) {
		return session_usage(session,
			"--shard: '%s', part I of N is written I/N, from 0/N to N-1/N", text);
	}
	if (dump->sink.order != NULL) {
		return session_usage(session,
			"dump: --shard or --order: the keys of a file are of all shards");
	}
	return EXIT_DONE;
}

static int run(struct session *session, int argc, char **argv)
{
	struct dump dump = {0};
	const char *format = NULL;
	const char *release = NULL;
	const char *sort = NULL;
	const char *shard = NULL;
	const struct option_row rows[] = {
		{"keys", OPTION_TEXT, &dump.sink.keys},
		{"rows", OPTION_TEXT, &dump.sink.rows},
		{"times", OPTION_TEXT, &dump.sink.times},
		{"scales", OPTION_TEXT, &dump.sink.scales},
		{"tags", OPTION_TEXT, &dump.sink.tags},
		{"weights", OPTION_TEXT, &dump.sink.weights},
		{"counts", OPTION_TEXT, &dump.sink.counts},
		{"history-times", OPTION_TEXT, &dump.sink.history_times},
		{"raw", OPTION_FLAG, &dump.sink.raw},
		{"format", OPTION_TEXT, &format},
		{"release", OPTION_TEXT, &release},
		{"dtype", OPTION_TEXT, &dump.dtype},
		{"order", OPTION_TEXT, &dump.sink.order},
		{"sort", OPTION_TEXT, &sort},
		{"shard", OPTION_TEXT, &shard},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count < 1 || rest.count > 2) {
		return session_usage(session, "dump: one RELEASE/TABLE, and files");
	}
	status = table_argument_read(session, rest.values[0], release, &dump.place);
	if (status != EXIT_DONE) {
		return status;
	}
	dump.sink.path = rest.count == 2 ? rest.values[1] : NULL;
	status = check_arguments(session, &dump, format, sort);
	if (status == EXIT_DONE && shard != NULL) {
		status = read_shard(session, shard, &dump);
	}
	return status != EXIT_DONE ? status : run_dump(session, &dump);
}

const struct command cmd_dump = {
	.name = "dump",
	.summary = "a table's rows into files",
	.usage = "dump RELEASE/TABLE --keys K.npy --rows R.npy [--times T.npy] [--scales S.npy]\n"
		 "         [--tags G.npy] [--dtype TYPE] [--sort key | --order K.npy]\n"
		 "         [--raw --weights W.npy] [--counts C.npy --history-times H.npy]\n"
		 "         [--shard I/N]\n"
		 "       repstore dump RELEASE/TABLE FILE.npz | FILE.safetensors [--dtype TYPE]\n"
		 "         [--sort key | --order K.npy] [--raw] [--shard I/N]\n"
		 "       repstore dump RELEASE/TABLE FILE.msgpack | FILE.jsonl [--dtype TYPE]\n"
		 "         [--shard I/N]\n"
		 "       repstore dump RELEASE/TABLE --format msgpack|jsonl -\n",
	.help = "  --release  RELEASE, where TABLE alone is named; the live one unless told\n"
		"  --dtype    f32, f16, bf16, i8 or bit; as stored unless told\n"
		"  --raw      of a table of kind cr: its sums in full, as f64, with their weights, which\n"
		"             import takes back; otherwise a dump is what a fetch reads\n"
		"  --counts, --history-times   of a table with a history, whose rows are\n"
		"             [n, history, dim]: how many of the places are taken, the times of all\n"
		"  --sort key  ascending keys\n"
		"  --order    rows in the order of the keys in this file, which --keys then equals;\n"
		"             a key that the table has not is an error, others are left out\n"
		"  --shard    part I of N of the table, 0/N to N-1/N: N dumps at once have each row\n"
		"             once. Name the release, since another may become live in between\n"
		"One npz or safetensors file holds all columns of the table: keys, rows, times, and\n"
		"tags, scales or weights if there are any; of histories counts and history_times, and\n"
		"no times. np.load reads npz.\n"
		"Without an order rows come as they are stored, by hash. An order, and a file of all\n"
		"columns, need twice the room on disk. An order needs 8 bytes of memory a row to\n"
		"sort, up to 48 to follow a file.\n"
		"RELEASE may be `live`. Files appear when all is written, or not at all.\n",
	.run = run,
};
