/* state.c - the JSON of /api/state. */
#include "daemon/http/state.h"

#include "daemon/http/health.h"
#include "daemon/http/metrics.h"
#include "daemon/http/series.h"
#include "daemon/http/sources.h"
#include "daemon/method/call/service.h"
#include "daemon/net/net_figures.h"
#include "daemon/store/figures.h"
#include "daemon/store/live_figures.h"
#include "daemon/store/system/clock.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Each of these writes a name and a value; the first entry of an object comes without the comma before it. */
static void name_it(struct text *text, const char *name)
{
	const bool is_first = text->len > 0 && text->data[text->len - 1] == '{';
	text_add(text, "%s\"%s\":", is_first ? "" : ",", name);
}

static void put_uint(struct text *text, const char *name, uint64_t value)
{
	name_it(text, name);
	text_add(text, "%" PRIu64, value);
}

static void put_int(struct text *text, const char *name, int64_t value)
{
	name_it(text, name);
	text_add(text, "%" PRId64, value);
}

static void put_flag(struct text *text, const char *name, bool value)
{
	name_it(text, name);
	text_add(text, value ? "true" : "false");
}

/* From 0 to 1; of nothing all. */
static void put_share(struct text *text, const char *name, uint64_t part, uint64_t whole)
{
	name_it(text, name);
	text_add(text, "%.4g", whole == 0 ? 1.0 : (double)part / (double)whole);
}

static void put_text(struct text *text, const char *name, const char *value)
{
	name_it(text, name);
	text_add_json(text, value);
}

static void put_name(struct text *text, const char *name, const struct release_figures *release)
{
	name_it(text, name);
	if (release == NULL) {
		text_add(text, "null");
	} else {
		text_add_json(text, release->id.text);
	}
}

static void begin_list(struct text *text, const char *name)
{
	name_it(text, name);
	text_add(text, "[");
}

/* The next entry of a list, which is an object. */
static void begin_entry(struct text *text)
{
	text_add(text, text->len > 0 && text->data[text->len - 1] == '[' ? "{" : ",{");
}

/* ---- parts ---- */

static void write_checks(struct text *text, const struct http_sources *sources)
{
	struct text lines = {0};
	const bool is_ready = health_write(&lines, sources);
	text->failed = text->failed || lines.failed;
	put_flag(text, "ready", is_ready);
	begin_list(text, "checks");
	char *rest = lines.data;
	char *line;
	while (!text->failed && (line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		text_add(text, "%s", line == lines.data ? "" : ",");
		text_add_json(text, line);
	}
	text_add(text, "]");
	text_fini(&lines);
}

static void write_releases(struct text *text, const struct live_figures *live)
{
	put_name(text, "live", live->live);
	put_name(text, "rollback", live->rollback);
	begin_list(text, "releases");
	for (size_t i = 0; i < live->release_count; i++) {
		const struct release_figures *release = &live->releases[i];
		begin_entry(text);
		put_text(text, "release", release->id.text);
		put_uint(text, "number", release->number);
		put_text(text, "state", release->state);
		put_text(text, "model", release->model);
		put_text(text, "checkpoint", release->checkpoint);
		put_text(text, "layer", release->layer.text);
		put_int(text, "created_ms", release->created_ms);
		put_int(text, "sealed_ms", release->sealed_ms);
		put_int(text, "published_ms", release->published_ms);
		put_uint(text, "tables", release->tables);
		put_uint(text, "rows", release->rows);
		put_flag(text, "rows_exact", release->rows_exact);
		put_uint(text, "bytes", release->bytes);
		text_add(text, "}");
	}
	text_add(text, "]");
}

static void write_level(struct text *text, const struct level_figures *level)
{
	begin_entry(text);
	put_uint(text, "number", level->number);
	put_uint(text, "files", level->files);
	put_uint(text, "rows", level->rows);
	put_uint(text, "deleted", level->deleted);
	put_uint(text, "bytes", level->bytes);
	put_share(text, "resident", level->resident_bytes, level->segment_bytes);
	put_share(text, "checked", level->checked_bytes, level->segment_bytes);
	put_uint(text, "damaged", level->damaged);
	put_uint(text, "index_bytes", level->index_bytes);
	text_add(text, "}");
}

static void write_table(struct text *text, const struct live_table *table)
{
	begin_entry(text);
	put_text(text, "table", table->name.text);
	put_uint(text, "rows", table->rows);
	put_flag(text, "rows_exact", table->rows_exact);
	put_uint(text, "bytes", table->bytes);
	put_share(text, "resident", table->present, table->segment_bytes);
	put_uint(text, "deltas", table->deltas);
	put_uint(text, "delta_bytes", table->delta_bytes);
	put_uint(text, "pending", table->pending);
	put_int(text, "written_ms", table->written_ms);
	put_uint(text, "segments", table->segments);
	put_uint(text, "damaged", table->damaged);
	put_text(text, "index", table->index_state);
	put_uint(text, "index_bytes", table->index_bytes);
	begin_list(text, "levels");
	for (size_t i = 0; i < table->level_count; i++) {
		write_level(text, &table->levels[i]);
	}
	text_add(text, "]");
	name_it(text, "keys");
	text_add(text, "{");
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		put_uint(text, service_why_name((enum why)why), table->results[why]);
	}
	text_add(text, "}}");
}

