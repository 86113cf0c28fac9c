/* presence.c - the connection of a reader to its daemon. */
#include "client/local/presence.h"

#include "client/client.h"
#include "client/embedded.h"
#include "daemon/local/local_thread.h"
#include "repstore.h"
#include "schema/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	AGAIN_S = 2, /* between two hellos */
	CONNECT_MS = 1000,
	CALL_MS = 5000,
};

struct presence {
	char *address; /* owned */
	/* Owned; NULL: no daemon was there yet. The thread's, while there is one. */
	rep_client *client;
	pid_t pid; /* of whom it tells */
	pthread_t thread;
	pthread_mutex_t lock; /* guards `stop`, with the next */
	pthread_cond_t wake;
	atomic_bool stop;
};

static bool is_stopped(void *context)
{
	const struct presence *presence = context;
	return atomic_load(&presence->stop);
}

/* Whatever the reason is, a daemon that is not reached is looked for again. */
static bool connect_once(struct presence *presence)
{
	const struct rep_options options = {
		.address = presence->address,
		.connect_timeout_ms = CONNECT_MS,
		.timeout_ms = CALL_MS,
		.interrupted = is_stopped,
		.interrupted_context = presence,
	};
	return rep_connect(&options, &presence->client, NULL) == REP_OK;
}

/* Whether an answer of hello has the feature `local`. */
static bool has_feature(const void *data, size_t len)
{
	struct wire_message *message = NULL;
	bool has = false;
	if (wire_open(data, len, &message) == STATUS_OK) {
		const struct wire_value features = wire_get(wire_root(message), "features");
		for (size_t i = 0; i < wire_size(features); i++) {
			struct wire_bytes name;
			has = has || (wire_str(wire_item(features, i), &name) &&
					     wire_bytes_are(name, "local"));
		}
	}
	wire_close(message);
	return has;
}

/* Says it over the connection that there is; one that was lost is made anew by the call. What fails is said again
 * later. */
static void say(struct presence *presence)
{
	/* {"local": true} */
	static const uint8_t params[] = {0x81, 0xa5, 'l', 'o', 'c', 'a', 'l', 0xc3};
	void *answer = NULL;
	size_t len = 0;
	if (rep_call(presence->client, "hello", NULL, 0, &answer, &len, NULL) != REP_OK) {
		return;
	}
	const bool has = has_feature(answer, len);
	free(answer);
	if (has && rep_call(presence->client, "hello", params, sizeof params, &answer, &len,
			   NULL) == REP_OK) {
		free(answer);
	}
}

/* False: it is to stop. */
static bool wait_for_next(struct presence *presence)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += AGAIN_S;
	(void)pthread_mutex_lock(&presence->lock);
	int code = 0;
	while (code == 0 && !atomic_load(&presence->stop)) {
		code = pthread_cond_timedwait(&presence->wake, &presence->lock, &until);
	}
	(void)pthread_mutex_unlock(&presence->lock);
	return !atomic_load(&presence->stop);
}

static void *stay(void *arg)
{
	struct presence *presence = arg;
	do {
		if (presence->client != NULL || connect_once(presence)) {
			say(presence);
		}
	} while (wait_for_next(presence));
	return NULL;
}

static void free_all(struct presence *presence)
{
	if (presence->client != NULL && presence->client->transport.fd >= 0) {
		/* A child of a fork has it open too, and the daemon is to see its end all the same. */
		(void)shutdown(presence->client->transport.fd, SHUT_RDWR);
	}
	rep_close(presence->client);
	(void)pthread_cond_destroy(&presence->wake);
	(void)pthread_mutex_destroy(&presence->lock);
	free(presence->address);
	free(presence);
}

enum status presence_start(const char *address, struct presence **out, struct error *err)
{
	struct error why;
	pthread_condattr_t monotonic;
	if (repstore_embedded_check_address(address, &why) != STATUS_OK) {
		return error_set(err, STATUS_BAD_REQUEST, "rep_local_options: %s", why.text);
	}
	struct presence *presence = calloc(1, sizeof *presence);
	if (presence == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a reader");
	}
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&presence->wake, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)pthread_mutex_init(&presence->lock, NULL);
	presence->pid = getpid();
	presence->address = strdup(address);
	enum status status = presence->address == NULL
				     ? error_set(err, STATUS_NO_MEMORY, "no memory for a reader")
				     : STATUS_OK;
	if (status == STATUS_OK) {
		status = local_thread_start(&presence->thread, stay, presence, err);
	}
	if (status != STATUS_OK) {
		free_all(presence);
		return status;
	}
	*out = presence;
	return STATUS_OK;
}

void presence_stop(struct presence *presence)
{
	/* In a child of a fork there is no thread, and what it had may be in any state. */
	if (presence == NULL || presence->pid != getpid()) {
		return;
	}
	(void)pthread_mutex_lock(&presence->lock);
	atomic_store(&presence->stop, true);
	(void)pthread_cond_signal(&presence->wake);
	(void)pthread_mutex_unlock(&presence->lock);
	(void)pthread_join(presence->thread, NULL);
	free_all(presence);
}
