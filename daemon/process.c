/* process.c - starts the parts in order, waits for a signal, ends them in the other order. */
#include "daemon/process.h"

#include "daemon/access/access.h"
#include "daemon/certificates.h"
#include "daemon/journal.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/net/server.h"
#include "daemon/notify.h"
#include "daemon/process_http.h"
#include "daemon/process_listen.h"
#include "daemon/process_served.h"
#include "daemon/reload.h"
#include "daemon/store/state/options.h"
#include "daemon/store/store.h"
#include "daemon/store/system/clock.h"
#include "daemon/tuning.h"

#include "config.h"

#include <assert.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum {
	/* When the grace for requests is over, the daemon waits for so long. Then it ends, even if a
	 * seal is under way; that seal has to be asked for again. */
	PROCESS_FORCE_MS = 5000,
	/* A worker gives a sign of life every second. It counts as dead after this time or later. */
	PROCESS_LIFE_MIN_MS = 5000,
	PROCESS_MAPPED_BYTES = 4 << 20,
	PROCESS_KEPT_BYTES = 64 << 20,
};

struct process {
	uv_loop_t uv;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_timer_t watchdog;
	uv_timer_t force;
	struct settings *settings; /* borrowed; a reload changes them */
	struct reload reload;
	struct process_listen listen;
	struct store *store;
	struct tls_context *tls; /* owned, until the server takes it; NULL: nobody listens for it */
	struct server *server;
	struct service service;
	struct access access;
	struct process_http http;
	struct slow_log slow_log;
	struct served *served; /* owned; NULL: there is none */
	uint64_t watchdog_ms;
	bool stopping;
};

static_assert((int)SETTINGS_LISTEN_MAX == (int)SERVER_LISTENERS_MAX, "one bound, named twice");

/* ---- signals and timers ---- */

static void on_watchdog(uv_timer_t *timer)
{
	struct process *process = timer->data;
	uint64_t within_ms = process->watchdog_ms;
	if (within_ms < PROCESS_LIFE_MIN_MS) {
		within_ms = PROCESS_LIFE_MIN_MS;
	}
	/* If a loop does not turn any more, the service manager is to end the daemon. */
	if (process->stopping || server_is_alive(process->server, within_ms)) {
		notify_alive();
	}
}

static void close_handles(struct process *process)
{
	uv_close((uv_handle_t *)&process->terminate, NULL);
	uv_close((uv_handle_t *)&process->interrupt, NULL);
	reload_close(&process->reload);
	uv_close((uv_handle_t *)&process->watchdog, NULL);
	/* It still ends a stop whose last work, settings that are being read, does not come back; but it is
	 * nothing to wait for. */
	uv_unref((uv_handle_t *)&process->force);
}

/* What close_handles has left, once nothing runs on the loop any more. */
static void close_last(struct process *process)
{
	uv_close((uv_handle_t *)&process->force, NULL);
	uv_run(&process->uv, UV_RUN_DEFAULT);
}

static void on_stopped(void *arg)
{
	struct process *process = arg;
	assert(process->stopping);
	process_http_stop(&process->http);
	close_handles(arg);
}

/* Ends the daemon while work goes on. That loses nothing: what was acknowledged is on the disk, and
 * the rest may be asked for again. */
static void on_force(uv_timer_t *timer)
{
	const struct process *process = timer->data;
	assert(process->stopping);
	journal_event(JOURNAL_WARNING, "event=stopped reason=work_left_unfinished");
	_exit(PROCESS_DONE);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct process *process = handle->data;
	if (process->stopping) {
		return;
	}
	process->stopping = true;
	journal_event(JOURNAL_INFO, "event=stopping signal=%d", number);
	notify_stopping();
	process_http_drain(&process->http);
	reload_stop(&process->reload);
	store_interrupt(process->store);
	uv_timer_start(&process->force, on_force,
		process->settings->stop_grace_ms + PROCESS_FORCE_MS, 0);
	server_stop(process->server, on_stopped, process);
}

