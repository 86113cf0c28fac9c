/* loop.c - the thread of a worker, its inbox, and its lists of sessions. */
#include "daemon/net/loop.h"

#include "daemon/method/call/method.h"
#include "daemon/net/guard.h"
#include "daemon/net/net.h"
#include "daemon/net/sender.h"
#include "daemon/net/session.h"
#include "daemon/net/session_tls.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/slice.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle)) {
		uv_close(handle, NULL);
	}
}

/* Ends a loop that stops and has no session any more: uv_run returns when no handle is open. */
static void end_if_done(struct loop *loop)
{
	if (loop->stopping && link_is_alone(&loop->sessions)) {
		uv_walk(&loop->uv, close_handle, NULL);
	}
}

/* ---- the inbox ---- */

static void begin_stop(struct loop *loop)
{
	if (loop->stopping) {
		return;
	}
	loop->stopping = true;
	loop->stop_at_ms = uv_now(&loop->uv) + loop->net->limits.grace_ms;
	for (struct link *at = loop->sessions.next; at != &loop->sessions; at = at->next) {
		session_stop(LINK_OWNER(at, struct session, all));
	}
}

static void open_arrivals(struct loop *loop, struct link *arrivals)
{
	while (!link_is_alone(arrivals)) {
		struct session *session = LINK_OWNER(arrivals->next, struct session, all);
		link_remove(&session->all);
		link_append(&loop->sessions, &session->all);
		session_open(session);
		if (loop->stopping) {
			session_stop(session);
		}
	}
}

/* The caller holds the lock of the inbox. So the loop cannot empty the inbox, and then close the
 * handle, before uv_async_send has returned. */
static void wake(struct loop *loop)
{
	lock_assert_held(&loop->lock);
	uv_async_send(&loop->wake);
}

/* Puts requests back in front of those that have come since. */
static void put_back(struct loop *loop, struct request_queue *returns)
{
	struct request *request;
	lock_take(&loop->lock);
	while ((request = request_queue_pop(&loop->returns)) != NULL) {
		request_queue_push(returns, request);
	}
	loop->returns = *returns;
	wake(loop);
	lock_release(&loop->lock);
}

static void on_wake(uv_async_t *handle)
{
	struct loop *loop = handle->data;
	struct link arrivals;
	struct request *request;
	loop_assert_here(loop);

	lock_take(&loop->lock);
	link_move_all(&loop->arrivals, &arrivals);
	struct request_queue returns = loop->returns;
	loop->returns = (struct request_queue){0};
	bool stop_asked = loop->stop_asked;
	lock_release(&loop->lock);

	open_arrivals(loop, &arrivals);
	const uint64_t end_ns = uv_hrtime() + LOOP_RETURNS_NS;
	while ((request = request_queue_pop(&returns)) != NULL) {
		session_finish(request->session, request);
		if (returns.count > 0 && uv_hrtime() >= end_ns) {
			put_back(loop, &returns);
			break;
		}
	}
	if (stop_asked) {
		begin_stop(loop);
	}
	end_if_done(loop);
}

void loop_add(struct loop *loop, struct session *session)
{
	assert(session->loop == NULL);
	assert(atomic_load_explicit(&loop->connections, memory_order_relaxed) > 0);
	session->loop = loop;
	lock_take(&loop->lock);
	link_append(&loop->arrivals, &session->all);
	wake(loop);
	lock_release(&loop->lock);
}

void loop_return(struct request *request)
{
	struct loop *loop = request->session->loop;
	lock_take(&loop->lock);
	bool first = loop->returns.first == NULL;
	request_queue_push(&loop->returns, request);
	if (first) {
		wake(loop);
	}
	lock_release(&loop->lock);
}

void loop_stop(struct loop *loop)
{
	lock_take(&loop->lock);
	loop->stop_asked = true;
	wake(loop);
	lock_release(&loop->lock);
}

/* ---- turns ---- */

