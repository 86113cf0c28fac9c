/* lane.c - threads with a queue.
 *
 * The lanes are pool, search, admin, seal, merge, load and write: server.c starts them. */
#include "daemon/net/lane.h"

#include "daemon/method/call/method.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"
#include "daemon/net/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LANE_TURNS_NICE = 5 };

/* A request is not run if the grace of a stop is over, or if it is a read and its peer has left. A
 * change is made even if its peer did not wait for the answer. */
static bool is_pointless(const struct request *request)
{
	if (atomic_load(&request->net->cut)) {
		return true;
	}
	return method_is_read(request->question.method) &&
	       atomic_load_explicit(&request->session->gone, memory_order_relaxed);
}

static void run_or_skip(struct request *request)
{
	if (is_pointless(request)) {
		request->status = STATUS_CLOSED;
	} else {
		request_run(request);
	}
}

/* Takes the next request. NULL: none waits; if `wait`, also the lane is stopping. */
static struct request *pop(struct lane *lane, bool wait)
{
	pthread_mutex_lock(&lane->lock);
	while (wait && lane->queue.first == NULL && !lane->stopping) {
		pthread_cond_wait(&lane->more, &lane->lock);
	}
	struct request *request = request_queue_pop(&lane->queue);
	if (request != NULL && lane->options.order == LANE_TURNS) {
		assert(request->turn >= lane->turn);
		lane->turn = request->turn;
	}
	pthread_mutex_unlock(&lane->lock);
	return request;
}

/* Makes durable what the group has written, then sends its requests back to their loops. */
static void finish_group(struct service *service, struct request_queue *group)
{
	struct error err = {.status = STATUS_OK};
	enum status status = method_load_sync(service, &err);
	err.status = status;
	struct request *request;
	while ((request = request_queue_pop(group)) != NULL) {
		if (status != STATUS_OK && request->status == STATUS_OK) {
			request_fail(request, &err);
		}
		loop_return(request);
	}
}

static void run_group(struct lane *lane, struct request *request)
{
	struct service *service = request->question.service;
	struct request_queue group = {0};
	while (request != NULL) {
		run_or_skip(request);
		assert(request->ticket == NULL); /* the sync of the group is what it waits for */
		request_queue_push(&group, request);
		request = method_load_is_full(service) ? NULL : pop(lane, false);
	}
	finish_group(service, &group);
}

/* Called on the store's commit thread, or on the lane's own thread within method_write_then. */
static void on_written(void *arg, enum status status, const struct error *err)
{
	struct request *request = arg;
	if (status != STATUS_OK && request->status == STATUS_OK) {
		request_fail(request, err);
	}
	loop_return(request);
}

/* Sends a request that has run back to its loop. A write goes back once it is durable. */
static void release(struct request *request)
{
	struct write_ticket *ticket = request->ticket;
	/* Another thread may free the request before method_write_then returns. */
	request->ticket = NULL;
	if (ticket != NULL) {
		method_write_then(ticket, on_written, request);
	} else {
		loop_return(request);
	}
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct request *request;
	if (lane->options.order == LANE_TURNS) {
		/* Long requests give way to the loops, whose requests are short. On Linux this
		 * call changes the calling thread alone. */
		(void)setpriority(PRIO_PROCESS, 0, LANE_TURNS_NICE);
	}
	method_thread_begin();
	while ((request = pop(lane, true)) != NULL) {
		if (lane->options.order == LANE_GROUPS) {
			run_group(lane, request);
		} else {
			run_or_skip(request);
			release(request);
		}
	}
	method_thread_end();
	return NULL;
}

static void name_thread(pthread_t thread, const char *name, unsigned number)
{
	char text[16]; /* the kernel's limit */
	(void)snprintf(text, sizeof text, "%.10s-%u", name, number);
	pthread_setname_np(thread, text);
}

enum status lane_start(struct lane *lane, const struct lane_options *options)
{
	assert(options->threads >= 1);
	assert(options->threads <= LANE_THREADS_MAX);
	assert(options->waiting_max > 0);
	assert(strlen(options->name) <= LANE_NAME_BYTES);
	/* With two threads one would sync while the other writes for the same group. */
	assert(options->order != LANE_GROUPS || options->threads == 1);
	*lane = (struct lane){.options = *options};
	lane->threads = calloc(options->threads, sizeof *lane->threads);
	if (lane->threads == NULL) {
		return STATUS_NO_MEMORY;
	}
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->more, NULL);
	while (lane->started < options->threads) {
		pthread_t *thread = &lane->threads[lane->started];
		int failed = pthread_create(thread, NULL, lane_main, lane);
		if (failed != 0) {
			lane_stop(lane);
			return status_of_errno(failed);
		}
		name_thread(*thread, options->name, lane->started++);
	}
	return STATUS_OK;
}

void lane_stop(struct lane *lane)
{
	if (lane->threads == NULL) {
		return;
	}
	pthread_mutex_lock(&lane->lock);
	lane->stopping = true;
	pthread_cond_broadcast(&lane->more);
	pthread_mutex_unlock(&lane->lock);
	for (unsigned i = 0; i < lane->started; i++) {
		pthread_join(lane->threads[i], NULL);
	}
	assert(lane->queue.count == 0); /* the threads end only when nothing waits */
	pthread_cond_destroy(&lane->more);
	pthread_mutex_destroy(&lane->lock);
	free(lane->threads);
	*lane = (struct lane){0};
}

/* Gives the request its turn, and puts it into the queue in the order of turns. Each request of a
 * connection has a later turn than the connection's request before it, and none has a turn that is
 * over. So the requests of a connection that asks much wait for each other, and the requests of
 * others pass them.
 * Source: Goyal, Vin, Cheng, Start-time Fair Queuing, 1996, with requests of one length. */
static void push_in_turn(struct lane *lane, struct request *request)
{
	struct session *session = request->session;
	const uint64_t next = session->search_turn + 1;
	request->turn = next > lane->turn ? next : lane->turn;
	assert(request->turn > session->search_turn);
	session->search_turn = request->turn;
	request_queue_insert(&lane->queue, request);
}

bool lane_push(struct lane *lane, struct request *request)
{
	pthread_mutex_lock(&lane->lock);
	assert(!lane->stopping);
	assert(lane->queue.count <= lane->options.waiting_max);
	bool room = lane->queue.count < lane->options.waiting_max;
	if (room) {
		if (lane->options.order == LANE_TURNS) {
			push_in_turn(lane, request);
		} else {
			request_queue_push(&lane->queue, request);
		}
		pthread_cond_signal(&lane->more);
	}
	pthread_mutex_unlock(&lane->lock);
	return room;
}

size_t lane_waiting(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	size_t waiting = lane->queue.count;
	pthread_mutex_unlock(&lane->lock);
	return waiting;
}
