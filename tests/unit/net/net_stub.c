/* net_stub.c - the methods of the test. */
#include "tests/unit/net/net_fixture.h"

#include "daemon/method/call/method.h"
#include "tests/unit/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct net_stub net_stub;

static uint64_t argument(const struct call *call)
{
	uint64_t n = 0;
	wire_uint(wire_get(call->params, "n"), &n);
	return n;
}

static enum status ping(struct call *call)
{
	atomic_fetch_add(&net_stub.pings, 1);
	wire_write_map(call->out, 0);
	return STATUS_OK;
}

static enum status bytes(struct call *call)
{
	size_t n = (size_t)argument(call);
	uint8_t *space = wire_write_bin_space(call->out, n);
	if (space != NULL) {
		memset(space, 7, n);
	}
	return STATUS_OK;
}

static uint64_t cpu_time_us(void)
{
	struct timespec now;
	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static enum status burn(struct call *call)
{
	const uint64_t end_us = cpu_time_us() + argument(call);
	atomic_fetch_add(&net_stub.burns, 1);
	while (cpu_time_us() < end_us) {
	}
	wire_write_map(call->out, 0);
	return STATUS_OK;
}

static enum status crowd(struct call *call)
{
	if (call->cost.is_crowded) {
		return STATUS_AGAIN;
	}
	wire_write_bool(call->out, call->may_block);
	return STATUS_OK;
}

static enum status again(struct call *call)
{
	if (!call->may_block) {
		return STATUS_AGAIN;
	}
	wire_write_bool(call->out, true);
	return STATUS_OK;
}

static enum status fail_late(struct call *call)
{
	wire_write_array(call->out, 3);
	return error_set(&call->error, STATUS_NOT_FOUND, "nothing is here");
}

/* Leaves no room for the error of the call, whatever stands before it in the writer. */
static enum status starve(struct call *call)
{
	call->out->data = realloc(call->out->data, call->out->len);
	call->out->cap = call->out->len;
	alloc_fail_arm(0);
	return error_set(&call->error, STATUS_NOT_FOUND, "nothing is here, nor memory to say so");
}

static void pass_gate(atomic_uint *entered)
{
	atomic_store(&net_stub.last_tid, (unsigned)gettid());
	atomic_fetch_add(entered, 1);
	while (sem_wait(&net_stub.gate) != 0 && errno == EINTR) {
	}
}

static enum status gate(struct call *call)
{
	pass_gate(&net_stub.gate_entered);
	wire_write_map(call->out, 0);
	return STATUS_OK;
}

static enum status search(struct call *call)
{
	if (!call->may_block) {
		return STATUS_AGAIN;
	}
	const uint64_t n = argument(call);
	const unsigned number = atomic_fetch_add(&net_stub.search_numbers, 1);
	if (number < NET_STUB_SEARCHES) {
		atomic_store(&net_stub.searches[number], n);
	}
	pass_gate(&net_stub.search_count);
	wire_write_uint(call->out, n);
	return STATUS_OK;
}

static enum status write_number(struct call *call)
{
	uint64_t n = argument(call);
	atomic_fetch_add(&net_stub.writes, 1);
	if (n == 0) {
		return error_set(&call->error, STATUS_BAD_REQUEST, "n: 0 given");
	}
	if (atomic_exchange(&net_stub.write_order, n) >= n) {
		atomic_store(&net_stub.out_of_order, true);
	}
	wire_write_uint(call->out, n);
	return STATUS_OK;
}

const struct method method_table[] = {
	{"admin", METHOD_ADMIN, ROLE_ADMIN, ping, NULL},
	{"again", METHOD_INLINE, ROLE_READ, again, NULL},
	{"burn", METHOD_INLINE, ROLE_READ, burn, NULL},
	{"bytes", METHOD_INLINE, ROLE_READ, bytes, NULL},
	{"crowd", METHOD_INLINE, ROLE_READ, crowd, NULL},
	{"fail", METHOD_INLINE, ROLE_READ, fail_late, NULL},
	{"gate", METHOD_POOL, ROLE_READ, gate, NULL},
	{"heavy", METHOD_POOL, ROLE_READ, bytes, NULL},
	{"operate", METHOD_OPERATOR, ROLE_READ, ping, NULL},
	{"ping", METHOD_INLINE, ROLE_ANYBODY, ping, NULL},
	{"put", METHOD_WRITE, ROLE_WRITE, write_number, NULL},
	{"seal", METHOD_SEAL, ROLE_WRITE, ping, NULL},
	{"search", METHOD_SEARCH, ROLE_READ, search, NULL},
	{"starve", METHOD_INLINE, ROLE_READ, starve, NULL},
	{"write", METHOD_LOAD, ROLE_WRITE, write_number, NULL},
};
const size_t method_count = sizeof method_table / sizeof method_table[0];

const struct method *method_find(const char *name, size_t len)
{
	for (size_t i = 0; i < method_count; i++) {
		const char *known = method_table[i].name;
		if (strlen(known) == len && memcmp(known, name, len) == 0) {
			return &method_table[i];
		}
	}
	return NULL;
}

enum status method_load_sync(struct service *service, struct error *err)
{
	(void)service;
	atomic_fetch_add(&net_stub.syncs, 1);
	if (atomic_load(&net_stub.sync_fails)) {
		return error_set(err, STATUS_IO, "the disk is gone");
	}
	return STATUS_OK;
}

bool method_load_is_full(struct service *service)
{
	(void)service;
	return false;
}

bool method_write_is_crowded(struct service *service)
{
	return service != NULL && atomic_load(&net_stub.crowded);
}

void method_write_then(struct write_ticket *ticket,
	void (*done)(void *arg, enum status status, const struct error *err), void *arg)
{
	(void)ticket;
	(void)done;
	(void)arg;
	abort(); /* no method here has one */
}

void method_thread_begin(void)
{
}

void method_thread_end(void)
{
}
