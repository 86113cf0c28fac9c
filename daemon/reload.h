/* reload.h - reads the settings anew, at SIGHUP and when a peer asks, and puts in force what may change while the daemon
 * runs.
 *
 * The file is read in a thread of its own, since the look-up of a user may take long. It is no thread of
 * libuv's: where the system refuses those, libuv ends the process. A file with a mistake changes nothing, and
 * neither does one of a certificate or a key.
 *
 * Threads: the main one; reload_ask: any other.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/settings.h"
#include "daemon/store/system/lock.h"

#include <pthread.h>
#include <uv.h>

struct access;
struct server;
struct service;
struct stop;
struct store;
struct tls_context;
struct wire_writer;

/* All borrowed. */
struct reload_parts {
	struct settings *settings; /* in force: a reload changes them */
	const struct settings_source *source;
	struct access *access;
	struct server *server;
	struct store *store;
	struct service *service;
};

/* What came of a reading. */
struct reload_outcome {
	enum status status;
	struct error err;
	char config[SETTINGS_TEXT_BYTES]; /* the file; "": there is none */
	unsigned count;                   /* of settings that differed */
	struct settings_change changes[SETTINGS_CHANGES_MAX];
};

struct reload {
	uv_signal_t hangup;
	uv_async_t wanted_anew; /* a peer has asked */
	uv_async_t read;        /* the thread has read the settings, or could not */
	pthread_t thread;
	struct reload_parts parts;
	struct settings wanted;  /* what was read */
	struct tls_context *tls; /* owned: the certificates that were read with it; or NULL */
	enum status status;      /* of reading it */
	struct error err;
	bool running; /* there is a thread */
	bool again;   /* it was wanted once more meanwhile */
	bool stopped;
	bool closing;
	uint64_t answering; /* so many have asked before the reading that runs began */
	struct lock lock;   /* guards what follows */
	struct condition told;
	unsigned waiting;  /* so many ask; at most RELOAD_WAITING_MAX */
	uint64_t asked;    /* so many have */
	uint64_t answered; /* so many of them may have the outcome */
	struct reload_outcome outcome;
	bool refuses; /* nobody may ask any more */
};

/* Fewer than one user may have threads of the lane, so that one is left for other requests where settings cannot be read. */
enum { RELOAD_WAITING_MAX = 3 };

/* Makes the handles, which reload_close closes: one of them not before the thread has ended. */
void reload_init(struct reload *reload, uv_loop_t *uv);

/* Once nobody asks any more, and the handles are closed. */
void reload_fini(struct reload *reload);

/* Begins to listen to SIGHUP. */
void reload_start(struct reload *reload, const struct reload_parts *parts);

/* Has the settings read, waits until what may change is in force, and writes {config, changed, kept}. `arg` is the reload. Errors:
 * those of settings_load and of certificates, when nothing has changed; TIMEOUT, CLOSED  whether anything changes is
 * not known; BUSY  the daemon stops, or RELOAD_WAITING_MAX others wait. */
enum status reload_ask(void *arg, const struct stop *stop, struct wire_writer *writer,
	struct error *err);

/* From now on nothing is put in force any more, and who waits is told so. */
void reload_stop(struct reload *reload);

void reload_close(struct reload *reload);

#endif
