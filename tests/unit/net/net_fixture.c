/* net_fixture.c - methods of the test, a server in a thread, and blocking peers. */
#include "tests/unit/net/net_fixture.h"

#include "daemon/access/access.h"
#include "daemon/method/call/method.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "tests/unit/alloc_fail.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PEER_WAIT_MS = 20000 };

static struct slow_log test_slow_log;
static struct service test_service = {.slow_log = &test_slow_log};
static struct access test_access;

/* ---- the server ---- */

static void on_event(void *arg, const char *line)
{
	struct net_fixture *fixture = arg;
	(void)line;
	atomic_fetch_add(&fixture->events, 1);
}

static void on_stopped(void *arg)
{
	struct net_fixture *fixture = arg;
	uv_close((uv_handle_t *)&fixture->stop, NULL);
}

static void on_stop(uv_async_t *async)
{
	struct net_fixture *fixture = async->data;
	server_stop(fixture->server, on_stopped, fixture);
}

static void *run(void *arg)
{
	struct net_fixture *fixture = arg;
	uv_run(&fixture->uv, UV_RUN_DEFAULT);
	return NULL;
}

static size_t or_else(size_t given, size_t otherwise)
{
	return given != 0 ? given : otherwise;
}

void net_fixture_open(struct net_fixture *fixture, const struct net_fixture_options *options)
{
	struct address address;
	struct listener listeners[2];
	struct error err;
	*fixture = (struct net_fixture){.folder = "/tmp/net-test-XXXXXX"};
	net_stub = (struct net_stub){0};
	slow_log_init(&test_slow_log, 0);
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	sem_init(&net_stub.gate, 0, 0);
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->folder);
	assert_int_equal(address_parse(fixture->path, &address, &err), STATUS_OK);
	assert_int_equal(listener_open(&address, 0600, &listeners[0], &err), STATUS_OK);
	assert_int_equal(address_parse("tcp:127.0.0.1:0", &address, &err), STATUS_OK);
	assert_int_equal(listener_open(&address, 0600, &listeners[1], &err), STATUS_OK);
	socklen_t len = sizeof fixture->tcp;
	assert_int_equal(getsockname(listeners[1].fd, (struct sockaddr *)&fixture->tcp, &len), 0);

	struct access_rules *rules = calloc(1, sizeof *rules);
	assert_non_null(rules);
	access_rules_init(rules);
	const char *tcp = options->tcp_denied ? "" : "tcp:loopback";
	assert_int_equal(access_rules_add(rules, ROLE_ADMIN, tcp, &err), STATUS_OK);
	access_init(&test_access, rules);
	free(rules);
	assert_int_equal(uv_loop_init(&fixture->uv), 0);
	uv_async_init(&fixture->uv, &fixture->stop, on_stop);
	fixture->stop.data = fixture;
	struct server_options server = {
		.uv = &fixture->uv,
		.listeners = listeners,
		.listener_count = 2,
		.workers = (unsigned)or_else(options->workers, 1),
		.pool = 2,
		.search_threads = 1,
		.spare = options->spare,
		.search_waiting = (unsigned)or_else(options->search_waiting, 4),
		.limits =
			{
				.max_connections = (unsigned)or_else(options->max_connections, 64),
				.request_timeout_ms = options->timeout_ms,
				.user_connections = options->user_connections,
				.in_flight = (unsigned)or_else(options->in_flight, 64),
				.connection_reply_bytes =
					or_else(options->connection_reply, 256u << 10),
				.queue_ms = options->queue_ms,
				.idle_timeout_ms = options->idle_ms,
				.least_rate_bytes = options->least_rate,
				.grace_ms = (unsigned)or_else(options->grace_ms, 5000),
			},
		.memory.request_bytes = or_else(options->request_memory, 256u << 20),
		.memory.reply_bytes = or_else(options->reply_memory, 256u << 20),
		.service = &test_service,
		.access = &test_access,
		.on_event = on_event,
		.on_event_arg = fixture,
	};
	assert_int_equal(server_open(&server, &fixture->server, &err), STATUS_OK);
	assert_int_equal(pthread_create(&fixture->thread, NULL, run, fixture), 0);
}

void net_fixture_allow_tcp(enum role role)
{
	static struct access_rules rules;
	struct error err;
	access_rules_init(&rules);
	assert_int_equal(access_rules_add(&rules, role, "tcp:loopback", &err), STATUS_OK);
	access_replace(&test_access, &rules);
}

void net_fixture_stop(struct net_fixture *fixture)
{
	fixture->stop_asked = true;
	uv_async_send(&fixture->stop);
}

void net_fixture_close(struct net_fixture *fixture)
{
	if (!fixture->stop_asked) {
		net_fixture_stop(fixture);
	}
	pthread_join(fixture->thread, NULL);
	assert_int_equal(server_close(fixture->server), STATUS_OK);
	assert_int_equal(uv_loop_close(&fixture->uv), 0);
	/* The socket file is gone, or the folder could not be removed. */
	assert_int_equal(rmdir(fixture->folder), 0);
	sem_destroy(&net_stub.gate);
	access_fini(&test_access);
}

/* loop: NONE, or the number of an entry of the figure. */
enum { NONE = -1 };

static uint64_t read_figure(const char *group, const char *name, int loop)
{
	struct wire_writer writer = {0};
	struct wire_message *message = NULL;
	uint64_t figure = UINT64_MAX;
	wire_write_map(&writer, test_service.net_stats(test_service.net_stats_arg, NULL));
	test_service.net_stats(test_service.net_stats_arg, &writer);
	assert_int_equal(wire_open(writer.data, writer.len, &message), STATUS_OK);
	struct wire_value value = wire_get(wire_get(wire_root(message), group), name);
	assert_true(wire_uint(loop == NONE ? value : wire_item(value, (size_t)loop), &figure));
	wire_close(message);
	wire_writer_fini(&writer);
	return figure;
}

