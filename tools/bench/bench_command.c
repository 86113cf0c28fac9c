/* bench_command.c - repstore bench: how fast the daemon answers, seen from here. */
#include "schema/dtype.h"
#include "schema/limits.h"
#include "schema/metric.h"
#include "tools/bench/bench_retrieve.h"
#include "tools/command/argument.h"
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/table_argument.h"
#include "tools/format/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS_DEFAULT = 500,
	SECONDS_DEFAULT = 5,
	CONNECTIONS_MAX = 1024,
};

static double us_at(const struct bench_result *result, double share)
{
	return (double)histogram_at(&result->latency_ns, share) / 1e3;
}

static int report(const struct session *session, const struct bench_result *result)
{
	static const struct {
		const char *name;
		const char *field;
		double share;
	} shares[] = {
		{"p50", "p50_us", 0.5},
		{"p90", "p90_us", 0.9},
		{"p99", "p99_us", 0.99},
		{"p99.9", "p99.9_us", 0.999},
	};
	double seconds = result->seconds > 0 ? result->seconds : 1e-9;
	double requests = (double)result->requests / seconds;
	double rows = (double)result->rows / seconds;
	double megabytes = (double)result->row_bytes / seconds / 1e6;
	double found = result->rows > 0 ? (double)result->found / (double)result->rows : 0;
	double max = (double)result->latency_ns.max / 1e3;
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_u64(&json, "requests", result->requests);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_fixed(&json, "requests_per_s", requests, 1);
		json_write_fixed(&json, "rows_per_s", rows, 1);
		json_write_fixed(&json, "mb_per_s", megabytes, 1);
		json_write_fixed(&json, "found", found, 4);
		for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
			json_write_fixed(&json, shares[i].field, us_at(result, shares[i].share), 1);
		}
		json_write_fixed(&json, "max_us", max, 1);
		json_write_object_end(&json);
		json_write_line(&json);
		return session_finish(session, EXIT_DONE);
	}
	printf("%" PRIu64 " requests in %.2f s\n", result->requests, seconds);
	printf("  %12.0f requests/s\n  %12.0f rows/s\n  %12.1f MB/s of rows\n", requests, rows,
		megabytes);
	for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
		printf("  %12.1f us %s\n", us_at(result, shares[i].share), shares[i].name);
	}
	printf("  %12.1f us max\n  %12.2f %% found\n", max, found * 100);
	return session_finish(session, EXIT_DONE);
}

/* Reads a table's name into `name`, as large as that of a place. All tables are of one release, which any of them may name. */
static int read_table(const struct session *session, struct bench *bench, const char *text,
	char *name)
{
	struct place place;
	const int status = table_argument_read(session, text, bench->release, &place);
	if (status != EXIT_DONE) {
		return status;
	}
	bench->place = place;
	if (strchr(text, '/') != NULL) {
		bench->release = bench->place.release;
	}
	memcpy(name, place.table, sizeof place.table);
	return EXIT_DONE;
}

/* Splits "ur,ir" into tables. */
static int read_tables(const struct session *session, struct bench *bench, const char *list)
{
	while (list != NULL) {
		const char *comma = strchr(list, ',');
		size_t len = comma != NULL ? (size_t)(comma - list) : strlen(list);
		struct bench_table *table = &bench->tables[bench->table_count];
		char text[sizeof bench->place];
		if (bench->table_count == BENCH_PARTS_MAX || len == 0 || len >= sizeof text) {
			return session_usage(session, "bench: 1 to %d tables", BENCH_PARTS_MAX);
		}
		memcpy(text, list, len);
		text[len] = '\0';
		const int status = read_table(session, bench, text, table->name);
		if (status != EXIT_DONE) {
			return status;
		}
		bench->table_count++;
		list = comma != NULL ? comma + 1 : NULL;
	}
	return EXIT_DONE;
}

static int check_numbers(const struct session *session, const struct bench *bench)
{
	if (bench->rows == 0 || bench->rows > LIMIT_KEYS) {
		return session_usage(session, "bench: --rows 1 to %u", LIMIT_KEYS);
	}
	if (bench->connections == 0 || bench->connections > CONNECTIONS_MAX) {
		return session_usage(session, "bench: --connections 1 to %d", CONNECTIONS_MAX);
	}
	if (bench->dtype != NULL &&
		dtype_of_name(bench->dtype, strlen(bench->dtype)) == DTYPE_NONE) {
		return session_usage(session, "--dtype: '%s' is none", bench->dtype);
	}
	return EXIT_DONE;
}

