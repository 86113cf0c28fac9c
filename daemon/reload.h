/* reload.h - reads the settings anew at SIGHUP, and puts in force what may change while the daemon runs.
 *
 * The file is read in a thread of its own, since the look-up of a user may take long. It is no thread of
 * libuv's: where the system refuses those, libuv ends the process. A file with a mistake changes nothing, and
 * neither does one of a certificate or a key.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/settings.h"

#include <pthread.h>
#include <uv.h>

struct access;
struct server;
struct service;
struct store;
struct tls_context;

/* All borrowed. */
struct reload_parts {
	struct settings *settings; /* in force: a reload changes them */
	const struct settings_source *source;
	struct access *access;
	struct server *server;
	struct store *store;
	struct service *service;
};

struct reload {
	uv_signal_t hangup;
	uv_async_t read; /* the thread has read the settings, or could not */
	pthread_t thread;
	struct reload_parts parts;
	struct settings wanted;  /* what was read */
	struct tls_context *tls; /* owned: the certificates that were read with it; or NULL */
	enum status status;      /* of reading it */
	struct error err;
	bool running; /* there is a thread */
	bool again;   /* SIGHUP came meanwhile */
	bool stopped;
	bool closing;
};

/* Makes the handles, which reload_close closes: one of them not before the thread has ended. */
void reload_init(struct reload *reload, uv_loop_t *uv);

/* Begins to listen to SIGHUP. */
void reload_start(struct reload *reload, const struct reload_parts *parts);

/* From now on nothing is put in force any more. */
void reload_stop(struct reload *reload);

void reload_close(struct reload *reload);

#endif
