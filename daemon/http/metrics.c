/* metrics.c - puts the metrics together, and has those of the network and of methods. */
#include "daemon/http/metrics.h"

#include "daemon/http/exposition.h"
#include "daemon/http/health.h"
#include "daemon/http/sources.h"
#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/net/net_figures.h"
#include "daemon/served/served.h"
#include "daemon/store/figures.h"
#include "daemon/store/live_figures.h"

#include <string.h>

#define NS_PER_S 1e9

/* ---- calls ---- */

static void write_requests(struct text *text, const struct stats_sources *net)
{
	struct method_figures figures;
	metric_head(text, "requests_total", "counter",
		"Requests that were answered, by method and code.");
	for (size_t i = 0; i <= method_count; i++) {
		const char *method = i < method_count ? method_table[i].name : "unknown";
		net_figures_method(net, i, &figures);
		for (unsigned code = 0; code < STATUS_COUNT; code++) {
			if (figures.codes[code] > 0) {
				metric_uint(text, "requests_total",
					LABELS("method", method, "code",
						status_name((enum status)code)),
					figures.codes[code]);
			}
		}
	}
	metric_head(text, "request_duration_seconds", "histogram",
		"Time from the last byte of a request to the last byte of its reply that was queued.");
	for (size_t i = 0; i < method_count; i++) {
		net_figures_method(net, i, &figures);
		if (histogram_count(&figures.times) > 0) {
			metric_histogram(text, "request_duration_seconds",
				LABELS("method", method_table[i].name), &figures.times,
				HISTOGRAM_SHORT_NS, NS_PER_S);
		}
	}
	metric_head(text, "requests_in_flight", "gauge",
		"Requests that wait for a thread, or run on one, beside the loops.");
	for (size_t i = 0; i < method_count; i++) {
		net_figures_method(net, i, &figures);
		if (histogram_count(&figures.times) > 0 || figures.away > 0) {
			metric_uint(text, "requests_in_flight",
				LABELS("method", method_table[i].name), figures.away);
		}
	}
}

static void write_queues(struct text *text, const struct stats_sources *net)
{
	struct lane_figures figures;
	metric_head(text, "queue_length", "gauge", "Requests that wait for a thread, by queue.");
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		net_figures_lane(net, (enum lane_number)i, &figures);
		metric_uint(text, "queue_length", LABELS("queue", figures.name), figures.waiting);
	}
	metric_head(text, "queue_duration_seconds", "histogram",
		"How long requests have waited for a thread, by queue.");
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		net_figures_lane(net, (enum lane_number)i, &figures);
		metric_histogram(text, "queue_duration_seconds", LABELS("queue", figures.name),
			&figures.waits, HISTOGRAM_SHORT_NS, NS_PER_S);
	}
}

/* How many there were and how long they took; which they were, the slow log says. */
static void write_slow(struct text *text, struct slow_log *log)
{
	enum { US_PER_S = 1000 * 1000 };
	uint64_t count;
	uint64_t sum_us;
	slow_log_figures(log, &count, &sum_us);
	metric_head(text, "slow_requests_total", "counter",
		"Requests that took longer than slow_threshold.");
	metric_uint(text, "slow_requests_total", NULL, count);
	metric_head(text, "slow_requests_seconds_total", "counter",
		"How long these requests took, all together.");
	metric_double(text, "slow_requests_seconds_total", NULL, (double)sum_us / US_PER_S);
}

static void write_served(struct text *text, struct served *served)
{
	struct served_figures figures;
	served_figures(served, &figures);
	metric_head(text, "served_fetches_total", "counter",
		"Fetches for the log of served rows, by what became of them.");
	metric_uint(text, "served_fetches_total", LABELS("result", "written"), figures.written);
	metric_uint(text, "served_fetches_total", LABELS("result", "dropped"), figures.dropped);
	metric_uint(text, "served_fetches_total", LABELS("result", "failed"), figures.failed);
	metric_head(text, "served_rows_total", "counter",
		"Keys of these fetches, whether or not they were found.");
	metric_uint(text, "served_rows_total", LABELS("result", "written"), figures.rows_written);
	metric_uint(text, "served_rows_total", LABELS("result", "dropped"), figures.rows_dropped);
	metric_uint(text, "served_rows_total", LABELS("result", "failed"), figures.rows_failed);
	metric_head(text, "served_bytes_total", "counter",
		"Bytes that were written to the log of served rows.");
	metric_uint(text, "served_bytes_total", NULL, figures.bytes);
	metric_head(text, "served_file_bytes", "gauge", "Bytes of its files.");
	metric_uint(text, "served_file_bytes", NULL, figures.file_bytes);
	metric_head(text, "served_file_limit_bytes", "gauge", "The setting [served] size.");
	metric_uint(text, "served_file_limit_bytes", NULL, figures.limits.bytes);
}

