/* seal_watch.c - asks release.show now and then, and draws what it says. */
#include "tools/command/seal_watch.h"

#include "tools/command/progress.h"
#include "tools/command/release_argument.h"
#include "tools/format/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { ASK_EVERY_MS = 200 };

struct seal_watch {
	struct session session; /* with a client of its own */
	const char *release;    /* borrowed */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* guarded by `lock` */
};

/* Waits until it is time to ask. False: the seal has ended. */
static bool wait_to_ask(struct seal_watch *watch)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ASK_EVERY_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&watch->lock);
	while (!watch->stop && pthread_cond_timedwait(&watch->wake, &watch->lock, &until) == 0) {
	}
	const bool stop = watch->stop;
	pthread_mutex_unlock(&watch->lock);
	return !stop;
}

/* False: it cannot be asked. */
static bool show(struct seal_watch *watch, struct progress *progress)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	struct rep_error err;
	release_argument_write(&params, watch->release, 0);
	const bool told =
		session_try(&watch->session, "release.show", &params, &answer, &err) == REP_OK;
	wire_writer_fini(&params);
	if (told) {
		const struct wire_value sealing = wire_get(answer.result, "sealing");
		const uint64_t rows = text_uint_of(sealing, "rows");
		const uint64_t done = text_uint_of(sealing, "done");
		if (rows > 0) {
			progress_update(progress, done, rows, done);
		}
		answer_close(&answer);
	}
	return told;
}

static void *watch_main(void *arg)
{
	struct seal_watch *watch = arg;
	struct progress progress;
	struct rep_error err;
	progress_begin(&progress, "seal");
	bool goes_on = wait_to_ask(watch) && session_connect_more(&watch->session,
						     &watch->session.client, &err) == REP_OK;
	while (goes_on) {
		goes_on = show(watch, &progress) && wait_to_ask(watch);
	}
	(void)progress_end(&progress);
	session_close(&watch->session);
	return NULL;
}

struct seal_watch *seal_watch_begin(const struct session *session, const char *release)
{
	struct seal_watch *watch = calloc(1, sizeof *watch);
	pthread_condattr_t attributes;
	if (watch == NULL) {
		return NULL;
	}
	watch->session = *session;
	watch->session.client = NULL;
	watch->release = release;
	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
		pthread_cond_destroy(&watch->wake);
		pthread_mutex_destroy(&watch->lock);
		free(watch);
		return NULL;
	}
	return watch;
}

void seal_watch_end(struct seal_watch *watch)
{
	if (watch == NULL) {
		return;
	}
	pthread_mutex_lock(&watch->lock);
	watch->stop = true;
	pthread_cond_signal(&watch->wake);
	pthread_mutex_unlock(&watch->lock);
	pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->wake);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}
