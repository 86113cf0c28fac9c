/* fake_server.c - the thread behind fake_server.h. */
#include "tests/unit/client/fake_server.h"
#include "tests/unit/wait.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, SLOW_MS = 5 };

/* A connection's bytes that have come and are not taken. */
struct stream {
	uint8_t *data;
	size_t len;
	size_t cap;
};

size_t fake_params(const struct fake_call *call)
{
	const bool is_told = wire_type(wire_get(call->params, "timeout_ms")) == WIRE_UINT;
	return wire_size(call->params) - (is_told ? 1 : 0);
}

bool fake_is(const struct fake_call *call, const char *method)
{
	return call->method.len == strlen(method) &&
	       memcmp(call->method.data, method, call->method.len) == 0;
}

void fake_result(struct fake_call *call)
{
	rpc_write_response(call->out, call->msgid);
}

static void answer_hello(const struct fake_server *server, struct fake_call *call)
{
	fake_result(call);
	wire_write_map(call->out, 4);
	wire_write_str(call->out, "features");
	wire_write_array(call->out, 1 + (size_t)server->can_limit + (server->feature != NULL));
	wire_write_str(call->out, "any_time");
	if (server->feature != NULL) {
		wire_write_str(call->out, server->feature);
	}
	if (server->can_limit) {
		wire_write_str(call->out, "timeout_ms");
	}
	wire_write_str(call->out, "server");
	wire_write_str(call->out, "repstored");
	wire_write_str(call->out, "version");
	wire_write_str(call->out, "0.1.7");
	wire_write_str(call->out, "protocol");
	wire_write_uint(call->out, server->protocol);
}

/* Answers one whole message. False: the connection ends. */
static bool answer_message(struct fake_server *server, int fd, const uint8_t *data, size_t len)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	if (wire_open(data, len, &message) != STATUS_OK ||
		rpc_read(wire_root(message), &envelope, NULL) != STATUS_OK) {
		wire_close(message);
		return false;
	}
	struct wire_writer out = {0};
	struct fake_call call = {
		.msgid = envelope.msgid,
		.method = envelope.method,
		.params = envelope.params,
		.out = &out,
		.number = server->requests,
		.connection = server->connections,
	};
	if (fake_is(&call, "hello")) {
		answer_hello(server, &call);
	} else {
		server->requests++;
		server->answer(&call, server->arg);
	}
	bool sent = true;
	for (size_t at = 0; at < out.len && sent;) {
		if (call.slow) {
			poll(NULL, 0, SLOW_MS);
		}
		ssize_t n = send(fd, out.data + at, call.slow ? 1 : out.len - at, MSG_NOSIGNAL);
		sent = n > 0;
		at += sent ? (size_t)n : 0;
	}
	wire_writer_fini(&out);
	wire_close(message);
	return sent && !call.close;
}

/* Takes whole messages off the front. */
static bool take_messages(struct fake_server *server, int fd, struct stream *stream)
{
	for (;;) {
		struct wire_skim skim = {0};
		if (stream->len == 0 || wire_skim(&skim, stream->data, stream->len) != STATUS_OK) {
			return true;
		}
		if (!answer_message(server, fd, stream->data, skim.at)) {
			return false;
		}
		stream->len -= skim.at;
		memmove(stream->data, stream->data + skim.at, stream->len);
	}
}

static void serve_connection(struct fake_server *server, int fd)
{
	struct stream stream = {0};
	for (;;) {
		if (stream.cap - stream.len < READ_BYTES) {
			stream.cap += READ_BYTES;
			stream.data = realloc(stream.data, stream.cap);
			assert(stream.data != NULL);
		}
		ssize_t n = recv(fd, stream.data + stream.len, READ_BYTES, 0);
		if (n <= 0) {
			break;
		}
		stream.len += (size_t)n;
		if (!take_messages(server, fd, &stream)) {
			break;
		}
	}
	free(stream.data);
}

static void *serve(void *arg)
{
	struct fake_server *server = arg;
	for (;;) {
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0) {
			return NULL;
		}
		atomic_store(&server->serving, fd);
		serve_connection(server, fd);
		atomic_store(&server->serving, -1);
		close(fd);
		server->connections++;
	}
}

void fake_server_start(struct fake_server *server, fake_answer *answer, const void *arg)
{
	*server = (struct fake_server){.answer = answer,
		.arg = arg,
		.protocol = 1,
		.can_limit = true};
	strcpy(server->folder, "/tmp/repstore-fake-XXXXXX");
	const char *folder = mkdtemp(server->folder);
	assert(folder != NULL);
	snprintf(server->path, sizeof server->path, "%s/sock", folder);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	memcpy(name.sun_path, server->path, strlen(server->path));
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int code = bind(server->listener, (const struct sockaddr *)&name, sizeof name);
	assert(code == 0);
	code = listen(server->listener, 16);
	assert(code == 0);
	code = pthread_create(&server->thread, NULL, serve, server);
	assert(code == 0);
	(void)code;
}

void fake_server_await_end(struct fake_server *server)
{
	struct wait wait = {0};
	while (server->connections == 0) {
		wait_a_moment(&wait);
	}
}

void fake_server_hang_up(struct fake_server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	shutdown(atomic_load(&server->serving), SHUT_RDWR);
}

void fake_server_stop(struct fake_server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	unlink(server->path);
	rmdir(server->folder);
}
