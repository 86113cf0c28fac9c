/* session.c - connects, calls, and prints what went wrong. */
#include "tools/command/session.h"

#include "tools/command/remedy.h"
#include "tools/format/interrupt.h"
#include "tools/format/json.h"
#include "tools/format/json_write.h"
#include "tools/format/wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* error: the name of a status, or USAGE. The text may quote arguments, which are any bytes. */
static void print_json(const char *error, const char *text, const char *remedy)
{
	struct json_writer json = {.out = stderr};
	json_write_object(&json, NULL);
	json_write_text(&json, "error", error);
	if (json_is_utf8((const uint8_t *)text, strlen(text))) {
		json_write_text(&json, "message", text);
	} else {
		json_write_hex(&json, "message_hex", (const uint8_t *)text, strlen(text));
	}
	if (remedy[0] != '\0' && json_is_utf8((const uint8_t *)remedy, strlen(remedy))) {
		json_write_text(&json, "remedy", remedy);
	}
	json_write_object_end(&json);
	json_write_line(&json);
}

enum { USAGE_HANG = 9 }; /* where a usage goes on */

static int refuse(const struct session *session, enum status status, const char *text)
{
	char remedy[REMEDY_BYTES];
	remedy_of(session, status, text, remedy);
	if (session->json) {
		print_json(status_name(status), text, remedy);
	} else {
		fprintf(stderr, "repstore: %s%s%s (%s)\n", text, remedy[0] != '\0' ? "; " : "",
			remedy, status_name(status));
	}
	return EXIT_REFUSED;
}

int session_refuse(const struct session *session, const struct rep_error *err)
{
	return refuse(session, (enum status)err->status, err->text);
}

int session_refuse_error(const struct session *session, const struct error *err)
{
	return refuse(session, err->status, err->text);
}

int session_refuse_text(const struct session *session, enum status status, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return refuse(session, status, text);
}

int session_usage(const struct session *session, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (session->json) {
		print_json("USAGE", text, "");
		return EXIT_USAGE;
	}
	static const char usage[] = "usage: repstore ";
	fprintf(stderr, "repstore: %s\n%s", text, usage);
	wrap_print(stderr, session->command->usage, strlen(usage), USAGE_HANG);
	fprintf(stderr, "`repstore help %s` says more\n", session->command->name);
	return EXIT_USAGE;
}

bool session_may_repeat(enum rep_status status)
{
	switch (status) {
	case REP_BUSY:
	case REP_DISK_FULL:
	case REP_READ_ONLY:
	case REP_NO_MEMORY:
	case REP_IO:
	case REP_TIMEOUT:
	case REP_CLOSED:
		return true;
	case REP_OK:
	case REP_BAD_REQUEST:
	case REP_NOT_FOUND:
	case REP_EXISTS:
	case REP_CONFLICT:
	case REP_NOT_SEALED:
	case REP_SEALED:
	case REP_TOO_LARGE:
	case REP_GAP:
	case REP_DENIED:
	case REP_CORRUPT:
	case REP_UNSUPPORTED:
	case REP_PROTOCOL:
	case REP_INTERNAL:
		break;
	}
	return false;
}

enum rep_status session_connect_more(const struct session *session, rep_client **out,
	struct rep_error *err)
{
	if (session->reader != NULL) {
		const enum rep_status status = rep_local_client(session->reader, out, err);
		if (status == REP_OK && session->timeout_ms != 0) {
			rep_set_timeout(*out, (unsigned)session->timeout_ms);
		}
		return status;
	}
	const struct rep_options options = {
		.address = session->address,
		.timeout_ms = (unsigned)session->timeout_ms,
		.tls_authority = session->tls_authority,
		.tls_certificate = session->tls_certificate,
		.tls_key = session->tls_key,
		.tls_server_name = session->tls_server_name,
	};
	return rep_connect(&options, out, err);
}

/* Opens the folder and a client of it. */
static bool open_folder(struct session *session)
{
	const struct rep_local_options options = {
		.folder = session->folder,
		.address = session->address,
		/* Whoever waits ends it. */
		.open_timeout_ms =
			session->timeout_ms != 0 ? (unsigned)session->timeout_ms : UINT32_MAX,
	};
	struct rep_error err;
	if (rep_open_local(&options, &session->reader, &err) == REP_OK &&
		session_connect_more(session, &session->client, &err) == REP_OK) {
		return true;
	}
	session_refuse(session, &err);
	return false;
}

bool session_connect(struct session *session)
{
	if (session->folder != NULL) {
		return open_folder(session);
	}
	struct rep_error err;
	if (session_connect_more(session, &session->client, &err) == REP_OK) {
		return true;
	}
	/* What was refused before the daemon was asked: nobody listens, or it is not our turn. */
	const char *variable = getenv("REPSTORE");
	const char *where = session->address != NULL ? "-s says so"
			    : variable != NULL && variable[0] != '\0'
				    ? "$REPSTORE says so"
				    : "neither -s nor $REPSTORE says another";
	if (err.status == REP_IO || err.status == REP_NOT_FOUND) {
		session_refuse_text(session, (enum status)err.status,
			"%s: is the daemon, repstored, running there? (%s)", err.text, where);
	} else {
		session_refuse(session, &err);
	}
	return false;
}

void session_close(struct session *session)
{
	rep_close(session->client);
	rep_close_local(session->reader);
	session->client = NULL;
	session->reader = NULL;
}

void answer_close(struct answer *answer)
{
	wire_close(answer->message);
	free(answer->data);
	*answer = (struct answer){0};
}

enum rep_status session_try(const struct session *session, const char *method,
	const struct wire_writer *params, struct answer *out, struct rep_error *err)
{
	size_t len = 0;
	const enum rep_status status =
		rep_call(session->client, method, params != NULL ? params->data : NULL,
			params != NULL ? params->len : 0, &out->data, &len, err);
	if (status != REP_OK) {
		return status;
	}
	const enum status opened = wire_open(out->data, len, &out->message);
	if (opened != STATUS_OK) {
		err->status = (enum rep_status)opened;
		snprintf(err->text, sizeof err->text, "%s: the answer could not be read", method);
		answer_close(out);
		return err->status;
	}
	out->result = wire_root(out->message);
	return REP_OK;
}

bool session_call(struct session *session, const char *method, struct wire_writer *params,
	struct answer *out)
{
	struct rep_error err = {0};
	if (params != NULL && params->status != STATUS_OK) {
		session_refuse_text(session, params->status, "the request could not be built");
		wire_writer_fini(params);
		return false;
	}
	const enum rep_status status = session_try(session, method, params, out, &err);
	if (params != NULL) {
		wire_writer_fini(params);
	}
	if (status != REP_OK) {
		session_refuse(session, &err);
	}
	return status == REP_OK;
}

int session_print(struct session *session, struct answer *answer,
	void (*print)(struct wire_value result))
{
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_wire(&json, NULL, answer->result);
		json_write_line(&json);
	} else {
		print(answer->result);
	}
	answer_close(answer);
	return session_finish(session, EXIT_DONE);
}

int session_finish(const struct session *session, int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		interrupt_end_pipe(errno);
		return session_refuse_text(session, STATUS_IO, "stdout: %s", strerror(errno));
	}
	return status;
}
