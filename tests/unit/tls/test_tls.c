/* test_tls.c - two ends of a connection in memory: whom they let in, and what passes between them. */
#include "tests/unit/alloc_fail.h"
#include "tls/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 160, MOST_BYTES = 4 * TLS_PIECE_BYTES };

/* A folder with an authority, the certificates that it has signed, and one that signed itself. */
static char folder[] = "/tmp/test-tls-XXXXXX";

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
	char command[1024];
	va_list arguments;
	va_start(arguments, format);
	const int len = vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	assert_true(len > 0 && (size_t)len < sizeof command);
	assert_int_equal(system(command), 0);
}

static void sign_itself(const char *name)
{
	shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
	      "-subj /CN=%s -keyout %s.key -out %s.pem 2>/dev/null",
		folder, name, name, name);
}

static void sign(const char *name, const char *alternatives)
{
	shell("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	      "-subj /CN=%s -keyout %s.key -out %s.csr 2>/dev/null",
		folder, name, name, name);
	shell("cd %s && echo subjectAltName=%s >ext && openssl x509 -req -in %s.csr -CA ca.pem "
	      "-CAkey ca.key -CAcreateserial -days 30 -extfile ext -out %s.pem 2>/dev/null",
		folder, alternatives, name, name);
}

static int make_certificates(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	sign_itself("ca");
	sign_itself("self");
	sign("daemon", "DNS:localhost,IP:127.0.0.1");
	sign("peer", "DNS:b.example,URI:spiffe://ads/a,DNS:c.example");
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	shell("rm -r %s", folder);
	return 0;
}

static struct tls_context *context_of(enum tls_side side, const char *name)
{
	char certificate[PATH_BYTES];
	char key[PATH_BYTES];
	char authority[PATH_BYTES];
	struct tls_context *context = NULL;
	struct error err = {.text = ""};
	(void)snprintf(certificate, sizeof certificate, "%s/%s.pem", folder, name);
	(void)snprintf(key, sizeof key, "%s/%s.key", folder, name);
	(void)snprintf(authority, sizeof authority, "%s/ca.pem", folder);
	const struct tls_files files = {.certificate = certificate,
		.key = key,
		.authority = authority};
	assert_int_equal(tls_context_open(&files, side, &context, &err), STATUS_OK);
	return context;
}

struct ends {
	struct tls *server;
	struct tls *client;
};

static void open_ends(struct ends *ends, const char *client, const char *expected)
{
	struct tls_context *of_server = context_of(TLS_SERVER, "daemon");
	struct tls_context *of_client = context_of(TLS_CLIENT, client);
	*ends = (struct ends){0};
	assert_int_equal(tls_open(of_server, NULL, &ends->server, NULL), STATUS_OK);
	assert_int_equal(tls_open(of_client, expected, &ends->client, NULL), STATUS_OK);
	tls_context_close(of_server); /* the connections hold them */
	tls_context_close(of_client);
}

static void close_ends(struct ends *ends)
{
	tls_close(ends->server);
	tls_close(ends->client);
}

/* Gives `to` what `from` wants to send, so many bytes at a time, with a step of its handshake after each. */
static enum status carry(struct tls *from, struct tls *to, size_t piece, struct error *err)
{
	enum status status = STATUS_AGAIN;
	const uint8_t *data;
	size_t len;
	while ((len = tls_pending(from, &data)) > 0 &&
		(status == STATUS_AGAIN || status == STATUS_OK)) {
		const size_t part = len < piece ? len : piece;
		tls_feed(to, data, part);
		status = tls_handshake(to, err);
		assert_int_equal(tls_keep(to), STATUS_OK);
		tls_sent(from, part);
	}
	return status;
}

static void shake(struct ends *ends, size_t piece)
{
	struct error err;
	enum status client = tls_handshake(ends->client, &err);
	enum status server = STATUS_AGAIN;
	for (unsigned i = 0; i < 10 && (client == STATUS_AGAIN || server == STATUS_AGAIN); i++) {
		server = server == STATUS_AGAIN ? carry(ends->client, ends->server, piece, &err)
						: server;
		client = client == STATUS_AGAIN ? carry(ends->server, ends->client, piece, &err)
						: client;
	}
	assert_int_equal(client, STATUS_OK);
	assert_int_equal(server, STATUS_OK);
}