static void open_handles(struct process *process)
{
	uv_signal_init(&process->uv, &process->terminate);
	uv_signal_init(&process->uv, &process->interrupt);
	reload_init(&process->reload, &process->uv);
	uv_timer_init(&process->uv, &process->watchdog);
	uv_timer_init(&process->uv, &process->force);
	process->terminate.data = process->interrupt.data = process;
	process->watchdog.data = process->force.data = process;
}

/* ---- start and end ---- */

static enum status start_server(struct process *process, struct error *err)
{
	const struct settings *settings = process->settings;
	struct server_options options = {
		.uv = &process->uv,
		.listeners = process->listen.listeners,
		.listener_count = process->listen.count,
		.workers = settings->workers,
		.pool = settings->pool,
		.search_threads = settings->search_threads,
		.search_waiting = settings->search_waiting,
		.spare = SERVER_SPARE,
		.limits = tuning_limits(settings),
		.memory = tuning_memory(settings),
		.tls = process->tls,
		.handshakes = settings->tls_handshakes,
		.handshake_timeout_ms = settings->tls_handshake_timeout_ms,
		.service = &process->service,
		.access = &process->access,
		.on_event = journal_tell,
	};
	process->tls = NULL;
	return server_open(&options, &process->server, err);
}

static void on_nothing(void *arg)
{
	(void)arg;
}

/* Does the cheap checks first. Takes the lock of the data folder before it opens the sockets, so
 * that a second daemon is told that the folder is in use. */
