/* local_state.c - opens and closes what a process has of a folder that it reads, and tells how old it is. */
#include "daemon/local/local_state.h"

#include "config.h"
#include "daemon/local/local_figures.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/store_new.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"
#include "daemon/store/system/mapfault.h"
#include "daemon/store/system/thread.h"
#include "schema/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_TIMEOUT_MS = 30000 };

/* ---- open ---- */

static enum status open_view(struct local_state *state, struct error *err)
{
	struct visible_view *view = NULL;
	const enum status status = visible_view_open(state->store->folder, &view, err);
	if (status == STATUS_OK) {
		atomic_store(&state->view, view);
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status check_options(const struct local_options *options, struct error *err)
{
	if (options->has_max_lag && options->follow == LOCAL_FOLLOW_RELEASES) {
		return error_set(err, STATUS_BAD_REQUEST,
			"max_lag_ms: given, but writes are not followed, so what is read is as old as the "
			"last merge");
	}
	return STATUS_OK;
}

/* Is it a folder of repstore at all? */
static enum status check_folder(struct local_state *state, struct error *err)
{
	char path[PATH_MAX];
	const enum status status = file_path(path, state->store->folder, "current", err);
	if (status == STATUS_OK && !file_exists(path)) {
		return error_set(err, STATUS_NOT_FOUND,
			"'%s': there is no file 'current' in it: it is no data folder, or no daemon has opened "
			"it yet",
			state->store->folder);
	}
	return status;
}

/* Says that the time is over, and how far the opening came. */
static enum status say_timeout(const struct local_state *state, struct error *err)
{
	char far[96] = "the files of its tables were being opened";
	struct visible page;
	const struct visible_view *view = atomic_load(&state->view);
	if (state->log.file != 0) {
		const int len = snprintf(far, sizeof far, "its log was read up to frame %" PRIu64,
			state->log.next_sequence - 1);
		if (view != NULL && visible_view_read(view, &page)) {
			(void)snprintf(far + len, sizeof far - (size_t)len, " of %" PRIu64,
				page.visible);
		}
	}
	return error_set(err, STATUS_TIMEOUT,
		"open_timeout_ms: %" PRIu64 " given, and '%s' took longer: %s",
		state->opening->timeout_ms, state->store->folder, far);
}

enum status local_state_check_opening(const struct local_state *state, struct error *err)
{
	const enum status status = stop_check(state->opening, NULL);
	if (status == STATUS_TIMEOUT) {
		return say_timeout(state, err);
	}
	return status == STATUS_OK
		       ? STATUS_OK
		       : error_set(err, STATUS_CLOSED, "'%s': its opening was interrupted",
				 state->store->folder);
}

/* Reads all that is there by now. */
static enum status load(struct local_state *state, int64_t began_ms, struct error *err)
{
	/* At once for the first time. */
	struct stop_asking asking = {
		.is_over = state->options.interrupted,
		.context = state->options.interrupted_context,
	};
	const unsigned ms = state->options.open_timeout_ms;
	struct stop opening = {
		.asking = asking.is_over != NULL ? &asking : NULL,
		.read_ms = (uint64_t)began_ms,
		.timeout_ms = ms != 0 ? ms : OPEN_TIMEOUT_MS,
	};
	state->opening = &opening;
	struct grace_reader *before = grace_lend(&state->reader);
	enum status status = local_follow_load(state, err);
	(void)grace_lend(before);
	if (status == STATUS_OK) {
		local_index_open_all(state);
		status = local_state_check_opening(state, err);
	}
	state->opening = NULL; /* before there are threads */
	return status;
}

static enum status open_all(struct local_state *state, struct error *err)
{
	const int64_t began_ms = clock_monotonic_ms();
	enum status status = STATUS_OK;
	if (state->options.handle_sigbus) {
		status = mapfault_install_beside();
		state->handles_sigbus = status == STATUS_OK;
	}
	if (status == STATUS_OK) {
		status = folder_open_reader(state->store->folder, &state->folder, err);
	}
	if (status == STATUS_OK) {
		status = check_folder(state, err);
	}
	if (status == STATUS_OK) {
		status = file_path(state->log_folder, state->store->folder, "log", err);
	}
	if (status == STATUS_OK) {
		status = open_view(state, err);
	}
	if (status == STATUS_OK && state->options.has_max_lag &&
		atomic_load(&state->view) == NULL) {
		status = error_set(err, STATUS_UNSUPPORTED,
			"max_lag_ms: given, but '%s' has no file 'visible': nobody says how old what is in "
			"it is",
			state->store->folder);
	}
	if (status == STATUS_OK) {
		status = load(state, began_ms, err);
	}
	if (status == STATUS_AGAIN) {
		status = error_set(err, STATUS_TIMEOUT,
			"'%s': its files were replaced faster than they could be opened",
			state->store->folder);
	}
	if (!atomic_load(&state->is_full)) {
		atomic_store(&state->caught_up_ns, clock_monotonic_ns());
	}
	if (status == STATUS_OK) {
		status = local_inspect_start(state, err);
	}
	if (status == STATUS_OK && state->options.follow == LOCAL_FOLLOW_WRITES) {
		status = local_images_start(state, err);
	}
	/* Without a page nobody says how far the log may be read. */
	if (status == STATUS_OK && atomic_load(&state->view) != NULL) {
		status = local_follow_start(state, err);
	}
	return status;
}

enum status local_state_open(const struct local_options *options, struct local_state **out,
	struct error *err)
{
	static const char *const listen[] = {NULL};
	const struct store_options store_options = {.folder = options->folder};
	enum status status = check_options(options, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct local_state *state =
		aligned_alloc(_Alignof(struct local_state), sizeof(struct local_state));
	if (state == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", options->folder);
	}
	memset(state, 0, sizeof *state);
	status = store_new(&store_options, &state->store, err);
	if (status != STATUS_OK) {
		free(state);
		return status;
	}
	state->calls = calloc(SLOT_COUNT, sizeof *state->calls);
	state->options = *options;
	state->options.folder = state->store->folder;
	state->log.folder = state->log_folder;
	state->service = (struct service){
		.store = state->store,
		.version = REPSTORE_VERSION,
		.started_ms = clock_monotonic_ms(),
		.request_keys = LIMIT_MESSAGE_BYTES,
		.request_work_ms = LIMIT_CALL_MS,
		.listen = listen,
	};
	grace_reader_init(&state->reader);
	grace_reader_init(&state->inspector_reader);
	grace_reader_init(&state->imager_reader);
	lock_init(&state->lock);
	condition_init(&state->wake);
	condition_init(&state->wake_inspector);
	bell_init(&state->imager_bell);
	status = state->calls != NULL
			 ? open_all(state, err)
			 : error_set(err, STATUS_NO_MEMORY, "open '%s'", options->folder);
	if (status != STATUS_OK) {
		local_state_close(state);
		return status;
	}
	*out = state;
	return STATUS_OK;
}

void local_state_close(struct local_state *state)
{
	if (state == NULL) {
		return;
	}
	local_follow_stop(state);
	local_inspect_stop(state);
	local_images_stop(state);
	local_snapshot_free_all(state);
	redo_follow_end(&state->log);
	visible_view_close(atomic_load(&state->view));
	for (size_t i = 0; i < state->old_view_count; i++) {
		visible_view_close(state->old_views[i]);
	}
	free(state->old_views);
	folder_close(state->folder);
	if (state->handles_sigbus) {
		mapfault_remove_beside();
	}
	grace_reader_fini(&state->reader);
	grace_reader_fini(&state->inspector_reader);
	grace_reader_fini(&state->imager_reader);
	lock_fini(&state->lock);
	condition_fini(&state->wake);
	condition_fini(&state->wake_inspector);
	bell_fini(&state->imager_bell);
	store_free(state->store);
	free(state->calls);
	free(state);
}

/* ---- lag ---- */

/* How long ago the page was written. */
static int64_t age_of(const struct visible *page, uint64_t now_ns)
{
	if (page->monotonic_ns <= now_ns) {
		return (int64_t)((now_ns - page->monotonic_ns) / 1000000);
	}
	const int64_t age_ms = clock_unix_ms() - page->wall_ms; /* from before a reboot */
	return age_ms > 0 ? age_ms : 0;
}

int64_t local_state_lag(const struct local_state *state, bool *is_alive)
{
	struct visible page;
	const struct visible_view *view = atomic_load(&state->view);
	const uint64_t sequence = atomic_load_explicit(&state->applied, memory_order_acquire);
	*is_alive = false;
	if (view == NULL || !visible_view_read(view, &page)) {
		return LOCAL_LAG_UNKNOWN;
	}
	const uint64_t now_ns = clock_monotonic_ns();
	const uint64_t caught_up_ns = atomic_load(&state->caught_up_ns);
	*is_alive = visible_is_alive(&page, now_ns);
	if (sequence < page.visible && state->options.follow == LOCAL_FOLLOW_RELEASES) {
		return LOCAL_LAG_UNKNOWN;
	}
	int64_t lag_ms = *is_alive ? 0 : age_of(&page, now_ns);
	if ((sequence < page.visible || atomic_load(&state->is_behind)) && now_ns > caught_up_ns) {
		if (caught_up_ns == 0) {
			return LOCAL_LAG_UNKNOWN; /* memory was full at the opening: what it lacks may be old */
		}
		const int64_t behind_ms = (int64_t)((now_ns - caught_up_ns) / 1000000);
		lag_ms = behind_ms > lag_ms ? behind_ms : lag_ms;
	}
	return lag_ms;
}