static void both_know_each_other_afterwards(void **state)
{
	static const size_t pieces[] = {1, 7, 100, 65536};
	static const char *const expected[] = {"localhost", "127.0.0.1"};
	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct ends ends;
		open_ends(&ends, "peer", expected[i % 2]);
		shake(&ends, pieces[i]);
		const struct tls_peer *peer = tls_peer(ends.server);
		assert_int_equal(peer->names_count, 4);
		assert_int_equal(peer->names[0].kind, TLS_NAME_URI);
		assert_string_equal(peer->names[0].text, "spiffe://ads/a");
		assert_int_equal(peer->names[1].kind, TLS_NAME_DNS);
		assert_string_equal(peer->names[1].text, "b.example");
		assert_string_equal(peer->names[2].text, "c.example");
		assert_int_equal(peer->names[3].kind, TLS_NAME_CN);
		assert_string_equal(peer->names[3].text, "peer");
		assert_true(peer->not_after_ms > 0);
		close_ends(&ends);
	}
}

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 31 + at / 251);
}

/* Sends `len` bytes from one end to the other, whose records come in pieces of `piece`. */
static void pass(struct tls *from, struct tls *to, size_t len, size_t piece)
{
	static uint8_t sent[MOST_BYTES];
	static uint8_t got[MOST_BYTES];
	static uint8_t records[TLS_SEALED_BYTES];
	size_t done = 0;
	size_t received = 0;
	for (size_t at = 0; at < len; at++) {
		sent[at] = byte_at(at);
	}
	while (done < len) {
		const size_t part = len - done < TLS_PIECE_BYTES ? len - done : TLS_PIECE_BYTES;
		size_t count = 0;
		assert_int_equal(tls_seal(from, sent + done, part, records, &count), STATUS_OK);
		assert_true(count > part && count <= TLS_SEALED_BYTES);
		done += part;
		for (size_t at = 0; at < count; at += piece) {
			size_t n = 0;
			tls_feed(to, records + at, count - at < piece ? count - at : piece);
			while (received < len && tls_read(to, got + received, len - received, &n,
							 NULL) == STATUS_OK) {
				received += n;
			}
			assert_int_equal(tls_unread(to), 0);
		}
	}
	assert_int_equal(received, len);
	assert_memory_equal(sent, got, len);
}

static void bytes_pass_in_any_pieces(void **state)
{
	static const size_t lens[] = {1, 2, 16383, 16384, 16385, TLS_PIECE_BYTES,
		TLS_PIECE_BYTES + 1, MOST_BYTES};
	static const size_t pieces[] = {1, 5, 4096, TLS_SEALED_BYTES};
	struct ends ends;
	(void)state;
	open_ends(&ends, "peer", "localhost");
	shake(&ends, 65536);
	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
			pass(ends.client, ends.server, lens[i], pieces[j]);
			pass(ends.server, ends.client, lens[i], pieces[j]);
		}
	}
	close_ends(&ends);
}

static void what_is_kept_is_read_later(void **state)
{
	static uint8_t records[TLS_SEALED_BYTES];
	uint8_t got[4];
	size_t len = 0;
	size_t n = 0;
	struct ends ends;
	(void)state;
	open_ends(&ends, "peer", "localhost");
	shake(&ends, 65536);
	assert_false(tls_has_more(ends.server));
	size_t all = 0;
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t byte = (uint8_t)('a' + i);
		assert_int_equal(tls_seal(ends.client, &byte, 1, records + all, &len), STATUS_OK);
		all += len;
		if (i == 0) {
			assert_true(all < 100);
		}
	}
	tls_feed(ends.server, records, all);
	assert_int_equal(tls_read(ends.server, got, sizeof got, &n, NULL), STATUS_OK);
	assert_int_equal(n, 1);
	assert_true(tls_has_more(ends.server));
	assert_int_equal(tls_keep(ends.server), STATUS_OK);
	memset(records, 0, sizeof records);
	assert_int_equal(tls_read(ends.server, got + 1, 1, &n, NULL), STATUS_OK);
	assert_int_equal(tls_keep(ends.server), STATUS_OK);
	assert_int_equal(tls_read(ends.server, got + 2, 1, &n, NULL), STATUS_OK);
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(tls_read(ends.server, got, 1, &n, NULL), STATUS_AGAIN);
	close_ends(&ends);
}

