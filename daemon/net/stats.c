/* stats.c - connections, requests, bytes, memory, queues, loops. */
#include "daemon/net/stats.h"

#include "daemon/method/call/method.h"

static void write_uint(struct wire_writer *writer, const char *name, uint64_t value)
{
	wire_write_str(writer, name);
	wire_write_uint(writer, value);
}

static void write_connections(const struct stats_sources *from, struct wire_writer *writer)
{
	uint64_t open = 0;
	uint64_t accepted = 0;
	uint64_t refused = 0;
	for (unsigned i = 0; i < from->loop_count; i++) {
		open += atomic_load_explicit(&from->loops[i].connections, memory_order_relaxed);
	}
	for (unsigned i = 0; i < from->acceptor_count; i++) {
		accepted += counter_read(&from->acceptors[i].accepted);
		refused += counter_read(&from->acceptors[i].refused);
	}
	wire_write_str(writer, "connections");
	wire_write_map(writer, 3);
	write_uint(writer, "open", open);
	write_uint(writer, "accepted", accepted);
	write_uint(writer, "refused", refused);
}

static void write_requests(const struct stats_sources *from, struct wire_writer *writer)
{
	wire_write_str(writer, "requests");
	wire_write_map(writer, method_count);
	for (size_t method = 0; method < method_count; method++) {
		uint64_t calls = 0;
		uint64_t errors = 0;
		for (unsigned i = 0; i < from->loop_count; i++) {
			calls += counter_read(&from->loops[i].figures.calls[method]);
			errors += counter_read(&from->loops[i].figures.errors[method]);
		}
		wire_write_str(writer, method_table[method].name);
		wire_write_map(writer, 2);
		write_uint(writer, "count", calls);
		write_uint(writer, "errors", errors);
	}
}

static void write_bytes(const struct stats_sources *from, struct wire_writer *writer)
{
	uint64_t in = 0;
	uint64_t out = 0;
	for (unsigned i = 0; i < from->loop_count; i++) {
		in += counter_read(&from->loops[i].figures.bytes_in);
		out += counter_read(&from->loops[i].figures.bytes_out);
	}
	wire_write_str(writer, "bytes");
	wire_write_map(writer, 2);
	write_uint(writer, "in", in);
	write_uint(writer, "out", out);
}

static void write_memory(const struct net *net, struct wire_writer *writer)
{
	wire_write_str(writer, "memory");
	wire_write_map(writer, 5);
	write_uint(writer, "requests", budget_used(&net->requests));
	write_uint(writer, "requests_limit", net->requests.limit);
	write_uint(writer, "replies", budget_used(&net->replies));
	write_uint(writer, "replies_limit", net->replies.limit);
	write_uint(writer, "waiting", budget_waiting(&net->requests));
}

static void write_queues(struct net *net, struct wire_writer *writer)
{
	struct lane *lanes = net->lanes;
	wire_write_str(writer, "queues");
	wire_write_map(writer, 5);
	write_uint(writer, "pool", lane_waiting(&lanes[LANE_POOL]));
	write_uint(writer, "search", lane_waiting(&lanes[LANE_SEARCH]));
	write_uint(writer, "write", lane_waiting(&lanes[LANE_WRITE]));
	write_uint(writer, "load", lane_waiting(&lanes[LANE_LOAD]));
	write_uint(writer, "admin",
		lane_waiting(&lanes[LANE_ADMIN]) + lane_waiting(&lanes[LANE_PUBLISH]) +
			lane_waiting(&lanes[LANE_SEAL]) + lane_waiting(&lanes[LANE_MERGE]) +
			lane_waiting(&lanes[LANE_OPERATOR]));
}

static void write_loops(const struct stats_sources *from, struct wire_writer *writer)
{
	enum { NS_PER_US = 1000 };
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

size_t stats_write(void *arg, struct wire_writer *writer)
{
	enum { ENTRIES = 7 };
	const struct stats_sources *from = arg;
	if (writer == NULL) {
		return ENTRIES;
	}
	write_connections(from, writer);
	write_requests(from, writer);
	write_bytes(from, writer);
	write_memory(from->net, writer);
	write_queues(from->net, writer);
	write_loops(from, writer);
	write_denied(from, writer);
	return ENTRIES;
}
