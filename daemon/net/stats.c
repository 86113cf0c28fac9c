/* stats.c - connections, requests, bytes, memory, queues, loops. */
#include "daemon/net/stats.h"

#include "daemon/method/call/method.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"

enum { NS_PER_US = 1000 };

static void write_uint(struct wire_writer *writer, const char *name, uint64_t value)
{
	wire_write_str(writer, name);
	wire_write_uint(writer, value);
}

static uint64_t sum_of(const uint64_t of_transports[TRANSPORT_COUNT])
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		sum += of_transports[i];
	}
	return sum;
}

static void write_connections(const struct net_figures *figures, struct wire_writer *writer)
{
	wire_write_str(writer, "connections");
	wire_write_map(writer, 6);
	write_uint(writer, "open", sum_of(figures->open));
	write_uint(writer, "local_readers", figures->local_readers);
	write_uint(writer, "accepted", sum_of(figures->accepted));
	write_uint(writer, "refused", sum_of(figures->refused));
	wire_write_str(writer, "refused_by");
	wire_write_map(writer, REFUSAL_COUNT);
	for (unsigned why = 0; why < REFUSAL_COUNT; why++) {
		write_uint(writer, refusal_name((enum refusal)why), figures->refused_by[why]);
	}
	wire_write_str(writer, "closed");
	wire_write_map(writer, CLOSING_COUNT);
	for (unsigned why = 0; why < CLOSING_COUNT; why++) {
		write_uint(writer, closing_name((enum closing)why), figures->closed[why]);
	}
}

/* How many calls fell into each bucket, up to the last bucket that has one. */
static void write_times(struct wire_writer *writer, const char *name,
	const struct histogram_figures *times)
{
	unsigned count = HISTOGRAM_BUCKETS;
	while (count > 0 && times->counts[count - 1] == 0) {
		count--;
	}
	wire_write_str(writer, name);
	wire_write_array(writer, count);
	for (unsigned i = 0; i < count; i++) {
		wire_write_uint(writer, times->counts[i]);
	}
}

static void write_method(const struct method_figures *figures, struct wire_writer *writer)
{
	uint64_t count = 0;
	for (unsigned code = 0; code < STATUS_COUNT; code++) {
		count += figures->codes[code];
	}
	wire_write_map(writer, count > 0 ? 4 : 2);
	write_uint(writer, "count", count);
	write_uint(writer, "errors", count - figures->codes[STATUS_OK]);
	if (count > 0) { /* else each reply would have three lines a method that is never called */
		write_uint(writer, "us", figures->times.sum / NS_PER_US);
		write_times(writer, "times", &figures->times);
	}
}

static void write_requests(const struct stats_sources *from, struct wire_writer *writer)
{
	struct method_figures figures;
	wire_write_str(writer, "requests");
	wire_write_map(writer, method_count);
	for (size_t method = 0; method < method_count; method++) {
		net_figures_method(from, method, &figures);
		wire_write_str(writer, method_table[method].name);
		write_method(&figures, writer);
	}
}

static void write_bytes(const struct net_figures *figures, struct wire_writer *writer)
{
	wire_write_str(writer, "bytes");
	wire_write_map(writer, 2);
	write_uint(writer, "in", figures->bytes_in);
	write_uint(writer, "out", figures->bytes_out);
}

static void write_memory(const struct net_figures *figures, struct wire_writer *writer)
{
	wire_write_str(writer, "memory");
	wire_write_map(writer, 5);
	write_uint(writer, "requests", figures->requests_bytes);
	write_uint(writer, "requests_limit", figures->requests_limit);
	write_uint(writer, "replies", figures->replies_bytes);
	write_uint(writer, "replies_limit", figures->replies_limit);
	write_uint(writer, "waiting", figures->waiting);
}

