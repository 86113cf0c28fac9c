/* repair.c - writes damaged ranges of a table anew; answers what each has lost. */
#include "daemon/store/merge/repair.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/methods.h"
#include "daemon/store/base/base.h"
#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <stdio.h>

const char *const repair_names[] = {"table", "release", "dry_run", NULL};

static void reply_hash(struct wire_writer *out, const char *name, uint64_t hash)
{
	char text[17];
	(void)snprintf(text, sizeof text, "%016" PRIx64, hash);
	reply_str(out, name, text);
}

/* The files by their paths in the data folder, as verify tells them. */
static void reply_files(struct wire_writer *out, const struct repair_report *report,
	const struct repair_range *range)
{
	wire_write_str(out, "files");
	wire_write_array(out, range->file_count);
	for (size_t i = 0; i < range->file_count; i++) {
		char name[64];
		char path[128];
		base_file_name(name, sizeof name, report->table, range->files[i]);
		(void)snprintf(path, sizeof path, "releases/%" PRIu64 "/%s", report->number, name);
		wire_write_str(out, path);
	}
}

static void reply_range(struct wire_writer *out, const struct repair_report *report,
	const struct repair_range *range)
{
	wire_write_map(out, 8);
	reply_hash(out, "first", range->first);
	reply_hash(out, "last", range->last);
	reply_files(out, report, range);
	reply_uint(out, "kept", range->kept);
	reply_uint(out, "partial", range->partial);
	reply_uint(out, "lost", range->lost);
	reply_uint(out, "given_up", range->given_up);
	reply_uint(out, "unreadable", range->unreadable);
}

enum status repair_run(struct call *call)
{
	struct params params;
	struct name release;
	params_begin(&params, call->params, "", repair_names, &call->error);
	struct repair_wish wish = {.dry_run = params_flag(&params, "dry_run")};
	params_name(&params, "release", PARAM_OPTIONAL, &release);
	params_table(&params, &wish.table);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	wish.release = release.text[0] == '\0' ? NULL : release.text;
	struct repair_report report;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status =
		store_repair(call->service->store, &wish, call_stop(call), &report, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	wire_write_map(call->out, 6);
	reply_str(call->out, "release", report.release.text);
	reply_str(call->out, "table", report.name.text);
	reply_flag(call->out, "dry_run", wish.dry_run);
	reply_flag(call->out, "needs_start", report.needs_start);
	reply_uint(call->out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	wire_write_str(call->out, "ranges");
	wire_write_array(call->out, report.count);
	for (size_t i = 0; i < report.count; i++) {
		reply_range(call->out, &report, &report.ranges[i]);
	}
	repair_report_fini(&report);
	return reply_end(call);
}
