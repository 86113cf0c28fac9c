/* local_peer.c - an embedded reader behind standard input and output, for tests that ask a daemon and a reader alike.
 *
 *   local_peer FOLDER [releases] [lag=MS] [open=MS] [memory=BYTES] [tell=ADDRESS]
 *
 * It answers MessagePack-RPC as the daemon does, by rep_call on a client of the reader. Two methods are its own:
 * "local.wait" {sequence} is rep_set_min_sequence, and "local.fetch" {table, key} answers the lag_ms of a fetch.
 */
#include "repstore_local.h"
#include "schema/rpc.h"
#include "schema/wire.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20, METHOD_BYTES = 64, EXIT_OPEN = 3 };

/* What has come and was not taken. */
struct stream {
	uint8_t *data;
	size_t len;
	size_t cap;
};

static void send_all(const struct wire_writer *out)
{
	for (size_t at = 0; at < out->len;) {
		const ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
		if (n <= 0) {
			err(1, "write");
		}
		at += (size_t)n;
	}
}

static void answer_fetch(rep_client *client, const struct rpc_envelope *asked,
	struct wire_writer *out, struct rep_error *why)
{
	char table[136] = "";
	struct wire_bytes name = {0};
	uint64_t key = 0;
	(void)wire_str(wire_get(asked->params, "table"), &name);
	(void)wire_uint(wire_get(asked->params, "key"), &key);
	memcpy(table, name.data, name.len < sizeof table ? name.len : sizeof table - 1);
	struct rep_part part = {.table = table, .keys = rep_keys_u64(&key, 1)};
	struct rep_fetched fetched;
	if (rep_fetch(client, NULL, &part, 1, &fetched, why) != REP_OK) {
		return;
	}
	rpc_write_response(out, asked->msgid);
	wire_write_map(out, 3);
	wire_write_str(out, "sequence");
	wire_write_uint(out, fetched.sequence);
	wire_write_str(out, "lag_ms");
	wire_write_uint(out, fetched.lag_ms);
	wire_write_str(out, "found");
	wire_write_uint(out, part.found_count);
}

/* The bytes of the params' map within a whole request: what is behind the method and the head of an array of one. */
static struct wire_bytes params_of(struct wire_bytes request)
{
	size_t at = 1; /* behind the head of an array of four */
	for (int i = 0; i < 3; i++) {
		uint32_t heads = UINT32_MAX;
		if (!wire_skip(request.data, request.len, &at, &heads)) {
			errx(1, "a request that is cut");
		}
	}
	return (struct wire_bytes){request.data + at + 1, request.len - at - 1};
}

static void answer(rep_client *client, struct wire_bytes request, const struct rpc_envelope *asked,
	struct wire_writer *out)
{
	struct rep_error why = {0};
	char method[METHOD_BYTES] = "";
	memcpy(method, asked->method.data,
		asked->method.len < sizeof method ? asked->method.len : sizeof method - 1);
	if (strcmp(method, "local.wait") == 0) {
		uint64_t sequence = 0;
		(void)wire_uint(wire_get(asked->params, "sequence"), &sequence);
		rep_set_min_sequence(client, sequence);
		rpc_write_response(out, asked->msgid);
		wire_write_nil(out);
	} else if (strcmp(method, "local.fetch") == 0) {
		answer_fetch(client, asked, out, &why);
	} else {
		void *result = NULL;
		size_t len = 0;
		const struct wire_bytes params = params_of(request);
		if (rep_call(client, method, params.len > 0 ? params.data : NULL, params.len,
			    &result, &len, &why) == REP_OK) {
			rpc_write_response(out, asked->msgid);
			wire_write_raw(out, result, len);
			free(result);
		}
	}
	if (why.status != REP_OK) {
		struct error text = {.status = (enum status)why.status};
		snprintf(text.text, sizeof text.text, "%s", why.text);
		rpc_write_error(out, asked->msgid, &text);
	}
}

/* Answers each whole message that has come. */
static void take(rep_client *client, struct stream *stream)
{
	struct wire_skim skim = {0};
	while (stream->len > 0 && wire_skim(&skim, stream->data, stream->len) == STATUS_OK) {
		struct wire_message *message = NULL;
		struct rpc_envelope asked = {0};
		struct wire_writer out = {0};
		if (wire_open(stream->data, skim.at, &message) != STATUS_OK ||
			rpc_read(wire_root(message), &asked, NULL) != STATUS_OK) {
			errx(1, "not a request");
		}
		answer(client, (struct wire_bytes){stream->data, skim.at}, &asked, &out);
		send_all(&out);
		wire_writer_fini(&out);
		wire_close(message);
		stream->len -= skim.at;
		memmove(stream->data, stream->data + skim.at, stream->len);
		skim = (struct wire_skim){0};
	}
}

static struct rep_local_options options_of(int argc, char **argv)
{
	struct rep_local_options options = {.folder = argv[1]};
	for (int i = 2; i < argc; i++) {
		const char *value = strchr(argv[i], '=');
		if (strcmp(argv[i], "releases") == 0) {
			options.follow = REP_FOLLOW_RELEASES;
		} else if (value != NULL && strncmp(argv[i], "lag=", 4) == 0) {
			options.has_max_lag = true;
			options.max_lag_ms = (unsigned)strtoul(value + 1, NULL, 10);
		} else if (value != NULL && strncmp(argv[i], "open=", 5) == 0) {
			options.open_timeout_ms = (unsigned)strtoul(value + 1, NULL, 10);
		} else if (value != NULL && strncmp(argv[i], "memory=", 7) == 0) {
			options.memory_max = strtoull(value + 1, NULL, 10);
		} else if (value != NULL && strncmp(argv[i], "tell=", 5) == 0) {
			options.address = value + 1;
		} else {
			errx(2, "'%s': releases, lag=MS, open=MS, memory=BYTES, tell=ADDRESS allowed",
				argv[i]);
		}
	}
	return options;
}

int main(int argc, char **argv)
{
	rep_local *local = NULL;
	rep_client *client = NULL;
	struct rep_error why = {0};
	struct stream stream = {0};
	if (argc < 2) {
		errx(2, "no folder");
	}
	const struct rep_local_options options = options_of(argc, argv);
	if (rep_open_local(&options, &local, &why) != REP_OK ||
		rep_local_client(local, &client, &why) != REP_OK) {
		fprintf(stderr, "%s: %s\n", rep_status_name(why.status), why.text);
		rep_close_local(local);
		return EXIT_OPEN;
	}
	for (;;) {
		if (stream.cap - stream.len < READ_BYTES) {
			stream.cap += READ_BYTES;
			stream.data = realloc(stream.data, stream.cap);
			if (stream.data == NULL) {
				errx(1, "no memory");
			}
		}
		const ssize_t n = read(STDIN_FILENO, stream.data + stream.len, READ_BYTES);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			break;
		}
		stream.len += (size_t)n;
		take(client, &stream);
	}
	free(stream.data);
	rep_close(client);
	rep_close_local(local);
	return 0;
}
