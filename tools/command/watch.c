/* watch.c - asks now and then how far long work is, and draws it. */
#include "tools/command/watch.h"

#include "tools/command/progress.h"
#include "tools/command/release_argument.h"
#include "tools/format/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { ASK_EVERY_MS = 200 };

struct watch {
	struct session session;              /* with a client of its own */
	const struct watch_subject *subject; /* borrowed, as the next */
	const char *release;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* guarded by `lock` */
};

/* Waits until it is time to ask. False: the work has ended. */
static bool wait_to_ask(struct watch *watch)
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
static bool show(struct watch *watch, struct progress *progress)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	struct rep_error err;
	const struct watch_subject *subject = watch->subject;
	release_argument_write(&params, watch->release, 0);
	const bool told =
		session_try(&watch->session, subject->method, &params, &answer, &err) == REP_OK;
	wire_writer_fini(&params);
	if (told) {
		const struct wire_value figures = wire_get(answer.result, subject->figures);
		const uint64_t total = text_uint_of(figures, subject->total);
		const uint64_t done = text_uint_of(figures, "done");
		if (total > 0) {
			progress_update(progress, done, total, done);
		}
		answer_close(&answer);
	}
	return told;
}

static void *watch_main(void *arg)
{
	struct watch *watch = arg;
	struct progress progress;
	struct rep_error err;
	progress_begin(&progress, watch->subject->what);
	progress.unit = watch->subject->unit;
	bool goes_on = wait_to_ask(watch) && session_connect_more(&watch->session,
						     &watch->session.client, &err) == REP_OK;
	while (goes_on) {
		goes_on = show(watch, &progress) && wait_to_ask(watch);
	}
	(void)progress_end(&progress);
	session_close(&watch->session);
	return NULL;
}

struct watch *watch_begin(const struct session *session, const struct watch_subject *subject,
	const char *release)
{
	struct watch *watch = calloc(1, sizeof *watch);
	pthread_condattr_t attributes;
	if (watch == NULL) {
		return NULL;
	}
	watch->session = *session;
	watch->session.client = NULL;
	watch->subject = subject;
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

void watch_end(struct watch *watch)
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

int watch_call(struct session *session, const struct watch_subject *subject, const char *method,
	struct wire_writer *params, const struct watch_answer *then)
{
	struct answer answer = {0};
	struct rep_error err = {.status = (enum rep_status)params->status,
		.text = "the request could not be built"};
	if (!session_connect(session)) {
		wire_writer_fini(params);
		return EXIT_REFUSED;
	}
	/* Without --timeout it waits without end. */
	if (session->timeout_ms == 0) {
		rep_set_timeout(session->client, 0);
	}
	struct watch *watch = subject == NULL ? NULL : watch_begin(session, subject, NULL);
	const enum rep_status status =
		params->status != STATUS_OK ? err.status
					    : session_try(session, method, params, &answer, &err);
	watch_end(watch); /* before anything is printed */
	wire_writer_fini(params);
	if (status != REP_OK) {
		return session_refuse(session, &err);
	}
	if (then->look != NULL) {
		then->look(answer.result);
	}
	return session_print(session, &answer, then->print);
}
