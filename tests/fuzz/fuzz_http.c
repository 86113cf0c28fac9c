/* fuzz_http.c - requests over HTTP of any kind, to the part that answers them, and some of them through a real port.
 *
 * An input is a byte for how the port is, and lines: the method, the path, the header Host, and a line of the journal. One
 * input in so many is sent to a port as it stands.
 *
 * An answer has a code of ours; who does not name this machine gets nothing; /api/state is JSON, whatever the journal
 * says, and /metrics has the lines of an exposition and no others.
 */
#include "daemon/http/http.h"
#include "daemon/http/respond.h"
#include "daemon/http/series.h"
#include "daemon/net/server.h"
#include "tests/fuzz/dispatch/world.h"
#include "tools/format/json_scan.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	/* Answers that take long are given to one input in so many, and so many are sent to a port. */
	DEAR_ONE_IN = 32,
	BY_SOCKET_ONE_IN = 256,
	FIELD_BYTES = 300,
	IS_TCP = 1, /* bits of the first byte */
	EXPOSES_METRICS = 2,
	SHOWS_NO_PAGE = 4,
	DRAINS = 8,
	WAITS_MAX = 120, /* of a second: counted, as in peer.c */
};

static char event_text[HTTP_EVENT_BYTES];
static struct http_sources sources;
static struct series series;
static struct http *port;
static struct listener listener;

static unsigned give_events(struct http_event out[HTTP_EVENTS_MAX])
{
	out[0] = (struct http_event){.ms = 1, .level = "info"};
	memcpy(out[0].text, event_text, sizeof event_text);
	return 1;
}

static bool is_alive(void *arg)
{
	(void)arg;
	return true;
}

static void finish(void)
{
	http_stop(port);
	listener_close(&listener);
	world_close();
}

static void open_port(void)
{
	char text[160];
	struct address address;
	struct error err = {.text = ""};
	(void)snprintf(text, sizeof text, "unix:%s/http", world_folder());
	REQUIRE(address_parse(text, &address, &err) == STATUS_OK);
	REQUIRE(listener_open(&address, 0600, &listener, &err) == STATUS_OK);
	const struct http_options options = {.listener = &listener, .sources = &sources};
	REQUIRE(http_start(&options, &port, &err) == STATUS_OK);
}

static void begin(void)
{
	static bool has_begun;
	if (has_begun) {
		return;
	}
	has_begun = true;
	world_open();
	sources.net = server_stats(world_server());
	sources.service = world_service();
	sources.is_alive = is_alive;
	sources.shows_page = true;
	sources.events = give_events;
	series_begin(&series);
	series_sample(&series, &sources);
	open_port();
	(void)atexit(finish);
}

/* ---- the answers ---- */

static void require_json(const struct text *body)
{
	struct json_scan scan = {.text = body->data, .len = body->len};
	struct json_value value = {0};
	REQUIRE(json_scan_value(&scan, &value) && value.kind == JSON_OBJECT);
	REQUIRE(memchr(body->data, '<', body->len) == NULL); /* of no script */
}

static void require_exposition(const struct text *body)
{
	static const char *const begins[] = {"# HELP ", "# TYPE ", "repstore_", "process_"};
	const char *end = body->data + body->len;
	for (const char *line = body->data; line < end;) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		bool is_known = false;
		REQUIRE(next != NULL);
		for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
			is_known = is_known || strncmp(line, begins[i], strlen(begins[i])) == 0;
		}
		REQUIRE(is_known);
		line = next + 1;
	}
}

/* Whether a browser on this machine that was asked for this machine would send it: what host_is_local must not say of
 * others. */
static bool may_be_local(const char *host)
{
	const size_t name = strcspn(host, "0123456789");
	return strncasecmp(host, "localhost", 9) == 0 || strncmp(host, "127.0.0.1", 9) == 0 ||
	       (name == 3 && strncmp(host, "[::1]", 5) == 0);
}

static bool has_code_of_ours(unsigned code)
{
	return code == 200 || code == 403 || code == 404 || code == 405 || code == 503;
}

