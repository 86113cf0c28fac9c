/* lane.c - threads that run requests, and who makes way for whom. server.c starts the lanes. */
#include "daemon/net/lane.h"

#include "daemon/method/call/method.h"
#include "daemon/net/loop.h"
#include "daemon/net/net.h"
#include "daemon/net/session.h"
#include "daemon/store/system/slice.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A request is not run if the grace of a stop is over, or if it is a read and its peer has left. A
 * change is begun even if its peer did not wait for the answer; a long one may end soon (stop.h). */
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
	} else if (uv_hrtime() / 1000000 >= request_expires_ms(request)) {
		request_expire(request);
	} else {
		request_run(request);
	}
}

static struct turns_member *member_of(const struct lane *lane, const struct request *request)
{
	return &request->session->turns[lane->number];
}

/* ---- which request is next ---- */

/* Does a request wait that a spare thread might run? */
static bool has_spare_work(const struct lane *lane)
{
	return lane->running < lane->options.threads + lane->options.spare &&
	       turns_has(&lane->turns, TURNS_IDLE);
}

/* When its request will have run for a slice; 0: it runs nothing. */
static uint64_t slice_end_ns(const struct lane_runner *runner)
{
	const uint64_t slice_ns = LANE_SLICE_MS * UINT64_C(1000000);
	return runner->began_ns != 0 ? runner->began_ns + slice_ns : 0;
}

/* When the next request will have run for a slice; 0: so few have not that one more may run. */
static uint64_t next_slice_ns(const struct lane *lane, uint64_t now_ns)
{
	uint64_t soonest_ns = UINT64_MAX;
	unsigned in_slice = 0;
	for (unsigned i = 0; i < lane->started; i++) {
		const uint64_t end_ns = slice_end_ns(&lane->runners[i]);
		if (end_ns > now_ns) {
			in_slice++;
			soonest_ns = end_ns < soonest_ns ? end_ns : soonest_ns;
		}
	}
	return in_slice < lane->options.threads ? 0 : soonest_ns;
}

/* Requests that have run for a slice, while others wait, get what these leave of the processors. If
 * the system refuses that, they get as much as others. */
static void lower_the_long(struct lane *lane, uint64_t now_ns)
{
	for (unsigned i = 0; i < lane->started && lane->options.lowers; i++) {
		struct lane_runner *runner = &lane->runners[i];
		const uint64_t end_ns = slice_end_ns(runner);
		if (end_ns != 0 && end_ns <= now_ns && !atomic_load(&runner->is_lowered)) {
			/* On Linux this concerns one thread. */
			(void)setpriority(PRIO_PROCESS, runner->tid, LANE_LONG_NICE);
			atomic_store(&runner->is_lowered, true);
		}
	}
}

/* Takes the next request that this thread may run now. NULL: there is none; *until_ns says when
 * there may be one without a request ending; 0: never. */
static struct request *choose(struct lane_runner *runner, uint64_t *until_ns)
{
	struct lane *lane = runner->lane;
	struct turns_member *member;
	lock_assert_held(&lane->lock);
	*until_ns = 0;
	if (lane->running < lane->options.threads) {
		return runner->is_spare ? NULL : turns_take(&lane->turns, TURNS_ALL, &member);
	}
	if (!has_spare_work(lane)) {
		return NULL;
	}
	const uint64_t now_ns = uv_hrtime();
	*until_ns = next_slice_ns(lane, now_ns);
	if (*until_ns != 0) {
		return NULL;
	}
	lower_the_long(lane, now_ns);
	return turns_take(&lane->turns, TURNS_IDLE, &member);
}

/* Of the spare threads one waits until a slice ends, the others for a signal. */
static void wait_for_more(struct lane_runner *runner, uint64_t until_ns)
{
	struct lane *lane = runner->lane;
	struct condition *more = runner->is_spare ? &runner->wake : &lane->more;
	runner->is_asleep = true;
	if (until_ns == 0 || lane->watched || !runner->is_spare) {
		condition_wait(more, &lane->lock);
	} else {
		lane->watched = true;
		(void)condition_wait_until(more, &lane->lock, until_ns / 1000000 + 1);
		lane->watched = false;
	}
	runner->is_asleep = false;
}