static enum status start(struct process *process, struct error *err)
{
	const struct settings *settings = process->settings;
	struct store_options options = {
		.folder = settings->data,
		.backup_folder = settings->backup_folder,
		.load_memory_bytes = settings->load_memory_bytes,
		.catalog_bytes = settings->catalog_bytes,
		.disk_reserve_bytes = settings->disk_reserve_bytes,
		.sizes.index_memory = settings->index_memory_bytes,
		.sizes.index_time_ms = settings->index_time_ms,
		.write = tuning_writes(settings),
		.on_event = journal_tell,
	};
	enum status status = process_listen_begin(&process->listen, settings, err);
	if (status == STATUS_OK && process->listen.has_tls) {
		status = certificates_open(settings, &process->tls, err);
	}
	if (status == STATUS_OK) {
		status = store_open(&options, &process->store, err);
	}
	if (status == STATUS_OK) {
		status = process_listen_open(&process->listen, settings, err);
	}
	if (status == STATUS_OK) {
		status = process_served_open(settings, &process->served, err);
	}
	if (status == STATUS_OK) {
		status = process_http_listen(&process->http, settings, process->listen.http, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	process->service.store = process->store;
	process->service.access = &process->access;
	process->service.served = process->served;
	process->service.listen = process->listen.shown;
	process->service.reload = reload_ask;
	process->service.reload_arg = &process->reload;
	if (process->tls != NULL) {
		certificates_announce(process->tls);
	}
	status = start_server(process, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = process_http_start(&process->http, settings, &process->service, process->server,
		err);
	if (status != STATUS_OK) {
		server_stop(process->server, on_nothing, NULL);
	}
	return status;
}

/* Blocks or unblocks the signals that end the daemon. They wait until it can end in order. */
static void hold_signals(int how)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	(void)pthread_sigmask(how, &signals, NULL);
}

static void watch(struct process *process, const struct settings_source *source)
{
	const struct reload_parts parts = {
		.settings = process->settings,
		.source = source,
		.access = &process->access,
		.server = process->server,
		.store = process->store,
		.service = &process->service,
	};
	reload_start(&process->reload, &parts);
	uv_signal_start(&process->terminate, on_signal, SIGTERM);
	uv_signal_start(&process->interrupt, on_signal, SIGINT);
	hold_signals(SIG_UNBLOCK);
	process->watchdog_ms = notify_watchdog_ms();
	if (process->watchdog_ms > 0) {
		uv_timer_start(&process->watchdog, on_watchdog, 0, process->watchdog_ms / 3);
	}
}

static void announce(const struct process *process)
{
	const struct settings *settings = process->settings;
	journal_event(JOURNAL_INFO,
		"event=started version=%s pid=%d data='%s' config='%s' workers=%u pool=%u",
		REPSTORE_VERSION, (int)getpid(), settings->data, settings->config,
		settings->workers, settings->pool);
	for (unsigned i = 0; i < process->listen.count; i++) {
		journal_event(JOURNAL_INFO, "event=listening address=%s", process->listen.shown[i]);
	}
	if (process->http.listener.fd >= 0) {
		journal_event(JOURNAL_INFO, "event=listening http=%s",
			process->http.listener.address.text);
	}
	notify_ready();
}

/* Ends what was started. If anything is left open, that is a mistake of ours. */
static int finish(struct process *process)
{
	process_http_stop(&process->http);
	bool clean = server_close(process->server) == STATUS_OK;
	reload_fini(&process->reload);
	clean = uv_loop_close(&process->uv) == 0 && clean;
	process_listen_close(&process->listen);
	tls_context_close(process->tls);
	served_close(process->served);
	store_close(process->store);
	access_fini(&process->access);
	slow_log_fini(&process->slow_log);
	if (!clean) {
		journal_event(JOURNAL_ERROR, "event=stopped reason=handles_left_open");
	}
	return clean ? PROCESS_DONE : PROCESS_FAILED;
}

/* Signals that would end the daemon without order do nothing:
 *     SIGPIPE              a write to a peer that has left returns an error
 *     SIGXFSZ              a file that reaches its limit is like a full disk
 *     SIGHUP               until the daemon has started; then it reads its settings anew
 *     SIGUSR1, SIGUSR2     other daemons take orders by them
 * Each connection needs a descriptor, so the daemon takes as many as it may have. */
static void prepare_system(void)
{
	static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGUSR1, SIGUSR2};
	struct rlimit files;
	/* From this size on memory is a map of its own, which grows without a copy and is given back at
	 * once. glibc raises the bound to 32 MiB after the first large free; the read buffer of a
	 * request of 40 MB was then copied whenever it grew, up to 14 ms of a loop each time. */
	(void)mallopt(M_MMAP_THRESHOLD, PROCESS_MAPPED_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, PROCESS_KEPT_BYTES);
	hold_signals(SIG_BLOCK);
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
		(void)signal(ignored[i], SIG_IGN);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

enum status process_check(const struct settings *settings, struct error *err)
{
	static struct process_listen listen; /* too large for a stack */
	struct tls_context *tls = NULL;
	enum status status = process_listen_check(&listen, settings, err);
	if (status == STATUS_OK) {
		status = process_http_check(settings, err);
	}
	if (status == STATUS_OK) {
		status = process_served_check(settings, err);
	}
	if (status == STATUS_OK && listen.has_tls) {
		status = certificates_open(settings, &tls, err);
		tls_context_close(tls);
	}
	return status;
}

int process_run(struct settings *settings, const struct settings_source *source)
{
	struct process process = {
		.settings = settings,
		.http.listener.fd = -1,
		.service =
			{
				.version = REPSTORE_VERSION,
				.started_ms = clock_monotonic_ms(),
				.workers = settings->workers,
				.pool = settings->pool,
				.request_keys = settings->request_keys,
				.request_work_ms = settings->request_work_ms,
				.config = {.success_ms = clock_unix_ms(), .is_good = true},
			},
	};
	struct error err;
	access_init(&process.access, &settings->access);
	slow_log_init(&process.slow_log, settings->slow_threshold_ms);
	process.service.slow_log = &process.slow_log;
	prepare_system();
	if (uv_loop_init(&process.uv) != 0) {
		journal_event(JOURNAL_ERROR, "event=start_failed error=\"no event loop\"");
		return PROCESS_FAILED;
	}
	open_handles(&process);
	if (start(&process, &err) != STATUS_OK) {
		journal_event(JOURNAL_ERROR, "event=start_failed error=\"%s\"", err.text);
		close_handles(&process);
		uv_run(&process.uv, UV_RUN_DEFAULT);
		close_last(&process);
		(void)finish(&process);
		return PROCESS_FAILED;
	}
	watch(&process, source);
	announce(&process);
	uv_run(&process.uv, UV_RUN_DEFAULT);
	close_last(&process);
	int result = finish(&process);
	if (result == PROCESS_DONE) {
		journal_event(JOURNAL_INFO, "event=stopped");
	}
	return result;
}