static void judge(const struct asked *asked, const struct response *response)
{
	const char *path = asked->path;
	const bool is_read =
		strcmp(asked->method, "GET") == 0 || strcmp(asked->method, "HEAD") == 0;
	const bool is_answered = response->code == 200;
	REQUIRE(has_code_of_ours(response->code));
	REQUIRE(is_read || response->code == 405);
	REQUIRE(response->body.data != NULL && response->body.len > 0);
	if (asked->is_tcp && !asked->exposes_metrics &&
		(asked->host == NULL || !may_be_local(asked->host))) {
		REQUIRE(response->code == 403 || response->code == 405);
	}
	REQUIRE(!is_answered || !asked->exposes_metrics || strcmp(path, "/metrics") == 0);
	if (is_answered && strcmp(path, "/api/state") == 0) {
		require_json(&response->body);
	} else if (is_answered && strcmp(path, "/metrics") == 0) {
		require_exposition(&response->body);
	}
}

/* Takes the next line of the input; false: there is none. What is too long is cut. */
static bool take_line(const uint8_t **at, const uint8_t *end, char out[FIELD_BYTES])
{
	const uint8_t *line = *at;
	const uint8_t *next = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
	const size_t all = (size_t)((next != NULL ? next : end) - line);
	const size_t len = all < FIELD_BYTES ? all : FIELD_BYTES - 1;
	out[0] = '\0';
	if (line >= end) {
		return false;
	}
	memcpy(out, line, len);
	out[len] = '\0';
	*at = next != NULL ? next + 1 : end;
	return true;
}

static bool is_dear(const char *path)
{
	static const char *const paths[] = {"/metrics", "/api/state", "/", "/readyz"};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (strcmp(path, paths[i]) == 0) {
			return true;
		}
	}
	return false;
}

static void ask_here(const uint8_t *data, size_t size, bool dear)
{
	char method[FIELD_BYTES];
	char path[FIELD_BYTES];
	char host[FIELD_BYTES];
	char event[FIELD_BYTES];
	const uint8_t *at = data + 1;
	const uint8_t *end = data + size;
	(void)take_line(&at, end, method);
	(void)take_line(&at, end, path);
	const bool has_host = take_line(&at, end, host);
	(void)take_line(&at, end, event);
	(void)snprintf(event_text, sizeof event_text, "%.*s", HTTP_EVENT_BYTES - 1, event);
	const struct asked asked = {
		.method = method,
		.path = path,
		.host = has_host ? host : NULL,
		.is_tcp = (data[0] & IS_TCP) != 0,
		.exposes_metrics = (data[0] & EXPOSES_METRICS) != 0,
	};
	struct response response;
	REQUIRE(!has_host || !host_is_local(host) || may_be_local(host));
	if (is_dear(path) && !dear) {
		return;
	}
	sources.shows_page = (data[0] & SHOWS_NO_PAGE) == 0;
	atomic_store(&sources.draining, (data[0] & DRAINS) != 0);
	respond(&asked, &sources, &series, &response);
	judge(&asked, &response);
	text_fini(&response.body);
}

/* ---- through the port ---- */

static int connect_to(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/http", world_folder());
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

/* Whatever was asked, others are answered. */
static void require_alive(void)
{
	static const char alive[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char answer[1024];
	const int fd = connect_to();
	size_t len = 0;
	unsigned waits = 0;
	REQUIRE(send(fd, alive, sizeof alive - 1, MSG_NOSIGNAL) == sizeof alive - 1);
	while (len < 15) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		if (poll(&wait, 1, 1000) == 0) {
			REQUIRE(++waits < WAITS_MAX);
			continue;
		}
		const ssize_t got = recv(fd, answer + len, sizeof answer - len, 0);
		REQUIRE(got > 0);
		len += (size_t)got;
	}
	REQUIRE(memcmp(answer, "HTTP/1.1 200 OK", 15) == 0);
	close(fd);
}

static void ask_port(const uint8_t *data, size_t size)
{
	char answer[1024];
	const int fd = connect_to();
	(void)send(fd, data, size, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	/* One thread answers one after the other. What came first is answered, if it ever is. */
	require_alive();
	const ssize_t len = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
	if (len > 0) {
		REQUIRE(len > 12 && memcmp(answer, "HTTP/1.", 7) == 0);
		REQUIRE(answer[9] >= '1' && answer[9] <= '5');
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	begin();
	const uint64_t hash = XXH3_64bits(data, size);
	if (hash % BY_SOCKET_ONE_IN == 0) {
		sources.shows_page = true;
		atomic_store(&sources.draining, false);
		ask_port(data, size);
	} else {
		ask_here(data, size, hash % DEAR_ONE_IN == 1);
	}
	return 0;
}