/* Wakes the first spare thread that sleeps; or all of them. The first are so used again and again,
 * and the memory that the allocator keeps for each thread is kept for few. */
static void wake_spare(struct lane *lane, bool all)
{
	bool is_awake = false;
	for (unsigned i = lane->options.threads; i < lane->started && (all || !is_awake); i++) {
		if (lane->runners[i].is_asleep) {
			condition_signal(&lane->runners[i].wake);
			is_awake = true;
		}
	}
}

/* Wakes a thread that can do something about what waits. */
static void wake_for_more(struct lane *lane)
{
	lock_assert_held(&lane->lock);
	if (lane->turns.waiting == 0) {
		if (lane->stopping) {
			condition_broadcast(&lane->more);
			wake_spare(lane, true);
		}
	} else if (lane->running < lane->options.threads) {
		condition_signal(&lane->more);
	} else if (!lane->watched && has_spare_work(lane)) {
		wake_spare(lane, false);
	}
}

/* Takes the next request. NULL: none waits; if `wait`, also the lane is stopping. */
static struct request *pop(struct lane_runner *runner, bool wait)
{
	struct lane *lane = runner->lane;
	struct request *request;
	uint64_t until_ns;
	lock_take(&lane->lock);
	while ((request = choose(runner, &until_ns)) == NULL && wait &&
		!(lane->stopping && lane->turns.waiting == 0)) {
		if (until_ns == 0 || !runner->is_spare) {
			wake_for_more(lane);
		}
		wait_for_more(runner, until_ns);
	}
	if (request != NULL) {
		lane->running++;
		runner->began_ns = uv_hrtime();
		histogram_add(&lane->waits, runner->began_ns - request->queued_ns,
			HISTOGRAM_SHORT_NS);
		assert(lane->running <= lane->options.threads + lane->options.spare);
	}
	wake_for_more(lane);
	lock_release(&lane->lock);
	return request;
}

/* The thread may have been lowered. Others would wait for it if it took a lock then. */
static void rise(struct lane_runner *runner)
{
	if (atomic_load(&runner->is_lowered)) {
		/* On Linux this concerns the calling thread alone. */
		(void)setpriority(PRIO_PROCESS, 0, runner->nice);
		atomic_store(&runner->is_lowered, false);
	}
}

/* Runs a request that was popped, and charges its connection what it has taken. */
static void run(struct lane_runner *runner, struct request *request)
{
	struct lane *lane = runner->lane;
	run_or_skip(request);
	rise(runner);
	const uint64_t now_ns = uv_hrtime();
	lock_take(&lane->lock);
	turns_end(&lane->turns, member_of(lane, request), request->cost_ns,
		now_ns - runner->began_ns);
	assert(lane->running > 0);
	lane->running--;
	runner->began_ns = 0;
	lock_release(&lane->lock);
	rise(runner); /* it may have been lowered meanwhile, and will not be any more */
}

/* ---- what becomes of it ---- */

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

