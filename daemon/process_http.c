/* process_http.c - opens and closes the port for HTTP as the settings say. */
#include "daemon/process_http.h"

#include "daemon/journal.h"
#include "daemon/method/call/service.h"
#include "daemon/net/server.h"
#include "daemon/store/system/clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	/* A loop counts as dead when it has not turned for so long: as for the watchdog. */
	HTTP_LIFE_MS = 5000,
};

static enum status read_address(const struct settings *settings, struct address *out,
	struct error *err)
{
	const enum status status = address_parse_anywhere(settings->http_listen, out, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (out->tls) {
		return error_set(err, STATUS_BAD_REQUEST,
			"http listen '%s': unix:PATH or tcp:HOST:PORT allowed",
			settings->http_listen);
	}
	if (!settings->http_exposes_metrics && !address_is_local(out)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"http listen '%s': loopback alone is allowed, unless [http] expose is metrics",
			settings->http_listen);
	}
	return STATUS_OK;
}

enum status process_http_check(const struct settings *settings, struct error *err)
{
	struct address address;
	return strcmp(settings->http_listen, "none") == 0 ? STATUS_OK
							  : read_address(settings, &address, err);
}

enum status process_http_listen(struct process_http *http, const struct settings *settings,
	int passed, struct error *err)
{
	struct address address;
	if (passed >= 0) {
		return settings->http_exposes_metrics
			       ? listener_adopt_anywhere(passed, &http->listener, err)
			       : listener_adopt(passed, &http->listener, err);
	}
	if (strcmp(settings->http_listen, "none") == 0) {
		return STATUS_OK;
	}
	const enum status status = read_address(settings, &address, err);
	return status == STATUS_OK
		       ? listener_open(&address, settings->http_socket_mode, &http->listener, err)
		       : status;
}

static unsigned read_events(struct http_event out[HTTP_EVENTS_MAX])
{
	struct journal_line lines[JOURNAL_KEPT];
	const unsigned count = journal_last(lines);
	static_assert((int)JOURNAL_KEPT == (int)HTTP_EVENTS_MAX, "all that are kept are shown");
	for (unsigned i = 0; i < count; i++) {
		out[i].ms = lines[i].ms;
		out[i].level = lines[i].level;
		(void)snprintf(out[i].text, sizeof out[i].text, "%s", lines[i].text);
	}
	return count;
}

static bool is_alive(void *arg)
{
	return server_is_alive(arg, HTTP_LIFE_MS);
}

enum status process_http_start(struct process_http *http, const struct settings *settings,
	struct service *service, const struct server *server, struct error *err)
{
	if (http->listener.fd < 0) {
		return STATUS_OK;
	}
	const int64_t running_ms = clock_monotonic_ms() - service->started_ms;
	http->sources = (struct http_sources){
		.net = server_stats(server),
		.service = service,
		.started_s = (double)(clock_unix_ms() - running_ms) / 1000,
		.is_alive = is_alive,
		.is_alive_arg = (void *)server,
		.ready_resident = settings->ready_resident,
		.shows_page = !settings->http_hides_page,
		.events = read_events,
	};
	const struct http_options options = {
		.listener = &http->listener,
		.sources = &http->sources,
		.exposes_metrics = settings->http_exposes_metrics,
	};
	return http_start(&options, &http->http, err);
}

void process_http_drain(struct process_http *http)
{
	atomic_store(&http->sources.draining, true);
}

void process_http_stop(struct process_http *http)
{
	http_stop(http->http);
	http->http = NULL;
	listener_close(&http->listener);
}
