/* session.h - one run of the command: the daemon's address, the form of answers, and errors.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_SESSION_H
#define TOOLS_COMMAND_SESSION_H

#include "repstore.h"
#include "repstore_local.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses. */
enum {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* the daemon or the input said no */
	EXIT_USAGE = 2,
	EXIT_LISTED = 3, /* session->words: the words were printed; nothing else is done */
};

struct session;

/* One subcommand. */
struct command {
	const char *name;
	const char *summary; /* one line */
	const char *usage;   /* what follows `repstore `; lines end with newlines */
	const char *help;    /* options and remarks */
	int (*run)(struct session *session, int argc, char **argv);
};

struct session {
	/* All commands, in the order of the help page; NULL ends them. Borrowed. */
	const struct command *const *commands;
	const struct command *command; /* borrowed: the one that runs */
	const char *address;           /* NULL: $REPSTORE, or the default */
	const char *folder;  /* read instead of asking a daemon; NULL: a daemon is asked */
	uint64_t timeout_ms; /* 0: that of the library */
	/* For addresses of tls:. NULL: what the library takes from the environment. */
	const char *tls_authority;
	const char *tls_certificate;
	const char *tls_key;
	const char *tls_server_name;
	bool json;
	/* For completion: what could follow is printed, a word a line, and nothing is done. */
	bool words;
	rep_local *reader;  /* owned: of `folder`; NULL until session_connect */
	rep_client *client; /* owned; NULL until session_connect */
};

/* Prints an error on stderr and returns EXIT_REFUSED. */
int session_refuse(const struct session *session, const struct rep_error *err);
int session_refuse_error(const struct session *session, const struct error *err);
int session_refuse_text(const struct session *session, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints on stderr what is wrong with the arguments, and the usage. Returns EXIT_USAGE. */
int session_usage(const struct session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether the same command may succeed later: the daemon, its disk or the connection was the
 * reason, not what was asked. */
bool session_may_repeat(enum rep_status status);

/* Connects to the daemon, or opens the folder. False: it has printed why not. */
bool session_connect(struct session *session);
/* Another connection, for a thread of its own; behind session_connect. */
enum rep_status session_connect_more(const struct session *session, rep_client **out,
	struct rep_error *err);
void session_close(struct session *session);

/* The answer of a method. */
struct answer {
	void *data;                   /* owned */
	struct wire_message *message; /* owned */
	struct wire_value result;
};

/* Calls a method with the map in `params` (NULL: an empty one), and ends `params`.
 * False: it has printed why not. */
bool session_call(struct session *session, const char *method, struct wire_writer *params,
	struct answer *out);
void answer_close(struct answer *answer);
/* The same, printing nothing. `params` stays the caller's. */
enum rep_status session_try(const struct session *session, const char *method,
	const struct wire_writer *params, struct answer *out, struct rep_error *err);

/* Prints the answer, as JSON if --json was given, else by `print`. Ends the answer. */
int session_print(struct session *session, struct answer *answer,
	void (*print)(struct wire_value result));

/* Flushes stdout. Returns `status`, or EXIT_REFUSED if that fails (full disk, closed pipe). */
int session_finish(const struct session *session, int status);

#endif