static int run_bench(struct session *session, struct bench *bench)
{
	struct rep_error err;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < bench->table_count; i++) {
		if (rep_table_show(session->client, bench->release, bench->tables[i].name,
			    &bench->tables[i].shape, &err) != REP_OK) {
			return session_refuse(session, &err);
		}
		if (bench->tables[i].shape.spec.key_type == REP_KEY_BYTES) {
			bench->tables[i].keys_max = 0;
		}
	}
	if (bench_collect_keys(bench, session->client, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	struct bench_result *result = calloc(1, sizeof *result);
	if (result == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for results");
	}
	int status = bench_run(bench, result, &err) == REP_OK ? report(session, result)
							      : session_refuse(session, &err);
	free(result);
	return status;
}

static int run_fetch(struct session *session, int argc, char **argv)
{
	struct bench bench = {.session = session, .rows = ROWS_DEFAULT, .connections = 1};
	const char *table = "ur";
	const char *parts = NULL;
	uint64_t keys_max = 0;
	uint64_t seconds = SECONDS_DEFAULT;
	const struct option_row rows[] = {
		{"table", OPTION_TEXT, &table},
		{"parts", OPTION_TEXT, &parts},
		{"rows", OPTION_COUNT, &bench.rows},
		{"connections", OPTION_COUNT, &bench.connections},
		{"requests", OPTION_COUNT, &bench.requests},
		{"seconds", OPTION_COUNT, &seconds},
		{"release", OPTION_TEXT, &bench.release},
		{"dtype", OPTION_TEXT, &bench.dtype},
		{"keys-max", OPTION_COUNT, &keys_max},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	status = read_tables(session, &bench, parts != NULL ? parts : table);
	if (status == EXIT_DONE) {
		status = check_numbers(session, &bench);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	for (size_t i = 0; i < bench.table_count; i++) {
		bench.tables[i].keys_max = keys_max;
	}
	bench.milliseconds = seconds * 1000;
	status = run_bench(session, &bench);
	bench_fini(&bench);
	return status;
}

/* ---- retrieve ---- */

/* The numbers of connections, one run each, when --connections is not given. */
static const uint64_t usual_connections[] = {1, 2};
static const uint64_t usual = UINT64_MAX;

/* json: NULL when text is asked for. The document stays open: its runs follow. */
static void report_index(struct json_writer *json, const struct rep_table *items, double recall)
{
	const double seconds = (double)items->index_build_ms / 1e3;
	if (json != NULL) {
		json_write_object(json, NULL);
		json_write_u64(json, "rows", items->rows);
		json_write_u64(json, "index_bytes", items->index_bytes);
		json_write_fixed(json, "index_build_s", seconds, 3);
		json_write_fixed(json, "recall", recall, 4);
		json_write_array(json, "runs");
	} else if (items->index_bytes > 0) {
		printf("%" PRIu64 " rows, an index of %.1f MB that was built in %.1f s\n"
		       "  %12.4f recall\n",
			items->rows, (double)items->index_bytes / 1e6, seconds, recall);
	} else {
		printf("%" PRIu64 " rows, no index\n  %12.4f recall\n", items->rows, recall);
	}
}

static void report_retrieved(struct json_writer *json, uint64_t connections,
	const struct bench_retrieved *result)
{
	const double seconds = result->seconds > 0 ? result->seconds : 1e-9;
	const double requests = result->requests > 0 ? (double)result->requests : 1;
	const double p50 = (double)histogram_at(&result->latency_ns, 0.5) / 1e3;
	const double p99 = (double)histogram_at(&result->latency_ns, 0.99) / 1e3;
	const double compared = (double)result->compared / requests;
	const double exact = (double)result->exact / requests;
	if (json != NULL) {
		json_write_object(json, NULL);
		json_write_u64(json, "connections", connections);
		json_write_u64(json, "requests", result->requests);
		json_write_fixed(json, "seconds", seconds, 3);
		json_write_fixed(json, "requests_per_s", (double)result->requests / seconds, 1);
		json_write_fixed(json, "p50_us", p50, 1);
		json_write_fixed(json, "p99_us", p99, 1);
		json_write_fixed(json, "compared", compared, 0);
		json_write_fixed(json, "exact", exact, 4);
		json_write_object_end(json);
		return;
	}
	printf("%" PRIu64 " connection%s: %" PRIu64 " requests in %.2f s\n  %12.0f requests/s\n",
		connections, connections == 1 ? "" : "s", result->requests, seconds,
		(double)result->requests / seconds);
	printf("  %12.1f us p50\n  %12.1f us p99\n  %12.0f rows looked at by one\n", p50, p99,
		compared);
	printf("  %12.4f of the answers exact\n", exact);
}

/* One run for each number of connections, one after the other. */
static enum rep_status run_retrievals(struct bench_retrieve *bench, struct json_writer *json,
	const uint64_t *connections, size_t count, struct rep_error *err)
{
	struct bench_retrieved *result = malloc(sizeof *result);
	enum rep_status status = REP_OK;
	if (result == NULL) {
		*err = (struct rep_error){.status = REP_NO_MEMORY, .text = "no memory for results"};
		return REP_NO_MEMORY;
	}
	for (size_t i = 0; status == REP_OK && i < count; i++) {
		memset(result, 0, sizeof *result);
		bench->bench.connections = connections[i];
		status = bench_retrieve_run(bench, result, err);
		if (status == REP_OK) {
			report_retrieved(json, connections[i], result);
		}
	}
	free(result);
	return status;
}

static int bench_retrievals(struct session *session, struct bench_retrieve *bench,
	uint64_t connections)
{
	struct rep_error err;
	struct rep_table items;
	double recall;
	struct bench_table *users = &bench->bench.tables[0];
	struct json_writer writer = {.out = stdout};
	struct json_writer *json = session->json ? &writer : NULL;
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	if (rep_table_show(session->client, bench->bench.release, users->name, &users->shape,
		    &err) != REP_OK ||
		rep_table_show(session->client, bench->bench.release, bench->in, &items, &err) !=
			REP_OK ||
		bench_collect_keys(&bench->bench, session->client, &err) != REP_OK ||
		bench_retrieve_recall(bench, &recall, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	report_index(json, &items, recall);
	const enum rep_status status =
		connections == usual
			? run_retrievals(bench, json, usual_connections,
				  sizeof usual_connections / sizeof *usual_connections, &err)
			: run_retrievals(bench, json, &connections, 1, &err);
	if (status != REP_OK) {
		return session_refuse(session, &err);
	}
	if (json != NULL) {
		json_write_array_end(json);
		json_write_object_end(json);
		json_write_line(json);
	}
	return session_finish(session, EXIT_DONE);
}

static int run_retrieve(struct session *session, int argc, char **argv)
{
	struct bench_retrieve bench = {
		.bench = {.session = session, .rows = 1, .connections = 1, .table_count = 1},
		.k = 100,
		.in = "ir",
	};
	const char *from = "ur";
	char in[sizeof bench.bench.place.table];
	uint64_t seconds = SECONDS_DEFAULT;
	uint64_t connections = usual;
	const struct option_row rows[] = {
		{"from", OPTION_TEXT, &from},
		{"in", OPTION_TEXT, &bench.in},
		{"k", OPTION_COUNT, &bench.k},
		{"metric", OPTION_TEXT, &bench.metric},
		{"approximate", OPTION_NUMBER, &bench.approximate},
		{"where", OPTION_BITS, &bench.tags_all},
		{"any", OPTION_TEXT, &bench.any},
		{"none", OPTION_BITS, &bench.tags_none},
		{"connections", OPTION_COUNT, &connections},
		{"seconds", OPTION_COUNT, &seconds},
		{"release", OPTION_TEXT, &bench.bench.release},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE && connections != usual) {
		bench.bench.connections = connections;
		status = check_numbers(session, &bench.bench);
	}
	if (status == EXIT_DONE && bench.any != NULL &&
		!argument_bits(bench.any, &bench.tags_any)) {
		status = session_usage(session, "--any: '%s' is not 64 bits (7, 0x1f)", bench.any);
	}
	if (status == EXIT_DONE && (bench.k == 0 || bench.k > LIMIT_TOP_K)) {
		status = session_usage(session, "-k: 1 to %u", LIMIT_TOP_K);
	}
	if (status == EXIT_DONE && bench.metric != NULL &&
		metric_of_name(bench.metric, strlen(bench.metric)) == METRIC_NONE) {
		status = session_usage(session, "--metric: '%s', one of %s", bench.metric,
			metric_names_text);
	}
	if (status == EXIT_DONE) {
		status = read_table(session, &bench.bench, bench.in, in);
	}
	if (status == EXIT_DONE) {
		status = read_table(session, &bench.bench, from, bench.bench.tables[0].name);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	bench.in = in;
	bench.bench.milliseconds = seconds * 1000;
	status = bench_retrievals(session, &bench, connections);
	bench_fini(&bench.bench);
	return status;
}

static const struct verb verbs[] = {{"fetch", run_fetch}, {"retrieve", run_retrieve}};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_bench = {
	.name = "bench",
	.summary = "how fast the daemon answers",
	.usage =
		"bench fetch [--table TABLE | --parts TABLE,TABLE...] [--rows N] [--connections N]\n"
		"         [--seconds N | --requests N] [--release ID] [--dtype TYPE] [--keys-max N]\n"
		"       repstore bench retrieve [--from TABLE] [--in TABLE] [-k N] [--metric NAME]\n"
		"         [--approximate RECALL] [--where BITS] [--any BITS] [--none BITS]\n"
		"         [--connections N] [--seconds N] [--release ID]\n",
	.help = "  --table        what to fetch from (ur)\n"
		"  --parts        several tables in one request\n"
		"  --rows         random keys of each part of a request (500)\n"
		"  --connections  each asks again when it was answered (1)\n"
		"  --seconds      how long (5); --requests: how many of all connections instead\n"
		"  --keys-max     draws numbers below N instead of keys that the table has\n"
		"Times are from before a request is sent until its rows are in the caller's memory.\n"
		"MB are 10^6 bytes of rows.\n"
		"retrieve: for random rows of --from (ur), as the command of that name, by one connection\n"
		"and then by two unless told. Recall is that of 100 of them against their exact answers,\n"
		"under the filter that --where, --any and --none set.\n",
	.run = run,
};
