/* http.c - the thread of the port; the one place that includes microhttpd.h. */
#include "daemon/http/http.h"

#include "config.h"

#if REPSTORE_HAVE_HTTP

#include "daemon/http/respond.h"
#include "daemon/http/series.h"
#include "daemon/method/call/method.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HTTP_CONNECTIONS_MAX = 128,
	HTTP_CONNECTIONS_OF_ONE = 16, /* of one machine, where others are let in */
	HTTP_IDLE_S = 5,              /* then a connection is closed */
	HTTP_WHOLE_MS = 15000, /* as long as a connection may take in all: it has one request */
	HTTP_CONNECTION_BYTES = 16 << 10, /* of a request's line and headers */
	HTTP_TICK_MS = 1000,              /* how often time-outs are looked at, at least */
};

struct http {
	struct MHD_Daemon *daemon;
	const struct http_sources *sources; /* borrowed */
	bool is_tcp;
	bool exposes_metrics;
	struct {
		int fd;
		uint64_t since_ms;    /* monotonic clock; 0: the place is free */
	} open[HTTP_CONNECTIONS_MAX]; /* for the thread of the port */
	struct series series;
	int stop_fd; /* readable once the thread is to end; -1: there is none */
	pthread_t thread;
	bool has_thread;
};

/* The library's functions, once it is loaded. Nine other libraries come with it, for TLS which the port does not speak:
 * a daemon without the port starts sooner where none of them has to be read from the disk. */
static struct {
	__typeof__(MHD_add_response_header) *add_response_header;
	__typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
	__typeof__(MHD_destroy_response) *destroy_response;
	__typeof__(MHD_get_connection_info) *get_connection_info;
	__typeof__(MHD_get_daemon_info) *get_daemon_info;
	__typeof__(MHD_get_timeout) *get_timeout;
	__typeof__(MHD_lookup_connection_value) *lookup_connection_value;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_quiesce_daemon) *quiesce_daemon;
	__typeof__(MHD_run) *run;
	__typeof__(MHD_start_daemon) *start_daemon;
	__typeof__(MHD_stop_daemon) *stop_daemon;
} mhd;

/* False: it is not there, or is another one; dlerror says more. */
static bool load_library(void)
{
	static const struct {
		const char *name;
		void *place;
	} functions[] = {
		{"MHD_add_response_header", &mhd.add_response_header},
		{"MHD_create_response_from_buffer", &mhd.create_response_from_buffer},
		{"MHD_destroy_response", &mhd.destroy_response},
		{"MHD_get_connection_info", &mhd.get_connection_info},
		{"MHD_get_daemon_info", &mhd.get_daemon_info},
		{"MHD_get_timeout", &mhd.get_timeout},
		{"MHD_lookup_connection_value", &mhd.lookup_connection_value},
		{"MHD_queue_response", &mhd.queue_response},
		{"MHD_quiesce_daemon", &mhd.quiesce_daemon},
		{"MHD_run", &mhd.run},
		{"MHD_start_daemon", &mhd.start_daemon},
		{"MHD_stop_daemon", &mhd.stop_daemon},
	};
	void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
	bool is_whole = library != NULL;
	for (size_t i = 0; is_whole && i < sizeof functions / sizeof *functions; i++) {
		void *function = dlsym(library, functions[i].name);
		memcpy(functions[i].place, &function, sizeof function);
		is_whole = function != NULL;
	}
	return is_whole;
}

/* ---- requests ---- */

static enum MHD_Result send_response(struct MHD_Connection *connection, struct response *response)
{
	/* The body is freed by the library, which has it from here on. */
	struct MHD_Response *reply = mhd.create_response_from_buffer(response->body.len,
		response->body.data, MHD_RESPMEM_MUST_FREE);
	if (reply == NULL) {
		text_fini(&response->body);
		return MHD_NO;
	}
	(void)mhd.add_response_header(reply, "Content-Type", response->type);
	(void)mhd.add_response_header(reply, "Cache-Control", "no-store");
	(void)mhd.add_response_header(reply, "X-Content-Type-Options", "nosniff");
	(void)mhd.add_response_header(reply, "Content-Security-Policy", response->policy);
	(void)mhd.add_response_header(reply, "Cross-Origin-Resource-Policy", "same-origin");
	(void)mhd.add_response_header(reply, "Referrer-Policy", "no-referrer");
	if (response->code == MHD_HTTP_METHOD_NOT_ALLOWED) {
		(void)mhd.add_response_header(reply, "Allow", "GET, HEAD");
	}
	const enum MHD_Result result = mhd.queue_response(connection, response->code, reply);
	mhd.destroy_response(reply);
	return result;
}

/* The library calls this first when it has the headers, then with each piece of a body, then once
 * more. A request with a body is answered at once, and its connection is closed. */
