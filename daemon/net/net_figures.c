/* net_figures.c - adds up what the threads of the network have counted. */
#include "daemon/net/net_figures.h"

#include "daemon/method/call/method.h"
#include "daemon/net/acceptor.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"

#include <assert.h>

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

static enum transport transport_of(const struct acceptor *acceptor)
{
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
		.lanes_full = counter_read(&net->lanes_full),
	};
	for (unsigned i = 0; i < from->loop_count; i++) {
		const struct loop *loop = &from->loops[i];
		const unsigned tcp =
			atomic_load_explicit(&loop->tcp_connections, memory_order_relaxed);
		const unsigned all = atomic_load_explicit(&loop->connections, memory_order_relaxed);
		out->open[TRANSPORT_TCP] += tcp;
		out->open[TRANSPORT_UNIX] += all > tcp ? all - tcp : 0;
		out->bytes_in += counter_read(&loop->figures.bytes_in);
		out->bytes_out += counter_read(&loop->figures.bytes_out);
		out->read_stopped += counter_read(&loop->figures.read_stopped);
		out->writes_held += counter_read(&loop->figures.writes_held);
		out->denied[TRANSPORT_UNIX] +=
			counter_read(&loop->figures.denied[IDENTITY_UNIX]) +
			counter_read(&loop->figures.denied[IDENTITY_STRANGER]);
		out->denied[TRANSPORT_TCP] +=
			counter_read(&loop->figures.denied[IDENTITY_LOOPBACK]) +
			counter_read(&loop->figures.denied[IDENTITY_CERTIFICATE]);
	}
	for (unsigned i = 0; i < from->acceptor_count; i++) {
		const struct acceptor *acceptor = &from->acceptors[i];
		const enum transport transport = transport_of(acceptor);
		out->accepted[transport] += counter_read(&acceptor->accepted);
		out->refused[transport] += counter_read(&acceptor->refused);
	}
}

const char *transport_name(enum transport transport)
{
	return transport == TRANSPORT_TCP ? "tcp" : "unix";
}