/* How the calls of one method have ended: counts of those that did what was asked, and of the others. */
static void write_result(struct text *text, const struct stats_sources *net, const char *name,
	const char *method, const char *help)
{
	const struct method *found = method_find(method, strlen(method));
	struct method_figures figures = {0};
	uint64_t failed = 0;
	if (found != NULL) {
		net_figures_method(net, (size_t)(found - method_table), &figures);
	}
	for (unsigned code = STATUS_OK + 1; code < STATUS_COUNT; code++) {
		failed += figures.codes[code];
	}
	metric_head(text, name, "counter", help);
	metric_uint(text, name, LABELS("result", "ok"), figures.codes[STATUS_OK]);
	metric_uint(text, name, LABELS("result", "failed"), failed);
}

void metrics_of_methods(struct text *text, const struct stats_sources *net,
	const struct service *service)
{
	struct service_figures figures;
	service_figures(service, &figures);
	write_requests(text, net);
	write_slow(text, service->slow_log);
	write_served(text, service->served);
	write_queues(text, net);
	metric_head(text, "fetch_keys", "histogram", "Keys of a fetch.");
	metric_histogram(text, "fetch_keys", NULL, &figures.fetch_keys, 1, 1);
	metric_head(text, "fetch_reply_bytes", "histogram", "Bytes of the reply to a fetch.");
	metric_histogram(text, "fetch_reply_bytes", NULL, &figures.fetch_reply_bytes,
		SERVICE_REPLY_BYTES, 1);
	metric_head(text, "retrieve_compared_rows", "histogram",
		"Rows that a search has looked at.");
	metric_histogram(text, "retrieve_compared_rows", NULL, &figures.compared_rows,
		SERVICE_COMPARED_ROWS, 1);
	metric_head(text, "retrieve_total", "counter", "Searches, by whether the answer is exact.");
	metric_uint(text, "retrieve_total", LABELS("answer", "exact"), figures.retrieves_exact);
	metric_uint(text, "retrieve_total", LABELS("answer", "approximate"),
		figures.retrieves_approximate);
	metric_head(text, "seal_duration_seconds", "histogram", "Time of seals that succeeded.");
	metric_histogram(text, "seal_duration_seconds", NULL, &figures.seal_times,
		HISTOGRAM_LONG_NS, NS_PER_S);
	write_result(text, net, "seals_total", "release.seal", "Seals of a release, by result.");
	write_result(text, net, "publishes_total", "release.publish",
		"Publishes of a release, by result.");
	write_result(text, net, "rollbacks_total", "release.rollback", "Rollbacks, by result.");
}

/* ---- connections ---- */

static void write_connections(struct text *text, const struct net_figures *figures)
{
	metric_head(text, "connections", "gauge", "Connections that are open, by transport.");
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		metric_uint(text, "connections",
			LABELS("transport", transport_name((enum transport)i)), figures->open[i]);
	}
	metric_head(text, "local_readers", "gauge",
		"Connections of processes that read the data folder themselves, and say so.");
	metric_uint(text, "local_readers", NULL, figures->local_readers);
	metric_head(text, "connections_total", "counter",
		"Connections that were accepted or refused, by transport.");
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		const char *transport = transport_name((enum transport)i);
		metric_uint(text, "connections_total",
			LABELS("transport", transport, "result", "accepted"), figures->accepted[i]);
		metric_uint(text, "connections_total",
			LABELS("transport", transport, "result", "refused"), figures->refused[i]);
	}
}

static void write_closings(struct text *text, const struct net_figures *figures)
{
	metric_head(text, "connections_refused_total", "counter",
		"Connections that were refused, by reason.");
	for (unsigned why = 0; why < REFUSAL_COUNT; why++) {
		metric_uint(text, "connections_refused_total",
			LABELS("reason", refusal_name((enum refusal)why)),
			figures->refused_by[why]);
	}
	metric_head(text, "connections_closed_total", "counter",
		"Connections that the daemon has closed, by reason.");
	for (unsigned why = 0; why < CLOSING_COUNT; why++) {
		metric_uint(text, "connections_closed_total",
			LABELS("reason", closing_name((enum closing)why)), figures->closed[why]);
	}
}