/* NOLINTNEXTLINE(readability-function-size): the library says which parameters. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *body, size_t *body_len, void **state)
{
	const struct http *http = arg;
	(void)version;
	(void)body;
	(void)body_len;
	(void)state;
	const struct asked asked = {
		.method = method,
		.path = url,
		.host = mhd.lookup_connection_value(connection, MHD_HEADER_KIND,
			MHD_HTTP_HEADER_HOST),
		.is_tcp = http->is_tcp,
		.exposes_metrics = http->exposes_metrics,
	};
	struct response response;
	respond(&asked, http->sources, &http->series, &response);
	return response.body.data == NULL ? MHD_NO : send_response(connection, &response);
}

/* ---- the thread ---- */

static int wait_ms(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;
	return mhd.get_timeout(daemon, &ms) == MHD_YES && ms < HTTP_TICK_MS ? (int)ms
									    : HTTP_TICK_MS;
}

/* Ends those that take too long: a peer that sends a byte now and then is never silent. The library notices, and
 * closes them. */
static void end_slow(struct http *http)
{
	const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		if (http->open[i].since_ms != 0 &&
			now_ms - http->open[i].since_ms >= HTTP_WHOLE_MS) {
			(void)shutdown(http->open[i].fd, SHUT_RDWR);
		}
	}
}

static void *http_main(void *arg)
{
	struct http *http = arg;
	const union MHD_DaemonInfo *info =
		mhd.get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd polled[2] = {
		{.fd = info->epoll_fd, .events = POLLIN},
		{.fd = http->stop_fd, .events = POLLIN},
	};
	method_thread_begin();
	while (polled[1].revents == 0) {
		(void)poll(polled, 2, wait_ms(http->daemon));
		(void)mhd.run(http->daemon);
		end_slow(http);
		series_sample(&http->series, http->sources);
	}
	method_thread_end();
	return NULL;
}

/* ---- start and stop ---- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **place,
	enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*place != NULL) {
			*(uint64_t *)*place = 0;
		}
		return;
	}
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (unsigned i = 0; i < HTTP_CONNECTIONS_MAX && info != NULL; i++) {
		if (http->open[i].since_ms == 0) {
			http->open[i].fd = info->connect_fd;
			http->open[i].since_ms = (uint64_t)clock_monotonic_ms();
			*place = &http->open[i].since_ms;
			return;
		}
	}
}

static struct MHD_Daemon *open_daemon(struct http *http, int fd)
{
	return mhd.start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)HTTP_CONNECTION_BYTES, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		http->exposes_metrics ? (unsigned)HTTP_CONNECTIONS_OF_ONE : 0u,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
}

enum status http_start(const struct http_options *options, struct http **out, struct error *err)
{
	if (!load_library()) {
		return error_set(err, STATUS_UNSUPPORTED, "http '%s': %s",
			options->listener->address.text, dlerror());
	}
	struct http *http = calloc(1, sizeof *http);
	if (http == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "http: no memory");
	}
	*http = (struct http){
		.sources = options->sources,
		.is_tcp = options->listener->address.socket.any.sa_family != AF_UNIX,
		.exposes_metrics = options->exposes_metrics,
		.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	http->daemon = http->stop_fd >= 0 ? open_daemon(http, options->listener->fd) : NULL;
	if (http->daemon == NULL) {
		const enum status status = error_set(err, STATUS_IO, "http '%s': %s",
			options->listener->address.text, strerror(errno));
		http_stop(http);
		return status;
	}
	series_begin(&http->series);
	const enum status status = thread_start(&http->thread, http_main, http, "http", err);
	if (status != STATUS_OK) {
		http_stop(http);
		return status;
	}
	pthread_setname_np(http->thread, "http");
	http->has_thread = true;
	*out = http;
	return STATUS_OK;
}

void http_stop(struct http *http)
{
	if (http == NULL) {
		return;
	}
	if (http->has_thread) {
		const uint64_t one = 1;
		const ssize_t written = write(http->stop_fd, &one, sizeof one);
		assert(written == sizeof one);
		(void)written;
		(void)pthread_join(http->thread, NULL);
	}
	if (http->daemon != NULL) {
		/* To stop the library shuts the socket down, and that of a service manager with it, unless
		 * it has given the socket back before. */
		(void)mhd.quiesce_daemon(http->daemon);
		mhd.stop_daemon(http->daemon);
	}
	if (http->stop_fd >= 0) {
		close(http->stop_fd);
	}
	free(http);
}

#else

enum status http_start(const struct http_options *options, struct http **out, struct error *err)
{
	(void)out;
	return error_set(err, STATUS_UNSUPPORTED,
		"http '%s': this daemon was built without libmicrohttpd",
		options->listener->address.text);
}

void http_stop(struct http *http)
{
	(void)http;
}

#endif