static void write_queues(struct net *net, struct wire_writer *writer)
{
	struct lane *lanes = net->lanes;
	wire_write_str(writer, "queues");
	wire_write_map(writer, 6);
	write_uint(writer, "pool", lane_waiting(&lanes[LANE_POOL]));
	write_uint(writer, "cold", lane_waiting(&lanes[LANE_COLD]));
	write_uint(writer, "search", lane_waiting(&lanes[LANE_SEARCH]));
	write_uint(writer, "write", lane_waiting(&lanes[LANE_WRITE]));
	write_uint(writer, "load", lane_waiting(&lanes[LANE_LOAD]));
	write_uint(writer, "admin",
		lane_waiting(&lanes[LANE_ADMIN]) + lane_waiting(&lanes[LANE_PUBLISH]) +
			lane_waiting(&lanes[LANE_SEAL]) + lane_waiting(&lanes[LANE_MERGE]) +
			lane_waiting(&lanes[LANE_OPERATOR]));
}

static void write_waits(const struct stats_sources *from, struct wire_writer *writer)
{
	struct lane_figures figures;
	wire_write_str(writer, "waits");
	wire_write_map(writer, LANE_COUNT);
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		net_figures_lane(from, (enum lane_number)i, &figures);
		wire_write_str(writer, figures.name);
		wire_write_map(writer, 2);
		write_uint(writer, "us", figures.waits.sum / NS_PER_US);
		write_times(writer, "times", &figures.waits);
	}
}

static void write_loops(const struct stats_sources *from, struct wire_writer *writer)
{
	wire_write_str(writer, "loops");
	wire_write_map(writer, 1);
	wire_write_str(writer, "longest_turn_us");
	wire_write_array(writer, from->loop_count);
	for (unsigned i = 0; i < from->loop_count; i++) {
		wire_write_uint(writer,
			counter_read(&from->loops[i].figures.longest_turn_ns) / NS_PER_US);
	}
}

static void write_denied(const struct stats_sources *from, struct wire_writer *writer)
{
	static const char *const names[IDENTITY_KINDS] = {
		[IDENTITY_STRANGER] = "unknown",
		[IDENTITY_UNIX] = "unix",
		[IDENTITY_LOOPBACK] = "tcp",
		[IDENTITY_CERTIFICATE] = "certificate",
	};
	wire_write_str(writer, "denied");
	wire_write_map(writer, IDENTITY_KINDS);
	for (unsigned kind = 0; kind < IDENTITY_KINDS; kind++) {
		uint64_t denied = 0;
		for (unsigned i = 0; i < from->loop_count; i++) {
			denied += counter_read(&from->loops[i].figures.denied[kind]);
		}
		write_uint(writer, names[kind], denied);
	}
}

static void write_tls(const struct stats_sources *from, struct wire_writer *writer)
{
	struct tls_figures figures;
	if (!net_figures_tls(from, &figures)) {
		return;
	}
	wire_write_str(writer, "tls");
	wire_write_map(writer, 4);
	write_uint(writer, "handshakes", figures.handshakes);
	wire_write_str(writer, "auth_failures");
	wire_write_map(writer, figures.reasons);
	for (unsigned i = 0; i < figures.reasons; i++) {
		write_uint(writer, figures.names[i], figures.refused[i]);
	}
	wire_write_str(writer, "certificate_not_after_ms");
	wire_write_int(writer, figures.not_after_ms);
	wire_write_str(writer, "crl_next_update_ms");
	wire_write_int(writer, figures.crl_next_ms);
}

static void write_limits(const struct stats_sources *from, struct wire_writer *writer)
{
	struct limit_figure limits[NET_LIMITS];
	net_figures_limits(from, limits);
	wire_write_str(writer, "limits");
	wire_write_map(writer, NET_LIMITS);
	for (unsigned i = 0; i < NET_LIMITS; i++) {
		write_uint(writer, limits[i].setting, limits[i].value);
	}
}

size_t stats_write(void *arg, struct wire_writer *writer)
{
	enum { ENTRIES = 9 };
	const struct stats_sources *from = arg;
	struct net_figures figures;
	const size_t entries = ENTRIES + (from->handshakes != NULL);
	if (writer == NULL) {
		return entries;
	}
	net_figures(from, &figures);
	write_connections(&figures, writer);
	write_requests(from, writer);
	write_bytes(&figures, writer);
	write_memory(&figures, writer);
	write_limits(from, writer);
	write_queues(from->net, writer);
	write_waits(from, writer);
	write_loops(from, writer);
	write_denied(from, writer);
	write_tls(from, writer);
	return entries;
}