static void write_auth_failures(struct text *text, const struct stats_sources *net,
	const struct net_figures *figures)
{
	struct tls_figures tls;
	const bool has_tls = net_figures_tls(net, &tls);
	metric_head(text, "auth_failures_total", "counter",
		"Calls that were denied, and peers that were not let in, by transport and reason.");
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		metric_uint(text, "auth_failures_total",
			LABELS("transport", transport_name((enum transport)i), "reason", "role"),
			figures->denied[i]);
	}
	for (unsigned i = 0; has_tls && i < tls.reasons; i++) {
		metric_uint(text, "auth_failures_total",
			LABELS("transport", transport_name(TRANSPORT_TLS), "reason", tls.names[i]),
			tls.refused[i]);
	}
	if (has_tls) {
		metric_head(text, "tls_certificate_not_after_timestamp_seconds", "gauge",
			"Until when the certificate of the daemon is valid.");
		metric_uint(text, "tls_certificate_not_after_timestamp_seconds", NULL,
			(uint64_t)(tls.not_after_ms / 1000));
	}
}

void metrics_of_net(struct text *text, const struct stats_sources *net)
{
	struct net_figures figures;
	net_figures(net, &figures);
	write_connections(text, &figures);
	write_closings(text, &figures);
	write_auth_failures(text, net, &figures);
	metric_head(text, "network_bytes_total", "counter", "Bytes of requests and of replies.");
	metric_uint(text, "network_bytes_total", LABELS("direction", "in"), figures.bytes_in);
	metric_uint(text, "network_bytes_total", LABELS("direction", "out"), figures.bytes_out);
	metric_head(text, "buffer_bytes", "gauge",
		"Memory of requests that are large or wait, and of replies that were not sent yet.");
	metric_uint(text, "buffer_bytes", LABELS("kind", "requests"), figures.requests_bytes);
	metric_uint(text, "buffer_bytes", LABELS("kind", "replies"), figures.replies_bytes);
	metric_head(text, "buffer_limit_bytes", "gauge",
		"The settings request_memory and reply_memory.");
	metric_uint(text, "buffer_limit_bytes", LABELS("kind", "requests"), figures.requests_limit);
	metric_uint(text, "buffer_limit_bytes", LABELS("kind", "replies"), figures.replies_limit);
}

/* ---- all ---- */

static void write_backpressure(struct text *text, const struct stats_sources *net,
	const struct store_figures *store)
{
	struct net_figures figures;
	net_figures(net, &figures);
	metric_head(text, "backpressure_total", "counter",
		"How often a peer had to wait or was told BUSY, by reason.");
	metric_uint(text, "backpressure_total", LABELS("reason", "read_stopped"),
		figures.read_stopped);
	metric_uint(text, "backpressure_total", LABELS("reason", "reply_full"),
		figures.replies_full);
	metric_uint(text, "backpressure_total", LABELS("reason", "write_wait"),
		figures.writes_held + store->write.room_waits);
	metric_uint(text, "backpressure_total", LABELS("reason", "busy"), figures.lanes_full);
	metric_uint(text, "backpressure_total", LABELS("reason", "queue_time"), figures.queue_late);
}

static const char *instruction_set(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f")) {
		return "avx512";
	}
	if (__builtin_cpu_supports("avx2")) {
		return "avx2";
	}
#endif
	return "none";
}

static void write_ready(struct text *text, const struct http_sources *sources)
{
	struct text reasons = {0};
	const bool is_ready = health_write(&reasons, sources);
	text->failed = text->failed || reasons.failed;
	text_fini(&reasons);
	metric_head(text, "ready", "gauge", "1: /readyz says 200.");
	metric_uint(text, "ready", NULL, is_ready);
}

static void write_config(struct text *text, const struct config_figures *config)
{
	metric_head(text, "config_last_reload_successful", "gauge",
		"1: the settings that are in the file are those that hold.");
	metric_uint(text, "config_last_reload_successful", NULL, config->is_good);
	metric_head(text, "config_last_reload_success_timestamp_seconds", "gauge",
		"When the settings that hold were read.");
	metric_ms(text, "config_last_reload_success_timestamp_seconds", NULL, config->success_ms);
}

void metrics_write(struct text *text, const struct http_sources *sources)
{
	struct store *store = sources->service->store;
	struct store_figures figures;
	struct live_figures live;
	if (store_live_figures(store, &live) != STATUS_OK) {
		text->failed = true;
		return;
	}
	store_figures(store, &figures);
	metric_head(text, "build_info", "gauge", "The program.");
	metric_uint(text, "build_info",
		LABELS("version", sources->service->version, "simd", instruction_set()), 1);
	write_ready(text, sources);
	metrics_of_methods(text, sources->net, sources->service);
	metrics_of_net(text, sources->net);
	metrics_of_limits(text, sources->net, &figures);
	write_config(text, &sources->service->config);
	write_backpressure(text, sources->net, &figures);
	metrics_of_store(text, store, &figures);
	metrics_of_live(text, &live);
	metrics_of_process(text, sources->started_s);
	live_figures_fini(&live);
}
