/* net_figures.c - adds up what the threads of the network have counted. */
#include "daemon/net/net_figures.h"

#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/net/acceptor.h"
#include "daemon/net/credentials.h"
#include "daemon/net/handshake.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"

#include <assert.h>
#include <string.h>

void net_figures_method(const struct stats_sources *from, size_t method, struct method_figures *out)
{
	assert(method <= method_count);
	*out = (struct method_figures){0};
	for (unsigned i = 0; i < from->loop_count; i++) {
		const struct method_counts *counts = &from->loops[i].figures.methods[method];
		for (unsigned code = 0; code < STATUS_COUNT; code++) {
			out->codes[code] += counter_read(&counts->codes[code]);
		}
		out->away += counter_read(&counts->away);
		histogram_read(&counts->times, &out->times);
	}
}

void net_figures_lane(const struct stats_sources *from, enum lane_number number,
	struct lane_figures *out)
{
	struct lane *lane = &from->net->lanes[number];
	*out = (struct lane_figures){.name = lane->options.name, .waiting = lane_waiting(lane)};
	histogram_read(&lane->waits, &out->waits);
}

void net_figures_limits(const struct stats_sources *from, struct limit_figure out[NET_LIMITS])
{
	const struct net *net = from->net;
	const struct net_limits *limits = &net->limits;
	const struct limit_figure all[] = {
		{"max_connections", LIMIT_IN_COUNT, limits->max_connections},
		{"kept_connections", LIMIT_IN_COUNT,
			admit_kept(limits->max_connections, limits->kept_connections)},
		{"user_connections", LIMIT_IN_COUNT, limits->user_connections},
		{"in_flight", LIMIT_IN_COUNT, limits->in_flight},
		{"search_waiting", LIMIT_IN_COUNT, net->lanes[LANE_SEARCH].options.waiting_max},
		{"request_keys", LIMIT_IN_COUNT, net->service->request_keys},
		{"connection_reply_memory", LIMIT_IN_BYTES, limits->connection_reply_bytes},
		{"least_rate", LIMIT_IN_BYTES, limits->least_rate_bytes},
		{"request_work", LIMIT_IN_MS, net->service->request_work_ms},
		{"queue_time", LIMIT_IN_MS, limits->queue_ms},
		{"request_timeout", LIMIT_IN_MS, limits->request_timeout_ms},
		{"idle_timeout", LIMIT_IN_MS, limits->idle_timeout_ms},
		{"stop_grace", LIMIT_IN_MS, limits->grace_ms},
	};
	static_assert(sizeof all / sizeof all[0] == NET_LIMITS, "each has its place");
	memcpy(out, all, sizeof all);
}

static enum transport transport_of(const struct acceptor *acceptor)
{
	if (acceptor->listener.address.tls) {
		return TRANSPORT_TLS;
	}
	return acceptor->listener.address.socket.any.sa_family == AF_UNIX ? TRANSPORT_UNIX
									  : TRANSPORT_TCP;
}

void net_figures(const struct stats_sources *from, struct net_figures *out)
{
	const struct net *net = from->net;
	*out = (struct net_figures){
		.requests_bytes = budget_used(&net->requests),
		.requests_limit = net->requests.limit,
		.replies_bytes = budget_used(&net->replies),
		.replies_limit = net->replies.limit,
		.waiting = budget_waiting(&net->requests),
		.replies_full = counter_read(&net->replies_full),
		.queue_late = counter_read(&net->queue_late),
		.lanes_full = counter_read(&net->lanes_full),
	};
	for (unsigned i = 0; i < from->loop_count; i++) {
		const struct loop *loop = &from->loops[i];
		const unsigned tcp =
			atomic_load_explicit(&loop->tcp_connections, memory_order_relaxed);
		const unsigned tls =
			atomic_load_explicit(&loop->tls_connections, memory_order_relaxed);
		const unsigned all = atomic_load_explicit(&loop->connections, memory_order_relaxed);
		out->open[TRANSPORT_TCP] += tcp;
		out->open[TRANSPORT_TLS] += tls;
		out->open[TRANSPORT_UNIX] += all > tcp + tls ? all - tcp - tls : 0;
		out->local_readers +=
			atomic_load_explicit(&loop->local_readers, memory_order_relaxed);
		out->bytes_in += counter_read(&loop->figures.bytes_in);
		out->bytes_out += counter_read(&loop->figures.bytes_out);
		for (unsigned why = 0; why < CLOSING_COUNT; why++) {
			out->closed[why] += counter_read(&loop->figures.closed[why]);
		}
		out->read_stopped += counter_read(&loop->figures.read_stopped);
		out->writes_held += counter_read(&loop->figures.writes_held);
		out->denied[TRANSPORT_UNIX] +=
			counter_read(&loop->figures.denied[IDENTITY_UNIX]) +
			counter_read(&loop->figures.denied[IDENTITY_STRANGER]);
		out->denied[TRANSPORT_TCP] +=
			counter_read(&loop->figures.denied[IDENTITY_LOOPBACK]);
		out->denied[TRANSPORT_TLS] +=
			counter_read(&loop->figures.denied[IDENTITY_CERTIFICATE]);
	}
	for (unsigned i = 0; i < from->acceptor_count; i++) {
		const struct acceptor *acceptor = &from->acceptors[i];
		const enum transport transport = transport_of(acceptor);
		out->accepted[transport] += counter_read(&acceptor->accepted);
		out->refused[transport] += counter_read(&acceptor->refused);
	}
	for (unsigned why = 0; why < REFUSAL_COUNT; why++) {
		out->refused_by[why] = counter_read(&net->refused[why]);
	}
	out->accepted[TRANSPORT_TLS] += atomic_load(&net->credentials.accepted);
	out->refused[TRANSPORT_TLS] += atomic_load(&net->credentials.crowded);
}

static_assert((int)TLS_REFUSED_COUNT <= (int)TLS_REASONS_MAX, "there is a place for each reason");

bool net_figures_tls(const struct stats_sources *from, struct tls_figures *out)
{
	struct credentials *credentials = &from->net->credentials;
	if (from->handshakes == NULL) {
		return false;
	}
	uint64_t generation;
	struct tls_context *context = credentials_take(credentials, &generation);
	*out = (struct tls_figures){
		.handshakes = handshakes_under_way(from->handshakes),
		.reasons = TLS_REFUSED_COUNT,
		.not_after_ms = tls_context_not_after_ms(context),
		.crl_next_ms = tls_context_crl_next_ms(context),
	};
	tls_context_close(context);
	for (unsigned i = 0; i < TLS_REFUSED_COUNT; i++) {
		out->names[i] = tls_refusal_name((enum tls_refusal)i);
		out->refused[i] = atomic_load(&credentials->refused[i]);
	}
	return true;
}

const char *transport_name(enum transport transport)
{
	static const char *const names[TRANSPORT_COUNT] = {
		[TRANSPORT_UNIX] = "unix",
		[TRANSPORT_TCP] = "tcp",
		[TRANSPORT_TLS] = "tls",
	};
	return names[transport];
}
