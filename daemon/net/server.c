/* server.c - starts and stops listeners, loops and lanes in the order that they need. */
#include "daemon/net/server.h"

#include "daemon/method/call/service.h"
#include "daemon/net/acceptor.h"
#include "daemon/net/dispatch.h"
#include "daemon/net/handshake.h"
#include "daemon/net/loop.h"
#include "daemon/net/stats.h"
#include "daemon/store/system/file.h"
#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>

enum {
	/* How many requests may wait in a lane; others are BUSY. An administrator sends few
	 * requests, which take long. */
	SERVER_POOL_WAITING_MAX = 4096,
	/* They wait for the disk and not for a processor: so many that the disk has much to do side by side. */
	SERVER_COLD_THREADS = 16,
	SERVER_WRITE_WAITING_MAX = 4096,
	SERVER_ADMIN_WAITING_MAX = 256,
	SERVER_SEAL_WAITING_MAX = 16,
	SERVER_OPERATOR_SPARE = 7,
	/* What the largest message takes with the memory of its elements. */
	SERVER_MESSAGE_BYTES = LIMIT_MESSAGE_BYTES +
			       LIMIT_MESSAGE_ELEMENTS * DISPATCH_ELEMENT_BYTES +
			       READ_BUFFER_SLACK_BYTES + READ_BUFFER_BASE_BYTES,
};

struct server {
	struct net net;
	struct stats_sources stats;
	struct loop *loops;  /* owned */
	unsigned loop_count; /* started */
	struct handshakes handshakes;
	struct acceptor acceptors[SERVER_LISTENERS_MAX];
	unsigned acceptor_count; /* started */
	uv_async_t loop_ended;
	atomic_uint loops_ended;
	bool has_async;
	bool failed; /* a loop has left a handle open */
	void (*on_stopped)(void *arg);
	void *on_stopped_arg;
};

/* ---- loops ---- */

/* Called on the loop's thread, as the last thing that it does. */
static void on_loop_end(void *arg)
{
	struct server *server = arg;
	const unsigned ended = atomic_fetch_add(&server->loops_ended, 1);
	assert(ended < server->loop_count);
	uv_async_send(&server->loop_ended);
}

static void join_loops(struct server *server)
{
	for (unsigned i = 0; i < server->loop_count; i++) {
		if (loop_join(&server->loops[i]) != STATUS_OK) {
			server->failed = true;
		}
	}
	if (server->has_async) {
		uv_close((uv_handle_t *)&server->loop_ended, NULL);
	}
	server->has_async = false;
}

static void on_loop_ended(uv_async_t *async)
{
	struct server *server = async->data;
	if (server->on_stopped == NULL || atomic_load(&server->loops_ended) < server->loop_count) {
		return;
	}
	server->on_stopped(server->on_stopped_arg); /* the figures of the loops are still there */
	join_loops(server);
}

static enum status start_loops(struct server *server, const struct server_options *options,
	struct error *err)
{
	int failed = uv_async_init(options->uv, &server->loop_ended, on_loop_ended);
	if (failed != 0) {
		return error_set(err, status_of_errno(-failed), "start the workers: %s",
			file_reason(-failed));
	}
	server->loop_ended.data = server;
	server->has_async = true;
	while (server->loop_count < options->workers) {
		struct loop *loop = &server->loops[server->loop_count];
		enum status status = loop_start(loop, server->loop_count, &server->net, on_loop_end,
			server, err);
		if (status != STATUS_OK) {
			return status;
		}
		server->loop_count++;
	}
	return STATUS_OK;
}

/* ---- lanes ---- */

