/* health.c - the checks of /readyz. */
#include "daemon/http/health.h"

#include "daemon/http/sources.h"
#include "daemon/method/call/service.h"
#include "daemon/store/figures.h"
#include "daemon/store/live_figures.h"

#include <inttypes.h>

bool health_is_alive(const struct http_sources *sources)
{
	/* A daemon that stops ends its loops. */
	return atomic_load(&sources->draining) || sources->is_alive(sources->is_alive_arg);
}

static bool check(struct text *text, bool is_good, const char *name, const char *reason)
{
	text_add(text, "[%c]%s %s\n", is_good ? '+' : '-', name, is_good ? "ok" : reason);
	return is_good;
}

static bool check_resident(struct text *text, const struct http_sources *sources,
	const struct live_figures *live)
{
	uint64_t bytes = 0;
	uint64_t present = 0;
	for (size_t i = 0; i < live->table_count; i++) {
		bytes += live->tables[i].segment_bytes;
		present += live->tables[i].present;
	}
	const unsigned percent =
		bytes == 0 ? 100 : (unsigned)((double)present / (double)bytes * 100);
	if (percent >= sources->ready_resident) {
		return check(text, true, "resident", NULL);
	}
	text_add(text, "[-]resident %u %% of the live release is in memory, ready_resident is %u\n",
		percent, sources->ready_resident);
	return false;
}

/* What does not keep a daemon from serving what it has. */
static void tell_degraded(struct text *text, const struct store_figures *figures)
{
	if (figures->write.read_only) {
		text_add(text,
			"degraded: a sync has failed, and nothing is written until a restart\n");
	}
	if (figures->segments_damaged > 0) {
		text_add(text, "degraded: segments that are damaged: %" PRIu64 "\n",
			figures->segments_damaged);
	}
}

bool health_write(struct text *text, const struct http_sources *sources)
{
	struct store *store = sources->service->store;
	struct live_figures live;
	struct store_figures figures;
	bool is_ready =
		check(text, health_is_alive(sources), "loops", "a loop has not turned for seconds");
	is_ready = check(text, !atomic_load(&sources->draining), "serving", "the daemon stops") &&
		   is_ready;
	if (store_live_figures(store, &live) != STATUS_OK) {
		text->failed = true;
		return false;
	}
	const bool has_live = live.live != NULL;
	is_ready = check(text, has_live, "live", "no release is live; publish one") && is_ready;
	if (has_live) {
		uint64_t unchecked = 0;
		for (size_t i = 0; i < live.table_count; i++) {
			unchecked += live.tables[i].unchecked;
		}
		is_ready = check(text, unchecked == 0, "segments",
				   "segments of the live release are not checked yet") &&
			   is_ready;
		is_ready = check_resident(text, sources, &live) && is_ready;
	}
	live_figures_fini(&live);
	store_figures(store, &figures);
	tell_degraded(text, &figures);
	return is_ready;
}