static void write_process(struct text *text, const struct http_sources *sources)
{
	struct store_figures store;
	struct net_figures net;
	store_figures(sources->service->store, &store);
	net_figures(sources->net, &net);
	uint64_t open = 0;
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		open += net.open[i];
	}
	put_uint(text, "connections", open);
	name_it(text, "write");
	text_add(text, "{");
	put_uint(text, "sequence", store.write.sequence);
	put_flag(text, "read_only", store.write.read_only);
	put_uint(text, "pending_bytes", store.write.pending_bytes);
	put_uint(text, "memtable_rows", store.write.memtable_rows);
	put_uint(text, "memtable_bytes", store.write.memtable_bytes);
	put_uint(text, "merges", store.write.merges);
	put_uint(text, "merges_failed", store.write.merges_failed);
	text_add(text, "}");
	name_it(text, "process");
	text_add(text, "{");
	put_uint(text, "resident_bytes", process_resident_bytes());
	put_uint(text, "free_bytes", store_free_bytes(sources->service->store));
	text_add(text, "}");
}

static void write_series(struct text *text, const struct series *series)
{
	name_it(text, "series");
	text_add(text, "{");
	put_int(text, "end_ms", series->end_ms);
	for (unsigned name = 0; name < SERIES_COUNT; name++) {
		begin_list(text, series_name_text((enum series_name)name));
		for (unsigned i = 0; i < series->count; i++) {
			const double value =
				(double)series_value(series, (enum series_name)name, i);
			if (isnan(value)) {
				text_add(text, "%snull", i == 0 ? "" : ",");
			} else {
				text_add(text, "%s%.5g", i == 0 ? "" : ",", value);
			}
		}
		text_add(text, "]");
	}
	text_add(text, "}");
}

static void write_events(struct text *text, const struct http_sources *sources)
{
	struct http_event events[HTTP_EVENTS_MAX];
	const unsigned count = sources->events == NULL ? 0 : sources->events(events);
	begin_list(text, "events");
	for (unsigned i = 0; i < count; i++) {
		begin_entry(text);
		put_int(text, "ms", events[i].ms);
		put_text(text, "level", events[i].level);
		put_text(text, "text", events[i].text);
		text_add(text, "}");
	}
	text_add(text, "]");
}

void state_write(struct text *text, const struct http_sources *sources, const struct series *series)
{
	struct live_figures live;
	if (store_live_figures(sources->service->store, &live) != STATUS_OK) {
		text->failed = true;
		return;
	}
	text_add(text, "{");
	put_text(text, "version", sources->service->version);
	put_int(text, "now_ms", clock_unix_ms());
	put_int(text, "started_ms", (int64_t)(sources->started_s * 1000));
	put_int(text, "interval_ms", SERIES_INTERVAL_MS);
	write_checks(text, sources);
	write_releases(text, &live);
	begin_list(text, "tables");
	for (size_t i = 0; i < live.table_count; i++) {
		write_table(text, &live.tables[i]);
	}
	text_add(text, "]");
	write_process(text, sources);
	write_series(text, series);
	write_events(text, sources);
	text_add(text, "}\n");
	live_figures_fini(&live);
}