static enum status start_lanes(struct net *net, const struct server_options *options,
	struct error *err)
{
	const struct lane_options lanes[LANE_COUNT] = {
		[LANE_POOL] = {.name = "pool",
			.threads = options->pool,
			.spare = options->spare,
			.waiting_max = SERVER_POOL_WAITING_MAX,
			.lowers = true},
		[LANE_COLD] = {.name = "cold",
			.threads = SERVER_COLD_THREADS,
			.waiting_max = SERVER_POOL_WAITING_MAX},
		[LANE_SEARCH] = {.name = "search",
			.threads = options->search_threads,
			.spare = options->spare,
			.waiting_max = options->search_waiting,
			.nice = true,
			.lowers = true},
		[LANE_OPERATOR] = {.name = "operator",
			.threads = 1,
			.spare = SERVER_OPERATOR_SPARE,
			.waiting_max = SERVER_ADMIN_WAITING_MAX,
			.quick = true},
		[LANE_ADMIN] = {.name = "admin",
			.threads = 1,
			.waiting_max = SERVER_ADMIN_WAITING_MAX},
		[LANE_PUBLISH] = {.name = "publish",
			.threads = 1,
			.waiting_max = SERVER_SEAL_WAITING_MAX},
		[LANE_SEAL] = {.name = "seal",
			.threads = 1,
			.waiting_max = SERVER_SEAL_WAITING_MAX},
		[LANE_MERGE] = {.name = "merge",
			.threads = 1,
			.waiting_max = SERVER_SEAL_WAITING_MAX},
		[LANE_BACKUP] = {.name = "backup",
			.threads = 1,
			.waiting_max = SERVER_SEAL_WAITING_MAX,
			.nice = true},
		[LANE_VERIFY] = {.name = "verify",
			.threads = 1,
			.waiting_max = SERVER_SEAL_WAITING_MAX,
			.nice = true},
		[LANE_LOAD] = {.name = "load",
			.threads = 1,
			.waiting_max = SERVER_WRITE_WAITING_MAX,
			.groups = true},
		[LANE_WRITE] = {.name = "write",
			.threads = 1,
			.waiting_max = SERVER_WRITE_WAITING_MAX,
			.quick = true},
	};
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		enum status status =
			lane_start(&net->lanes[i], (enum lane_number)i, &lanes[i], err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

static void stop_lanes(struct net *net)
{
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		lane_stop(&net->lanes[i]);
	}
}

/* ---- acceptors ---- */

static struct admission admission_of(struct server *server)
{
	return (struct admission){
		.net = &server->net,
		.loops = server->loops,
		.loop_count = server->loop_count,
	};
}

static enum status start_handshakes(struct server *server, const struct server_options *options,
	struct error *err)
{
	const struct handshakes_options handshakes = {
		.to = admission_of(server),
		.threads = options->handshakes,
		.timeout_ms = options->handshake_timeout_ms,
	};
	return options->tls != NULL ? handshakes_start(&server->handshakes, &handshakes, err)
				    : STATUS_OK;
}

static enum status start_acceptors(struct server *server, const struct server_options *options,
	struct error *err)
{
	while (server->acceptor_count < options->listener_count) {
		struct acceptor *acceptor = &server->acceptors[server->acceptor_count];
		acceptor->to = admission_of(server);
		acceptor->handshakes = options->tls != NULL ? &server->handshakes : NULL;
		enum status status = acceptor_start(acceptor, options->uv,
			&options->listeners[server->acceptor_count]);
		if (status != STATUS_OK) {
			return error_set(err, status, "watch a listening socket: %s",
				status_name(status));
		}
		server->acceptor_count++;
	}
	return STATUS_OK;
}

static void stop_acceptors(struct server *server)
{
	for (unsigned i = 0; i < server->acceptor_count; i++) {
		acceptor_stop(&server->acceptors[i]);
	}
}

/* ---- all ---- */

/* `whole` is always the same of a budget, so that it is written but once. */
static void set_budget(struct budget *budget, size_t limit, size_t whole, size_t kept)
{
	const size_t spare = limit > whole ? limit - whole : 0;
	budget->limit = limit;
	budget->kept = kept < spare ? kept : spare;
	if (budget->whole != whole) {
		budget->whole = whole;
	}
}

static void set_memory(struct net *net, const struct server_memory *memory)
{
	set_budget(&net->requests, memory->request_bytes, SERVER_MESSAGE_BYTES, memory->kept_bytes);
	set_budget(&net->replies, memory->reply_bytes, LIMIT_MESSAGE_BYTES, memory->kept_bytes);
}

static struct server *server_new(const struct server_options *options)
{
	struct server *server = calloc(1, sizeof *server);
	if (server == NULL) {
		return NULL;
	}
	server->loops = calloc(options->workers, sizeof *server->loops);
	if (server->loops == NULL) {
		free(server);
		return NULL;
	}
	assert(options->service != NULL);
	assert(options->access != NULL);
	assert(options->listener_count >= 1);
	assert(options->listener_count <= SERVER_LISTENERS_MAX);
	assert(options->workers >= 1);
	assert(options->workers <= SERVER_WORKERS_MAX);
	server->net.service = options->service;
	server->net.access = options->access;
	server->net.limits = options->limits;
	set_memory(&server->net, &options->memory);
	users_init(&server->net.users, options->workers);
	lock_init(&server->net.audit.lock);
	credentials_init(&server->net.credentials, options->tls);
	server->net.on_event = options->on_event;
	server->net.on_event_arg = options->on_event_arg;
	return server;
}

/* To be called before the first connection, which may ask for figures. */
static void show_stats(struct server *server, const struct server_options *options)
{
	server->stats = (struct stats_sources){
		.net = &server->net,
		.loops = server->loops,
		.loop_count = server->loop_count,
		.acceptors = server->acceptors,
		.acceptor_count = options->listener_count,
		.handshakes = options->tls != NULL ? &server->handshakes : NULL,
	};
	options->service->net_stats = stats_write;
	options->service->net_stats_arg = &server->stats;
}

/* Ends what was started. Nobody is connected yet, so the loops end at once. */
static void give_up(struct server *server)
{
	stop_acceptors(server);
	handshakes_stop(&server->handshakes);
	for (unsigned i = 0; i < server->loop_count; i++) {
		loop_stop(&server->loops[i]);
	}
	join_loops(server);
}

enum status server_open(const struct server_options *options, struct server **out,
	struct error *err)
{
	struct server *server = server_new(options);
	enum status status = STATUS_OK;
	*out = server;
	if (server == NULL) {
		tls_context_close(options->tls);
		status = error_set(err, STATUS_NO_MEMORY, "start the server");
	}
	/* Loops first: the allocator gives the first threads arenas of their own. */
	if (status == STATUS_OK) {
		status = start_loops(server, options, err);
	}
	if (status == STATUS_OK) {
		status = start_lanes(&server->net, options, err);
	}
	if (status == STATUS_OK) {
		status = start_handshakes(server, options, err);
	}
	if (status == STATUS_OK) {
		show_stats(server, options);
		status = start_acceptors(server, options, err);
	}
	for (unsigned i = 0; i < options->listener_count; i++) {
		listener_close(&options->listeners[i]);
	}
	if (status != STATUS_OK && server != NULL) {
		give_up(server);
	}
	return status;
}

void server_stop(struct server *server, void (*on_stopped)(void *arg), void *arg)
{
	if (server->on_stopped != NULL) {
		return;
	}
	server->on_stopped = on_stopped;
	server->on_stopped_arg = arg;
	stop_acceptors(server);
	handshakes_stop(&server->handshakes); /* before the loops, to which they give connections */
	for (unsigned i = 0; i < server->loop_count; i++) {
		loop_stop(&server->loops[i]);
	}
}

const struct stats_sources *server_stats(const struct server *server)
{
	return &server->stats;
}

void server_retune(struct server *server, const struct net_limits *limits,
	const struct server_memory *memory)
{
	struct net_limits *now = &server->net.limits;
	now->max_connections = limits->max_connections;
	now->kept_connections = limits->kept_connections;
	now->user_connections = limits->user_connections;
	now->in_flight = limits->in_flight;
	now->connection_reply_bytes = limits->connection_reply_bytes;
	now->queue_ms = limits->queue_ms;
	now->idle_timeout_ms = limits->idle_timeout_ms;
	now->least_rate_bytes = limits->least_rate_bytes;
	now->request_timeout_ms = limits->request_timeout_ms;
	now->grace_ms = limits->grace_ms;
	set_memory(&server->net, memory);
}

bool server_has_tls(const struct server *server)
{
	return server->handshakes.count > 0;
}

void server_replace_tls(struct server *server, struct tls_context *tls)
{
	assert(server_has_tls(server));
	credentials_replace(&server->net.credentials, tls);
}

bool server_is_alive(const struct server *server, uint64_t within_ms)
{
	uint64_t now_ms = uv_hrtime() / 1000000;
	for (unsigned i = 0; i < server->loop_count; i++) {
		uint64_t beat_ms =
			atomic_load_explicit(&server->loops[i].heartbeat_ms, memory_order_relaxed);
		if (now_ms > beat_ms + within_ms) {
			return false;
		}
	}
	return true;
}

enum status server_close(struct server *server)
{
	if (server == NULL) {
		return STATUS_OK;
	}
	bool failed = server->failed;
	assert(!server->has_async); /* the loops were joined */
	stop_lanes(&server->net);
	/* Every connection was freed, and gave back what it had taken. */
	assert(failed || budget_used(&server->net.requests) == 0);
	assert(failed || budget_used(&server->net.replies) == 0);
	if (!failed) {
		lock_fini(&server->net.audit.lock);
		users_fini(&server->net.users);
	}
	credentials_fini(&server->net.credentials);
	free(server->loops);
	free(server);
	return failed ? STATUS_INTERNAL : STATUS_OK;
}