static void run_group(struct lane_runner *runner, struct request *request)
{
	struct service *service = request->question.service;
	struct request_queue group = {0};
	while (request != NULL) {
		run(runner, request);
		assert(request->ticket == NULL); /* the sync of the group is what it waits for */
		request_queue_push(&group, request);
		request = method_load_is_full(service) ? NULL : pop(runner, false);
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
	struct lane_runner *runner = arg;
	struct lane *lane = runner->lane;
	struct request *request;
	runner->tid = (id_t)gettid();
	if (lane->options.nice) {
		(void)setpriority(PRIO_PROCESS, 0, LANE_NICE);
	}
	if (lane->options.quick) {
		slice_make_short();
	}
	runner->nice = getpriority(PRIO_PROCESS, 0);
	method_thread_begin();
	while ((request = pop(runner, true)) != NULL) {
		if (lane->options.groups) {
			run_group(runner, request);
		} else {
			run(runner, request);
			release(request);
		}
	}
	method_thread_end();
	return NULL;
}

/* ---- start and end ---- */

static void name_thread(pthread_t thread, const char *name, unsigned number)
{
	char text[16]; /* the kernel's limit */
	(void)snprintf(text, sizeof text, "%.10s-%u", name, number);
	pthread_setname_np(thread, text);
}

static void *lower_and_rise(void *arg)
{
	const int nice = getpriority(PRIO_PROCESS, 0);
	const bool can = nice < LANE_LONG_NICE &&
			 setpriority(PRIO_PROCESS, 0, LANE_LONG_NICE) == 0 &&
			 setpriority(PRIO_PROCESS, 0, nice) == 0;
	return can ? arg : NULL;
}

/* Can a thread that was lowered rise again? That needs a right, RLIMIT_NICE or CAP_SYS_NICE; a thread
 * of its own tries, since without the right it stays low. */
static bool can_rise(struct lane *lane)
{
	pthread_t thread;
	void *can = NULL;
	return pthread_create(&thread, NULL, lower_and_rise, lane) == 0 &&
	       pthread_join(thread, &can) == 0 && can != NULL;
}

static enum status start_threads(struct lane *lane, struct error *err)
{
	const unsigned threads = lane->options.threads + lane->options.spare;
	enum status status = STATUS_OK;
	lock_take(&lane->lock); /* `started` is read under it */
	while (status == STATUS_OK && lane->started < threads) {
		struct lane_runner *runner = &lane->runners[lane->started];
		runner->lane = lane;
		runner->is_spare = lane->started >= lane->options.threads;
		status = thread_start(&runner->thread, lane_main, runner, lane->options.name, err);
		if (status == STATUS_OK) {
			name_thread(runner->thread, lane->options.name, lane->started++);
		}
	}
	lock_release(&lane->lock);
	return status;
}

enum status lane_start(struct lane *lane, enum lane_number number,
	const struct lane_options *options, struct error *err)
{
	assert(options->threads >= 1);
	assert(options->threads <= LANE_THREADS_MAX);
	assert(options->waiting_max > 0);
	assert(strlen(options->name) <= LANE_NAME_BYTES);
	/* With two threads one would sync while the other writes for the same group. */
	assert(!options->groups || options->threads + options->spare == 1);
	*lane = (struct lane){
		.options = *options,
		.number = number,
		.turns =
			{
				.waiting_max = options->waiting_max,
				.running_max = options->threads + options->spare / 2,
			},
	};
	lane->options.lowers = options->lowers && can_rise(lane);
	lane->runners = calloc(options->threads + options->spare, sizeof *lane->runners);
	if (lane->runners == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "start the threads of '%s'", options->name);
	}
	lock_init(&lane->lock);
	condition_init(&lane->more);
	for (unsigned i = 0; i < options->threads + options->spare; i++) {
		condition_init(&lane->runners[i].wake);
	}
	enum status status = start_threads(lane, err);
	if (status != STATUS_OK) {
		lane_stop(lane);
	}
	return status;
}

void lane_stop(struct lane *lane)
{
	if (lane->runners == NULL) {
		return;
	}
	lock_take(&lane->lock);
	lane->stopping = true;
	condition_broadcast(&lane->more);
	wake_spare(lane, true);
	lock_release(&lane->lock);
	for (unsigned i = 0; i < lane->started; i++) {
		pthread_join(lane->runners[i].thread, NULL);
	}
	assert(lane->turns.waiting == 0); /* the threads end only then */
	for (unsigned i = 0; i < lane->options.threads + lane->options.spare; i++) {
		condition_fini(&lane->runners[i].wake);
	}
	condition_fini(&lane->more);
	lock_fini(&lane->lock);
	free(lane->runners);
	*lane = (struct lane){0};
}

bool lane_push(struct lane *lane, struct request *request)
{
	lock_take(&lane->lock);
	assert(!lane->stopping);
	const bool room = turns_push(&lane->turns, member_of(lane, request), request);
	if (room) {
		wake_for_more(lane);
	}
	lock_release(&lane->lock);
	return room;
}

bool lane_withdraw(struct lane *lane, struct request *request)
{
	lock_take(&lane->lock);
	const bool was_waiting = turns_withdraw(&lane->turns, member_of(lane, request), request);
	if (was_waiting) {
		histogram_add(&lane->waits, uv_hrtime() - request->queued_ns, HISTOGRAM_SHORT_NS);
	}
	lock_release(&lane->lock);
	return was_waiting;
}

size_t lane_waiting(struct lane *lane)
{
	lock_take(&lane->lock);
	size_t waiting = lane->turns.waiting;
	lock_release(&lane->lock);
	return waiting;
}