static uint64_t cpu_time_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Measures what a turn, which has just ended, has cost. To read the CPU time of a thread is a system
 * call, half a microsecond, so it is read once a millisecond at most. From one look to the next the
 * loop has had some turns that ended within a millisecond together, and then one that may have been
 * long: so the figure is at most a millisecond above the longest turn. */
static void look_at_turn(struct loop *loop)
{
	const uint64_t now_ns = uv_hrtime();
	if (now_ns - loop->looked_ns < LOOP_LOOK_NS) {
		return;
	}
	const uint64_t cpu_ns = cpu_time_ns();
	const uint64_t spent_ns = cpu_ns - loop->looked_cpu_ns;
	assert(cpu_ns >= loop->looked_cpu_ns);
	if (spent_ns > counter_read(&loop->figures.longest_turn_ns)) {
		atomic_store_explicit(&loop->figures.longest_turn_ns, spent_ns,
			memory_order_relaxed);
	}
	loop->looked_ns = now_ns;
	loop->looked_cpu_ns = cpu_ns;
}

static void on_turn_over(uv_check_t *check)
{
	struct loop *loop = check->data;
	loop->turn++;
	loop->turn_ns = 0;
	look_at_turn(loop);
}

/* Gives every session of the list one turn. A session that needs another goes on a new list: in front
 * of the others if it had none, since its user's share of this turn was used by those before it. */
static void give_turns(struct loop *loop)
{
	struct link untried;
	struct link passed_over;
	struct link again;
	link_move_all(&loop->ready, &untried);
	link_init(&passed_over);
	while (!link_is_alone(&untried)) {
		struct session *session = LINK_OWNER(untried.next, struct session, ready);
		link_remove(&session->ready);
		assert(!session->closing);
		session_continue(session);
		if (!link_is_alone(&session->ready) && session->turn.messages == 0) {
			link_remove(&session->ready);
			link_append(&passed_over, &session->ready);
		}
	}
	link_move_all(&loop->ready, &again);
	link_append_all(&loop->ready, &passed_over);
	link_append_all(&loop->ready, &again);
}

static void on_resume(uv_idle_t *idle)
{
	struct loop *loop = idle->data;
	give_turns(loop);
	const bool has_more = sender_free_some(loop);
	if (link_is_alone(&loop->ready) && !has_more) {
		uv_idle_stop(idle);
	}
}

void loop_resume(struct loop *loop)
{
	loop_assert_here(loop);
	uv_idle_start(&loop->resume, on_resume);
}

void loop_make_ready(struct loop *loop, struct session *session)
{
	loop_assert_here(loop);
	assert(!session->closing); /* a session that is closing may be freed at any time */
	if (link_is_alone(&session->ready)) {
		link_append(&loop->ready, &session->ready);
	}
	loop_resume(loop);
}

/* Lets sessions try again. Of those that find no memory, the first stays the first: it has waited
 * longest, and may lead (budget.h). The others go to the end, so that nobody stands behind those
 * whose share is used up. */
static void on_retry(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	struct link untried;
	struct link refused;
	link_move_all(&loop->waiting, &untried);
	for (unsigned i = 0; i < LOOP_RETRIES && !link_is_alone(&untried); i++) {
		struct session *session = LINK_OWNER(untried.next, struct session, waiting);
		link_remove(&session->waiting);
		assert(!session->closing);
		session_retry(session);
	}
	link_move_all(&loop->waiting, &refused);
	if (!link_is_alone(&refused)) {
		struct link *first = refused.next;
		link_remove(first);
		link_append(&loop->waiting, first);
	}
	link_append_all(&loop->waiting, &untried);
	link_append_all(&loop->waiting, &refused);
	if (link_is_alone(&loop->waiting)) {
		uv_timer_stop(timer);
	}
}

