/* top_view.c - makes rates, shares and quantiles of two samples. */
#include "tools/command/top_view.h"

#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The bounds of the buckets in us; the last bucket has what is longer. */
static const double bounds_us[TOP_BUCKETS - 1] = {10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3,
	20e3, 50e3, 100e3, 200e3, 500e3, 1e6, 2e6, 5e6, 10e6};

/* ---- figures ---- */

/* A counter that is smaller than before is one of another daemon at the same address. */
static uint64_t grown(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

static double quantile(const uint64_t counts[TOP_BUCKETS], uint64_t count, double share)
{
	const double rank = share * (double)count;
	double below = 0;
	for (unsigned i = 0; i < TOP_BUCKETS; i++) {
		const double here = (double)counts[i];
		if (here > 0 && below + here >= rank) {
			const double from = i == 0 ? 0 : bounds_us[i - 1];
			const double to = i < TOP_BUCKETS - 1 ? bounds_us[i] : from;
			return from + (to - from) * (rank - below) / here;
		}
		below += here;
	}
	return 0;
}

void top_quantiles(const struct top_times *before, const struct top_times *now,
	struct top_figures *out)
{
	uint64_t counts[TOP_BUCKETS];
	uint64_t count = 0;
	for (unsigned i = 0; i < TOP_BUCKETS; i++) {
		counts[i] = grown(before->counts[i], now->counts[i]);
		count += counts[i];
	}
	*out = (struct top_figures){.per_second = 0};
	if (count > 0) {
		out->mean_us = (double)grown(before->us, now->us) / (double)count;
		out->p50_us = quantile(counts, count, 0.5);
		out->p99_us = quantile(counts, count, 0.99);
		out->p999_us = quantile(counts, count, 0.999);
	}
}

static double seconds_between(const struct top_sample *before, const struct top_sample *now)
{
	const uint64_t us = now->taken_us - before->taken_us;
	return us > 0 ? (double)us / 1e6 : 1;
}

static double rate(uint64_t before, uint64_t now, double seconds)
{
	return (double)grown(before, now) / seconds;
}

static void method_figures(const struct top_sample *before, const struct top_method *now,
	double seconds, struct top_figures *out)
{
	static const struct top_method none;
	const struct top_method *was = &none;
	for (unsigned i = 0; i < before->method_count; i++) {
		if (strcmp(before->methods[i].name, now->name) == 0) {
			was = &before->methods[i];
		}
	}
	top_quantiles(&was->times, &now->times, out);
	out->per_second = rate(was->count, now->count, seconds);
	out->errors_per_second = rate(was->errors, now->errors, seconds);
}

/* The keys of a table by their results, a second; returns all of them together. */
static double table_rates(const struct top_sample *before, const struct top_table *now,
	double seconds, double out[TOP_RESULTS])
{
	static const struct top_table none;
	const struct top_table *was = &none;
	double all = 0;
	for (unsigned i = 0; i < before->table_count; i++) {
		if (strcmp(before->tables[i].name, now->name) == 0) {
			was = &before->tables[i];
		}
	}
	for (unsigned i = 0; i < TOP_RESULTS; i++) {
		out[i] = rate(was->results[i], now->results[i], seconds);
		all += out[i];
	}
	return all;
}

static void queue_figures(const struct top_sample *before, const struct top_queue *now,
	struct top_figures *out)
{
	static const struct top_queue none;
	const struct top_queue *was = &none;
	for (unsigned i = 0; i < before->queue_count; i++) {
		if (strcmp(before->queues[i].name, now->name) == 0) {
			was = &before->queues[i];
		}
	}
	top_quantiles(&was->times, &now->times, out);
}

static double sync_mean_us(const struct top_sample *before, const struct top_sample *now)
{
	const uint64_t syncs = grown(before->syncs, now->syncs);
	return syncs > 0 ? (double)grown(before->sync_us, now->sync_us) / (double)syncs : 0;
}

/* ---- for a person ---- */

enum { SPAN_BYTES = 16 };

/* "12 us", "3.4 ms", "-" for none. */
static const char *span(double us, char out[SPAN_BYTES])
{
	if (us <= 0) {
		return "-";
	}
	if (us < 1000) {
		(void)snprintf(out, SPAN_BYTES, "%.0f us", us);
	} else if (us < 1e6) {
		(void)snprintf(out, SPAN_BYTES, us < 1e4 ? "%.1f ms" : "%.0f ms", us / 1e3);
	} else {
		(void)snprintf(out, SPAN_BYTES, "%.1f s", us / 1e6);
	}
	return out;
}

static void write_head(FILE *out, const char *address, const struct top_sample *before,
	const struct top_sample *now, double seconds)
{
	char when[TEXT_BYTES];
	char up[TEXT_BYTES];
	char in[TEXT_BYTES];
	char sent[TEXT_BYTES];
	fprintf(out, "repstore top  %s  up %s  live %s%s  %s\n", address,
		text_duration(now->uptime_ms, up), now->live[0] != '\0' ? now->live : "none",
		now->read_only ? "  READ_ONLY" : "", text_time(now->time_ms, when));
	fprintf(out,
		"connections %" PRIu64 "  refused %.0f/s  denied %.0f/s  in %s/s  out %s/s  "
		"slow %.0f/s\n",
		now->connections, rate(before->refused, now->refused, seconds),
		rate(before->denied, now->denied, seconds),
		text_size((uint64_t)rate(before->bytes_in, now->bytes_in, seconds), in),
		text_size((uint64_t)rate(before->bytes_out, now->bytes_out, seconds), sent),
		rate(before->slow, now->slow, seconds));
}

static void write_methods(FILE *out, const struct top_sample *before, const struct top_sample *now,
	double seconds)
{
	fprintf(out, "\n%-18s %10s %8s %9s %9s %9s %9s\n", "METHOD", "REQUESTS/s", "ERRORS/s",
		"MEAN", "P50", "P99", "P99.9");
	for (unsigned i = 0; i < now->method_count; i++) {
		struct top_figures figures;
		char mean[SPAN_BYTES];
		char p50[SPAN_BYTES];
		char p99[SPAN_BYTES];
		char p999[SPAN_BYTES];
		method_figures(before, &now->methods[i], seconds, &figures);
		if (figures.per_second > 0) {
			fprintf(out, "%-18s %10.0f %8.0f %9s %9s %9s %9s\n", now->methods[i].name,
				figures.per_second, figures.errors_per_second,
				span(figures.mean_us, mean), span(figures.p50_us, p50),
				span(figures.p99_us, p99), span(figures.p999_us, p999));
		}
	}
}

static void write_tables(FILE *out, const struct top_sample *before, const struct top_sample *now,
	double seconds)
{
	fprintf(out, "\n%-18s %10s %8s %9s %9s %9s %9s\n", "TABLE", "KEYS/s", "FOUND", "ABSENT/s",
		"EXPIRED/s", "OLD/s", "DEFAULT/s");
	for (unsigned i = 0; i < now->table_count; i++) {
		double rates[TOP_RESULTS];
		const double all = table_rates(before, &now->tables[i], seconds, rates);
		if (all > 0) {
			fprintf(out, "%-18s %10.0f %7.2f%% %9.0f %9.0f %9.0f %9.0f%s\n",
				now->tables[i].name, all, 100 * rates[0] / all, rates[1], rates[2],
				rates[3], rates[5], rates[4] > 0 ? "  CORRUPT" : "");
		}
	}
}

static void write_writes(FILE *out, const struct top_sample *before, const struct top_sample *now,
	double seconds)
{
	char log[TEXT_BYTES];
	char memory[TEXT_BYTES];
	char sync[SPAN_BYTES];
	fprintf(out,
		"\nwrites %.0f/s  commits %.0f/s  sync %s  waiting for a merge: log %s, %" PRIu64
		" rows, %s%s\n",
		rate(before->writes, now->writes, seconds),
		rate(before->commits, now->commits, seconds), span(sync_mean_us(before, now), sync),
		text_size(now->log_bytes, log), now->memtable_rows,
		text_size(now->memtable_bytes, memory), now->merges ? "  merging" : "");
}

static void write_queues(FILE *out, const struct top_sample *before, const struct top_sample *now)
{
	fprintf(out, "\n%-18s %10s %8s %9s %9s\n", "QUEUE", "WAITING", "", "MEAN", "P99");
	for (unsigned i = 0; i < now->queue_count; i++) {
		struct top_figures figures;
		char mean[SPAN_BYTES];
		char p99[SPAN_BYTES];
		queue_figures(before, &now->queues[i], &figures);
		if (figures.mean_us > 0 || now->queues[i].waiting > 0) {
			fprintf(out, "%-18s %10" PRIu64 " %8s %9s %9s\n", now->queues[i].name,
				now->queues[i].waiting, "", span(figures.mean_us, mean),
				span(figures.p99_us, p99));
		}
	}
}

static void write_releases(FILE *out, const struct top_sample *now)
{
	fprintf(out, "\n%-24s %-7s %20s %12s  %s\n", "RELEASE", "STATE", "ROWS", "SIZE", "AGE");
	for (unsigned i = now->release_count; i > 0; i--) {
		const struct top_release *release = &now->releases[i - 1];
		char size[TEXT_BYTES];
		char age[TEXT_BYTES];
		const int64_t age_ms = now->time_ms - release->since_ms;
		char rows[TEXT_BYTES];
		snprintf(rows, sizeof rows, "%s%" PRIu64, release->rows_exact ? "" : "at most ",
			release->rows);
		fprintf(out, "%-24s %-7s %20s %12s  %s\n", release->name, release->state, rows,
			text_size(release->bytes, size),
			text_duration(age_ms > 0 ? (uint64_t)age_ms : 0, age));
	}
}

static void write_slowest(FILE *out, const struct top_sample *now)
{
	if (!now->sees_slow) {
		return;
	}
	fprintf(out, "\n%-18s %10s  %s\n", "SLOWEST", "TIME", "TABLES  CLIENT  TRACE");
	for (unsigned i = 0; i < now->slow_count; i++) {
		const struct top_slow *slow = &now->slowest[i];
		char time[SPAN_BYTES];
		fprintf(out, "%-18s %10s  %s  %s  %s\n", slow->method, span((double)slow->us, time),
			slow->tables[0] != '\0' ? slow->tables : "-",
			slow->client[0] != '\0' ? slow->client : "-", slow->trace);
	}
}

void top_view_write(FILE *out, const char *address, const struct top_sample *before,
	const struct top_sample *now)
{
	const double seconds = seconds_between(before, now);
	write_head(out, address, before, now, seconds);
	write_methods(out, before, now, seconds);
	write_tables(out, before, now, seconds);
	write_writes(out, before, now, seconds);
	write_queues(out, before, now);
	write_releases(out, now);
	write_slowest(out, now);
}

/* ---- for a script ---- */

/* null where there was nothing to measure. */
static void json_figures(struct json_writer *json, const struct top_figures *figures)
{
	const struct {
		const char *name;
		double us;
	} rows[] = {{"mean_us", figures->mean_us}, {"p50_us", figures->p50_us},
		{"p99_us", figures->p99_us}, {"p999_us", figures->p999_us}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (figures->p999_us > 0) {
			json_write_fixed(json, rows[i].name, rows[i].us, 1);
		} else {
			json_write_null(json, rows[i].name);
		}
	}
}

static void json_methods(struct json_writer *json, const struct top_sample *before,
	const struct top_sample *now, double seconds)
{
	json_write_object(json, "methods");
	for (unsigned i = 0; i < now->method_count; i++) {
		struct top_figures figures;
		method_figures(before, &now->methods[i], seconds, &figures);
		json_write_object(json, now->methods[i].name);
		json_write_fixed(json, "per_second", figures.per_second, 1);
		json_write_fixed(json, "errors_per_second", figures.errors_per_second, 1);
		json_figures(json, &figures);
		json_write_object_end(json);
	}
	json_write_object_end(json);
}

static void json_tables(struct json_writer *json, const struct top_sample *before,
	const struct top_sample *now, double seconds)
{
	json_write_object(json, "tables");
	for (unsigned i = 0; i < now->table_count; i++) {
		double rates[TOP_RESULTS];
		const double all = table_rates(before, &now->tables[i], seconds, rates);
		json_write_object(json, now->tables[i].name);
		json_write_fixed(json, "keys_per_second", all, 1);
		if (all > 0) {
			json_write_fixed(json, "found_share", rates[0] / all, 4);
		} else {
			json_write_null(json, "found_share");
		}
		for (unsigned j = 1; j < TOP_RESULTS; j++) {
			json_write_fixed(json, top_results[j], rates[j], 1);
		}
		json_write_object_end(json);
	}
	json_write_object_end(json);
}

static void json_queues(struct json_writer *json, const struct top_sample *before,
	const struct top_sample *now)
{
	json_write_object(json, "queues");
	for (unsigned i = 0; i < now->queue_count; i++) {
		struct top_figures figures;
		queue_figures(before, &now->queues[i], &figures);
		json_write_object(json, now->queues[i].name);
		json_write_u64(json, "waiting", now->queues[i].waiting);
		json_figures(json, &figures);
		json_write_object_end(json);
	}
	json_write_object_end(json);
}

static void json_lists(struct json_writer *json, const struct top_sample *now)
{
	json_write_array(json, "releases");
	for (unsigned i = 0; i < now->release_count; i++) {
		const struct top_release *release = &now->releases[i];
		json_write_object(json, NULL);
		json_write_text(json, "release", release->name);
		json_write_text(json, "state", release->state);
		json_write_u64(json, "rows", release->rows);
		json_write_bool(json, "rows_exact", release->rows_exact);
		json_write_u64(json, "bytes", release->bytes);
		json_write_i64(json, "age_ms", now->time_ms - release->since_ms);
		json_write_object_end(json);
	}
	json_write_array_end(json);
	json_write_array(json, "slowest");
	for (unsigned i = 0; i < now->slow_count; i++) {
		const struct top_slow *slow = &now->slowest[i];
		json_write_object(json, NULL);
		json_write_text(json, "method", slow->method);
		json_write_u64(json, "us", slow->us);
		json_write_text(json, "tables", slow->tables);
		json_write_text(json, "client", slow->client);
		json_write_text(json, "trace", slow->trace);
		json_write_object_end(json);
	}
	json_write_array_end(json);
}

void top_view_json(const struct top_sample *before, const struct top_sample *now)
{
	struct json_writer json = {.out = stdout};
	const double seconds = seconds_between(before, now);
	json_write_object(&json, NULL);
	json_write_i64(&json, "time_ms", now->time_ms);
	json_write_fixed(&json, "seconds", seconds, 3);
	json_write_u64(&json, "uptime_ms", now->uptime_ms);
	json_write_text(&json, "live", now->live);
	json_write_bool(&json, "read_only", now->read_only);
	json_write_u64(&json, "connections", now->connections);
	json_write_fixed(&json, "refused_per_second", rate(before->refused, now->refused, seconds),
		1);
	json_write_fixed(&json, "denied_per_second", rate(before->denied, now->denied, seconds), 1);
	json_write_fixed(&json, "bytes_in_per_second",
		rate(before->bytes_in, now->bytes_in, seconds), 0);
	json_write_fixed(&json, "bytes_out_per_second",
		rate(before->bytes_out, now->bytes_out, seconds), 0);
	json_write_fixed(&json, "slow_per_second", rate(before->slow, now->slow, seconds), 1);
	json_write_fixed(&json, "writes_per_second", rate(before->writes, now->writes, seconds), 1);
	json_write_fixed(&json, "commits_per_second", rate(before->commits, now->commits, seconds),
		1);
	json_write_fixed(&json, "sync_mean_us", sync_mean_us(before, now), 1);
	json_write_u64(&json, "log_bytes", now->log_bytes);
	json_write_u64(&json, "memtable_rows", now->memtable_rows);
	json_write_u64(&json, "memtable_bytes", now->memtable_bytes);
	json_write_bool(&json, "merging", now->merges);
	json_methods(&json, before, now, seconds);
	json_tables(&json, before, now, seconds);
	json_queues(&json, before, now);
	json_lists(&json, now);
	json_write_object_end(&json);
	json_write_line(&json);
}