static void an_end_is_told_and_a_broken_record_too(void **state)
{
	static uint8_t records[TLS_SEALED_BYTES];
	uint8_t byte = 0;
	size_t len = 0;
	size_t n = 0;
	const uint8_t *data;
	struct ends ends;
	struct error err;
	(void)state;
	open_ends(&ends, "peer", "localhost");
	shake(&ends, 65536);
	tls_end(ends.client);
	len = tls_pending(ends.client, &data);
	tls_feed(ends.server, data, len);
	assert_int_equal(tls_read(ends.server, &byte, 1, &n, &err), STATUS_CLOSED);
	/* The other way is open still. */
	assert_int_equal(tls_seal(ends.server, &byte, 1, records, &len), STATUS_OK);
	records[len - 1] ^= 1;
	tls_feed(ends.client, records, len);
	assert_int_equal(tls_read(ends.client, &byte, 1, &n, &err), STATUS_PROTOCOL);
	assert_int_equal(tls_read(ends.client, &byte, 1, &n, &err), STATUS_PROTOCOL);
	assert_int_equal(tls_seal(ends.client, &byte, 1, records, &len), STATUS_PROTOCOL);
	close_ends(&ends);
}

static void a_stranger_is_refused(void **state)
{
	struct ends ends;
	struct error err = {.text = ""};
	(void)state;
	open_ends(&ends, "self", "localhost");
	assert_int_equal(tls_handshake(ends.client, &err), STATUS_AGAIN);
	assert_int_equal(carry(ends.client, ends.server, 65536, &err), STATUS_AGAIN);
	assert_int_equal(carry(ends.server, ends.client, 65536, &err), STATUS_OK);
	assert_int_equal(carry(ends.client, ends.server, 65536, &err), STATUS_DENIED);
	assert_int_equal(tls_refusal(ends.server), TLS_REFUSED_AUTHORITY);
	assert_string_equal(tls_peer(ends.server)->names[0].text, "self");
	/* The client learns of it when it reads. */
	uint8_t byte;
	size_t n;
	const uint8_t *data;
	const size_t len = tls_pending(ends.server, &data);
	tls_feed(ends.client, data, len);
	assert_int_equal(tls_read(ends.client, &byte, 1, &n, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "an authority that it does not trust"));
	close_ends(&ends);
}

static void a_daemon_of_another_name_is_refused(void **state)
{
	struct ends ends;
	struct error err = {.text = ""};
	(void)state;
	open_ends(&ends, "peer", "example.org");
	assert_int_equal(tls_handshake(ends.client, &err), STATUS_AGAIN);
	assert_int_equal(carry(ends.client, ends.server, 65536, &err), STATUS_AGAIN);
	assert_int_equal(carry(ends.server, ends.client, 65536, &err), STATUS_DENIED);
	assert_non_null(strstr(err.text, "hostname mismatch"));
	close_ends(&ends);
}

static void a_valid_peer_is_found_valid_again(void **state)
{
	struct ends ends;
	(void)state;
	open_ends(&ends, "peer", "localhost");
	shake(&ends, 65536);
	struct tls_context *context = context_of(TLS_SERVER, "daemon");
	assert_int_equal(tls_verify(ends.server, context), STATUS_OK);
	tls_context_close(context);
	close_ends(&ends);
}

/* OpenSSL's own memory is not refused here. */
static bool open_with_little_memory(void *arg)
{
	struct ends *ends = arg;
	struct tls_context *context = NULL;
	char authority[PATH_BYTES];
	char certificate[PATH_BYTES];
	char key[PATH_BYTES];
	(void)snprintf(authority, sizeof authority, "%s/ca.pem", folder);
	(void)snprintf(certificate, sizeof certificate, "%s/daemon.pem", folder);
	(void)snprintf(key, sizeof key, "%s/daemon.key", folder);
	const struct tls_files files = {.certificate = certificate,
		.key = key,
		.authority = authority};
	enum status status = tls_context_open(&files, TLS_SERVER, &context, NULL);
	if (status == STATUS_OK) {
		status = tls_open(context, NULL, &ends->server, NULL);
	}
	if (status == STATUS_OK) {
		const uint8_t byte = 0x16;
		tls_feed(ends->server, &byte, 1);
		status = tls_keep(ends->server);
	}
	tls_close(ends->server);
	tls_context_close(context);
	ends->server = NULL;
	return status == STATUS_OK;
}

static void refused_memory_is_reported(void **state)
{
	struct ends ends = {0};
	(void)state;
	alloc_fail_each(open_with_little_memory, &ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_know_each_other_afterwards),
		cmocka_unit_test(bytes_pass_in_any_pieces),
		cmocka_unit_test(what_is_kept_is_read_later),
		cmocka_unit_test(an_end_is_told_and_a_broken_record_too),
		cmocka_unit_test(a_stranger_is_refused),
		cmocka_unit_test(a_daemon_of_another_name_is_refused),
		cmocka_unit_test(a_valid_peer_is_found_valid_again),
		cmocka_unit_test(refused_memory_is_reported),
	};
	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