void loop_make_wait(struct loop *loop, struct session *session)
{
	loop_assert_here(loop);
	assert(!session->closing);
	if (link_is_alone(&session->waiting)) {
		link_append(&loop->waiting, &session->waiting);
	}
	if (!uv_is_active((uv_handle_t *)&loop->retry)) {
		uv_timer_start(&loop->retry, on_retry, LOOP_RETRY_MS, LOOP_RETRY_MS);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	uint64_t now_ms = uv_now(&loop->uv);
	bool cut = loop->stopping && now_ms >= loop->stop_at_ms;
	if (cut) {
		atomic_store(&loop->net->cut, true);
	}
	atomic_store_explicit(&loop->heartbeat_ms, now_ms, memory_order_relaxed);
	if (loop->number == 0) {
		users_forget_writes(&loop->net->users);
		guard_tick(loop->net, now_ms);
	}
	for (struct link *at = loop->sessions.next; at != &loop->sessions; at = at->next) {
		struct session *session = LINK_OWNER(at, struct session, all);
		if (cut) {
			session_close(session);
		} else {
			session_tick(session, now_ms);
		}
	}
}

void loop_release(struct loop *loop, struct session *session)
{
	loop_assert_here(loop);
	assert(session->loop == loop);
	assert(session->closed);
	assert(!link_is_alone(&session->all)); /* it is freed once */
	link_remove(&session->all);
	if (session->tls != NULL) {
		atomic_fetch_sub_explicit(&loop->tls_connections, 1, memory_order_relaxed);
	} else if (session->tcp) {
		atomic_fetch_sub_explicit(&loop->tcp_connections, 1, memory_order_relaxed);
	}
	loop->local_readers -= session->is_local_reader ? 1 : 0;
	session_free(session);
	const unsigned before =
		atomic_fetch_sub_explicit(&loop->connections, 1, memory_order_relaxed);
	assert(before > 0);
	end_if_done(loop);
}

/* ---- start and end ---- */

/* uv_run has returned: every session was released, and nobody adds one any more. */
static void assert_nothing_is_left(struct loop *loop)
{
	assert(loop->stopping);
	assert(link_is_alone(&loop->sessions));
	assert(link_is_alone(&loop->ready));
	assert(link_is_alone(&loop->waiting));
	assert(heap_first(&loop->expiries) == NULL);
	assert(loop->reply.len == 0);
	assert(loop->reply_reserved == 0);
	assert(atomic_load_explicit(&loop->connections, memory_order_relaxed) == 0);
	lock_take(&loop->lock);
	assert(link_is_alone(&loop->arrivals));
	assert(loop->returns.count == 0);
	lock_release(&loop->lock);
}

/* What the loop has done so far, as a number that grows with it. */
static uint64_t work_of(struct loop *loop)
{
	return counter_read(&loop->figures.bytes_in) + counter_read(&loop->figures.bytes_out);
}

/* Looks for something to do, without sleeping, until there was some or the time is over. False: no handle
 * is left. */
static bool look(struct loop *loop)
{
	const uint64_t before = work_of(loop);
	const uint64_t end_ns = uv_hrtime() + loop->spin.most_ns;
	bool is_alive = true;
	bool is_vain = true;
	while (is_alive && is_vain && uv_hrtime() < end_ns) {
		is_alive = uv_run(&loop->uv, UV_RUN_NOWAIT) != 0;
		is_vain = work_of(loop) == before;
	}
	spin_note_look(&loop->spin, is_vain);
	return is_alive;
}

/* Sleeps until there is something to do, and does it. False: no handle is left. */
static bool sleep_once(struct loop *loop)
{
	const uint64_t before = work_of(loop);
	const uint64_t slept_ns = uv_metrics_idle_time(&loop->uv);
	const bool is_alive = uv_run(&loop->uv, UV_RUN_ONCE) != 0;
	if (work_of(loop) != before) {
		spin_note_sleep(&loop->spin, uv_metrics_idle_time(&loop->uv) - slept_ns);
	}
	return is_alive;
}

static void run(struct loop *loop)
{
	if (loop->spin.most_ns == 0) {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		return;
	}
	(void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME); /* how long it sleeps */
	bool is_alive = true;
	while (is_alive) {
		is_alive = spin_wanted(&loop->spin) ? look(loop) : sleep_once(loop);
	}
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	slice_make_short();
	method_thread_begin();
	atomic_store_explicit(&loop->running, pthread_self(), memory_order_relaxed);
	loop->looked_ns = uv_hrtime();
	loop->looked_cpu_ns = cpu_time_ns();
	spin_init(&loop->spin, loop->net->limits.spin_us);
	run(loop);
	assert_nothing_is_left(loop);
	atomic_store_explicit(&loop->running, 0, memory_order_relaxed);
	method_thread_end();
	loop->ended = uv_loop_close(&loop->uv) == 0;
	loop->on_end(loop->on_end_arg);
	return NULL;
}

/* Frees the memory of a loop whose thread has ended, or was never started. */
static void fini(struct loop *loop)
{
	lock_fini(&loop->lock);
	wire_close(loop->parsed);
	wire_writer_fini(&loop->reply);
	while (sender_free_some(loop)) {
	}
	free(loop->spare);
	free(loop->records);
	free(loop->figures.methods);
	*loop = (struct loop){0};
}

static void close_handles(struct loop *loop)
{
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

/* Of these, uv_loop_init and uv_async_init alone can fail. */
static enum status open_handles(struct loop *loop, struct error *err)
{
	int failed = uv_loop_init(&loop->uv);
	if (failed != 0) {
		return error_set(err, status_of_errno(-failed), "start a worker: %s",
			file_reason(-failed));
	}
	uv_timer_init(&loop->uv, &loop->tick);
	uv_timer_init(&loop->uv, &loop->retry);
	uv_timer_init(&loop->uv, &loop->expire);
	uv_idle_init(&loop->uv, &loop->resume);
	uv_check_init(&loop->uv, &loop->turn_over);
	loop->tick.data = loop->retry.data = loop->resume.data = loop->turn_over.data = loop;
	loop->wake.data = loop->expire.data = loop;
	failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (failed != 0) {
		close_handles(loop);
		return error_set(err, status_of_errno(-failed), "start a worker: %s",
			file_reason(-failed));
	}
	atomic_store(&loop->heartbeat_ms, uv_now(&loop->uv));
	uv_check_start(&loop->turn_over, on_turn_over);
	uv_timer_start(&loop->tick, on_tick, LOOP_TICK_MS, LOOP_TICK_MS);
	return STATUS_OK;
}

/* The handles belong to the thread from here on. */
static enum status start_thread(struct loop *loop, struct error *err)
{
	const enum status status = thread_start(&loop->thread, loop_main, loop, "worker", err);
	if (status != STATUS_OK) {
		close_handles(loop);
	}
	return status;
}

enum status loop_start(struct loop *loop, unsigned number, struct net *net, void (*on_end)(void *),
	void *arg, struct error *err)
{
	assert(number < net->users.loops);
	*loop = (struct loop){.net = net, .number = number, .on_end = on_end, .on_end_arg = arg};
	link_init(&loop->sessions);
	link_init(&loop->ready);
	link_init(&loop->waiting);
	link_init(&loop->arrivals);
	lock_init(&loop->lock);
	loop->figures.methods = calloc(method_count + 1, sizeof *loop->figures.methods);
	const bool has_tls = net->credentials.context != NULL;
	loop->records = has_tls ? malloc(SESSION_TLS_LOOP_BYTES) : NULL;
	if (loop->figures.methods == NULL || (has_tls && loop->records == NULL)) {
		fini(loop);
		return error_set(err, STATUS_NO_MEMORY, "start a worker");
	}
	enum status status = open_handles(loop, err);
	if (status == STATUS_OK) {
		status = start_thread(loop, err);
	}
	if (status != STATUS_OK) {
		fini(loop);
	}
	return status;
}

enum status loop_join(struct loop *loop)
{
	if (loop->net == NULL) {
		return STATUS_OK;
	}
	pthread_join(loop->thread, NULL);
	bool ended = loop->ended;
	fini(loop);
	return ended ? STATUS_OK : STATUS_INTERNAL;
}
