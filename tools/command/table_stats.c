/* table_stats.c - repstore table stats: walks through a table and says how healthy it is.
 *
 * Each row is looked at and passed to a reservoir. The rows that are in the reservoir at the end
 * are the sample from which singular values and covariances are computed.
 */
#include "tools/command/table_stats.h"

#include "tools/command/argument.h"
#include "tools/command/options.h"
#include "tools/command/progress.h"
#include "tools/command/scan_reply.h"
#include "tools/command/table_argument.h"
#include "tools/command/table_report.h"
#include "tools/statistics/reservoir.h"
#include "tools/statistics/sample_size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How many norms and ages are kept for percentiles: 16 bytes a row, so 256 MiB at most. */
enum { PERCENTILE_ROWS_MAX = 1 << 24 };

static const uint64_t sample_not_given = UINT64_MAX;

/* One run. */
struct walk {
	struct place place;
	struct table_report report;
	struct reservoir sample; /* finite rows, in f32 */
};

static int64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t width_of(const struct walk *walk)
{
	return (size_t)walk->report.table.spec.dim * walk->report.table.spec.views;
}

/* ---- what is asked ---- */

/* Asks for release and table. The id is kept, since `live` may become another release meanwhile. */
static int find_table(struct session *session, struct walk *walk)
{
	struct rep_release release;
	struct rep_error err;
	const bool live = strcmp(walk->place.release, "live") == 0;
	if (rep_release_show(session->client, live ? NULL : walk->place.release, &release, &err) !=
			REP_OK ||
		rep_table_show(session->client, release.id, walk->place.table, &walk->report.table,
			&err) != REP_OK) {
		return session_refuse(session, &err);
	}
	memcpy(walk->report.release, release.id, sizeof walk->report.release);
	return EXIT_DONE;
}

static int set_sample(struct session *session, struct walk *walk, uint64_t asked)
{
	const struct rep_table_spec *spec = &walk->report.table.spec;
	const uint64_t most = sample_rows_max(spec->dim, spec->views);
	if (asked == sample_not_given) {
		asked = sample_rows_default(spec->dim, spec->views);
	} else if (asked > most) {
		return session_refuse_text(session, STATUS_TOO_LARGE,
			"--sample: %" PRIu64 " rows of %" PRIu32 " x %" PRIu32 " take %" PRIu64
			" bytes each, 1 GiB is allowed: at most %" PRIu64,
			asked, spec->views, spec->dim, sample_row_bytes(spec->dim, spec->views),
			most);
	}
	walk->report.sample_rows = asked;
	reservoir_init(&walk->sample, width_of(walk) * sizeof(float), asked, walk->report.seed);
	row_summary_init(&walk->report.rows, clock_ms(), PERCENTILE_ROWS_MAX, walk->report.seed);
	return EXIT_DONE;
}

/* ---- the walk ---- */

static enum status add_rows(struct walk *walk, const struct rep_scan *scan)
{
	const size_t width = width_of(walk);
	const float *row = scan->rows;
	walk->report.rows.now_ms = clock_ms();
	for (uint32_t i = 0; i < scan->keys.count; i++, row += width) {
		bool finite = false;
		enum status status =
			row_summary_add(&walk->report.rows, row, width, scan->times[i], &finite);
		if (status == STATUS_OK && finite) {
			status = reservoir_add(&walk->sample, row);
		}
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

static int refuse_status(struct session *session, enum status status)
{
	return session_refuse_text(session, status, "%s",
		status == STATUS_NO_MEMORY ? "no memory for the sample; take a smaller --sample"
					   : "singular values: the iteration does not converge");
}

static int walk_rows(struct session *session, struct walk *walk)
{
	struct rep_table_spec asked = walk->report.table.spec;
	struct rep_scan scan = {0};
	struct rep_error err;
	struct progress progress;
	int status = EXIT_DONE;
	asked.dtype = REP_F32;
	progress_begin(&progress, "stats");
	do {
		enum status added = STATUS_OK;
		if (rep_scan_next(session->client, walk->report.release, walk->place.table, REP_F32,
			    scan_reply_rows(&asked), &scan, &err) != REP_OK) {
			status = session_refuse(session, &err);
		} else {
			added = add_rows(walk, &scan);
		}
		if (added != STATUS_OK) {
			status = refuse_status(session, added);
		}
		progress_update(&progress, walk->report.rows.rows, walk->report.table.rows,
			walk->report.rows.rows);
	} while (status == EXIT_DONE && scan.more);
	progress_end(&progress);
	rep_scan_free(&scan);
	return status;
}

/* A scan leaves out expired rows, so they are counted as the rows that the table has and the scan
 * did not bring. This is right only if no row is pending and nothing is written meanwhile. */
static int count_expired(struct session *session, struct walk *walk)
{
	struct table_report *report = &walk->report;
	struct rep_table after;
	struct rep_error err;
	if (rep_table_show(session->client, report->release, walk->place.table, &after, &err) !=
		REP_OK) {
		return session_refuse(session, &err);
	}
	const bool still = report->table.pending == 0 && after.pending == 0 &&
			   report->table.rows == after.rows && after.rows >= report->rows.rows;
	report->expired_known = still || report->table.spec.ttl_ms == 0;
	report->expired =
		still && report->table.spec.ttl_ms > 0 ? after.rows - report->rows.rows : 0;
	return EXIT_DONE;
}

static enum status look_at_sample(struct walk *walk)
{
	struct table_report *report = &walk->report;
	const struct rep_table_spec *spec = &report->table.spec;
	const struct matrix rows = {walk->sample.items, (size_t)walk->sample.count, width_of(walk),
		width_of(walk)};
	report->extent = sample_affords_pairs(rows.rows, spec->dim, spec->views)
				 ? SAMPLE_WHOLE
				 : SAMPLE_WITHOUT_PAIRS;
	return sample_statistics_of(&rows, spec->views, report->extent, &report->sample);
}

static int run_walk(struct session *session, struct walk *walk, uint64_t sample_rows)
{
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	int status = find_table(session, walk);
	if (status == EXIT_DONE) {
		status = set_sample(session, walk, sample_rows);
	}
	if (status == EXIT_DONE) {
		status = walk_rows(session, walk);
	}
	if (status == EXIT_DONE) {
		status = count_expired(session, walk);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	const enum status done = look_at_sample(walk);
	if (done != STATUS_OK) {
		return refuse_status(session, done);
	}
	if (session->json) {
		table_report_json(&walk->report);
	} else {
		table_report_text(&walk->report);
	}
	return session_finish(session, EXIT_DONE);
}

int table_stats_run(struct session *session, int argc, char **argv)
{
	struct walk walk = {0};
	const char *release = NULL;
	uint64_t sample_rows = sample_not_given;
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &release},
		{"sample", OPTION_COUNT, &sample_rows},
		{"seed", OPTION_COUNT, &walk.report.seed},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "table stats: one RELEASE/TABLE");
	}
	status = table_argument_read(session, rest.values[0], release, &walk.place);
	if (status != EXIT_DONE) {
		return status;
	}
	if (sample_rows == 0) {
		return session_usage(session, "--sample: 0 given, at least 1 is needed");
	}
	status = run_walk(session, &walk, sample_rows);
	reservoir_fini(&walk.sample);
	table_report_fini(&walk.report);
	return status;
}
