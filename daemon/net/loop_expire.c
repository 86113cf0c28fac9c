/* loop_expire.c - answers in time the requests that a lane has not begun. */
#include "daemon/net/loop.h"

#include "daemon/net/lane.h"
#include "daemon/net/session.h"

static void on_expire(uv_timer_t *timer);

/* Lets the timer run until the first request expires. */
static void set_timer(struct loop *loop)
{
	const struct heap_node *first = heap_first(&loop->expiries);
	const uint64_t now_ms = uv_now(&loop->uv);
	if (first == NULL) {
		uv_timer_stop(&loop->expire);
	} else {
		uv_timer_start(&loop->expire, on_expire,
			first->key > now_ms ? first->key - now_ms : 0, 0);
	}
}

/* A request that runs already, or has run, is answered by who runs it. */
static void on_expire(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	loop_assert_here(loop);
	for (unsigned i = 0; i < LOOP_EXPIRIES; i++) {
		struct heap_node *first = heap_first(&loop->expiries);
		if (first == NULL || first->key > uv_now(&loop->uv)) {
			break;
		}
		struct request *request = HEAP_OWNER(first, struct request, expiry);
		heap_remove(first);
		if (lane_withdraw(request->lane, request)) {
			request_expire(request);
			session_finish(request->session, request);
		}
	}
	set_timer(loop);
}

void loop_expect(struct loop *loop, struct request *request)
{
	loop_assert_here(loop);
	const uint64_t expires_ms = request_expires_ms(request);
	if (expires_ms == UINT64_MAX) {
		return;
	}
	request->expiry.key = expires_ms;
	heap_push(&loop->expiries, &request->expiry);
	if (heap_first(&loop->expiries) == &request->expiry) {
		set_timer(loop);
	}
}

void loop_expect_no_more(struct loop *loop, struct request *request)
{
	loop_assert_here(loop);
	heap_remove(&request->expiry);
}