uint64_t net_fixture_figure(struct net_fixture *fixture, const char *group, const char *name)
{
	(void)fixture;
	return read_figure(group, name, NONE);
}

uint64_t net_fixture_figure_of(struct net_fixture *fixture, const char *group, const char *name,
	unsigned loop)
{
	(void)fixture;
	return read_figure(group, name, (int)loop);
}

void net_fixture_await(struct net_fixture *fixture, const char *group, const char *name,
	uint64_t figure)
{
	struct wait wait = {0};
	while (net_fixture_figure(fixture, group, name) != figure) {
		wait_a_moment(&wait);
	}
}

/* ---- peers ---- */

void peer_open(struct peer *peer, const struct net_fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*peer = (struct peer){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	memcpy(address.sun_path, fixture->path, strlen(fixture->path) + 1);
	assert_int_equal(connect(peer->fd, (struct sockaddr *)&address, sizeof address), 0);
}

void peer_open_tcp(struct peer *peer, const struct net_fixture *fixture)
{
	*peer = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	const struct sockaddr_in *tcp = &fixture->tcp;
	assert_int_equal(connect(peer->fd, (const struct sockaddr *)tcp, sizeof *tcp), 0);
}

void peer_close(struct peer *peer)
{
	if (peer->fd >= 0) {
		close(peer->fd);
	}
	wire_close(peer->message);
	free(peer->data);
	*peer = (struct peer){.fd = -1};
}

void peer_send(struct peer *peer, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len > 0) {
		ssize_t sent = send(peer->fd, at, len, MSG_NOSIGNAL);
		if (sent <= 0) {
			return; /* closed: the answers say why */
		}
		at += sent;
		len -= (size_t)sent;
	}
}

void peer_ask(struct peer *peer, uint32_t msgid, const char *method, uint64_t n)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, msgid, method);
	wire_write_map(&writer, 1);
	wire_write_str(&writer, "n");
	wire_write_uint(&writer, n);
	assert_int_equal(writer.status, STATUS_OK);
	peer_send(peer, writer.data, writer.len);
	wire_writer_fini(&writer);
}

void peer_ask_within(struct peer *peer, uint32_t msgid, const char *method, uint64_t n,
	uint64_t timeout_ms)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, msgid, method);
	wire_write_map(&writer, 2);
	wire_write_str(&writer, "n");
	wire_write_uint(&writer, n);
	wire_write_str(&writer, "timeout_ms");
	wire_write_uint(&writer, timeout_ms);
	assert_int_equal(writer.status, STATUS_OK);
	peer_send(peer, writer.data, writer.len);
	wire_writer_fini(&writer);
}

/* False at the end of the stream. */
static bool receive(struct peer *peer)
{
	if (peer->cap - peer->len < 65536) {
		peer->cap = 2 * peer->cap + 65536;
		peer->data = realloc(peer->data, peer->cap);
		assert_non_null(peer->data);
	}
	struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, PEER_WAIT_MS), 1);
	ssize_t got = recv(peer->fd, peer->data + peer->len, peer->cap - peer->len, 0);
	if (got <= 0) {
		return false;
	}
	peer->len += (size_t)got;
	return true;
}

bool peer_answer(struct peer *peer, struct rpc_envelope *out)
{
	struct wire_skim skim = {0};
	struct error err;
	wire_close(peer->message);
	peer->message = NULL;
	peer->len -= peer->taken;
	if (peer->taken > 0) {
		memmove(peer->data, peer->data + peer->taken, peer->len);
	}
	peer->taken = 0;
	enum status status;
	while ((status = wire_skim(&skim, peer->data, peer->len)) == STATUS_AGAIN) {
		if (!receive(peer)) {
			return false;
		}
	}
	assert_int_equal(status, STATUS_OK);
	peer->taken = skim.at;
	assert_int_equal(wire_open(peer->data, skim.at, &peer->message), STATUS_OK);
	assert_int_equal(rpc_read(wire_root(peer->message), out, &err), STATUS_OK);
	assert_int_equal(out->type, RPC_RESPONSE);
	return true;
}

void peer_expect_ok(struct peer *peer, uint32_t msgid)
{
	struct rpc_envelope envelope = {0};
	assert_true(peer_answer(peer, &envelope));
	if (envelope.failed) {
		print_error("%.*s\n", (int)envelope.error.len, (const char *)envelope.error.data);
	}
	assert_false(envelope.failed);
	assert_int_equal(envelope.msgid, msgid);
}

void peer_expect_error(struct peer *peer, uint32_t msgid, enum status status)
{
	struct rpc_envelope envelope = {0};
	struct error err;
	assert_true(peer_answer(peer, &envelope));
	assert_true(envelope.failed);
	assert_int_equal(envelope.msgid, msgid);
	rpc_split_error(envelope.error, &err);
	assert_string_equal(status_name(err.status), status_name(status));
}

void peer_expect_end(struct peer *peer)
{
	struct rpc_envelope envelope = {0};
	assert_false(peer_answer(peer, &envelope));
}

void peer_turn_loop(struct peer *peer)
{
	for (uint32_t i = 0; i < 4; i++) {
		peer_ask(peer, 1000 + i, "ping", 0);
		peer_expect_ok(peer, 1000 + i);
	}
}
