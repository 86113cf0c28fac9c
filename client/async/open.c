/* open.c - a client for event loops is opened and closed. */
#include "client/async/async.h"
#include "client/async/calls.h"
#include "client/async/side.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/reserved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { SEND_BYTES_MAX = 64 << 20 };

static enum status check_more(const struct rep_async_options *more, struct error *err)
{
	if (!(more->hedge_share >= 0 && more->hedge_share <= 1)) {
		return error_set(err, STATUS_BAD_REQUEST, "hedge_share: %g given, 0 to 1 allowed",
			more->hedge_share);
	}
	return RESERVED_CHECK("rep_async_options", more, err);
}

static enum status add_place(rep_async *async, const char *text, struct error *err)
{
	struct peer_place *place = &async->places[async->places_count];
	const enum status status = address_resolve(text, &place->address, err);
	place->text = text;
	async->places_count += status == STATUS_OK;
	return status;
}

static enum status add_places(rep_async *async, const struct rep_async_options *more,
	struct error *err)
{
	const struct options *options = &async->options;
	async->places = calloc(options->addresses_count + 1, sizeof *async->places);
	if (async->places == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a client");
	}
	enum status status = STATUS_OK;
	for (size_t i = 0; i < options->addresses_count; i++) {
		status = add_place(async, options->addresses[i], err);
		/* A host that nobody knows is passed over, as one that does not answer. */
		if (status != STATUS_OK && status != STATUS_IO) {
			return status;
		}
	}
	status = async->places_count > 0 ? STATUS_OK : status;
	if (status == STATUS_OK && more->hedge != NULL) {
		async->hedge_address = strdup(more->hedge);
		status = async->hedge_address != NULL
				 ? add_place(async, async->hedge_address, err)
				 : error_set(err, STATUS_NO_MEMORY, "no memory for a client");
		async->has_hedge = status == STATUS_OK;
	}
	return status;
}

static enum status open_descriptors(rep_async *async, struct error *err)
{
	async->epoll = epoll_create1(EPOLL_CLOEXEC);
	async->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	if (async->epoll < 0 || async->timer < 0 ||
		epoll_ctl(async->epoll, EPOLL_CTL_ADD, async->timer, &event) != 0) {
		return error_set(err, status_of_errno(errno), "a descriptor to poll: %s",
			strerror(errno));
	}
	return STATUS_OK;
}

static void init_side(struct async_side *side)
{
	link_init(&side->queue);
	link_init(&side->owed);
	link_init(&side->borrowing);
}

static void init(rep_async *async, const struct rep_async_options *more)
{
	*async = (struct rep_async){.epoll = -1, .timer = -1};
	async->request.can_limit = true; /* a daemon that cannot is refused */
	async->send_bytes_max = more->send_bytes != 0 ? more->send_bytes : SEND_BYTES_MAX;
	async->armed_us = CLOCK_NEVER_US;
	async->due_us = CLOCK_NEVER_US;
	link_init(&async->idle);
	link_init(&async->done);
	link_init(&async->may_hedge);
	for (size_t i = 0; i < ASYNC_PEERS; i++) {
		init_side(&async->sides[i]);
	}
	hedge_init(&async->hedge, more->hedge_share, more->hedge_floor_us);
}

static enum status open_parts(rep_async *async, const struct rep_options *options,
	const struct rep_async_options *more, struct error *err)
{
	enum status status = check_more(more, err);
	if (status == STATUS_OK) {
		status = options_read(options, &async->options, err);
	}
	if (status == STATUS_OK) {
		status = add_places(async, more, err);
	}
	if (status == STATUS_OK) {
		status = open_descriptors(async, err);
	}
	return status;
}

enum rep_status rep_async_open(const struct rep_options *options,
	const struct rep_async_options *more, rep_async **out, struct rep_error *rep_err)
{
	static const struct rep_async_options none;
	struct error *err = client_error(rep_err);
	rep_async *async = malloc(sizeof *async);
	if (async == NULL) {
		return (enum rep_status)error_set(err, STATUS_NO_MEMORY, "no memory for a client");
	}
	more = more != NULL ? more : &none;
	init(async, more);
	const enum status status = open_parts(async, options, more, err);
	const size_t mains = async->places_count - async->has_hedge;
	const unsigned dial_ms = async->options.connect_timeout_ms;
	async->request.timeout_ms = async->options.timeout_ms;
	peer_init(&async->sides[ASYNC_MAIN].peer, async->epoll, async->places, mains, dial_ms);
	peer_init(&async->sides[ASYNC_HEDGE].peer, async->epoll, async->places + mains,
		async->has_hedge, dial_ms);
	for (size_t i = 0; i < ASYNC_PEERS; i++) {
		peer_secure(&async->sides[i].peer, &async->options.secure);
		async->sides[i].peer.client = async->options.client;
	}
	if (status != STATUS_OK) {
		rep_async_close(async);
		return (enum rep_status)status;
	}
	async_connect(async);
	*out = async;
	return REP_OK;
}

void rep_async_close(rep_async *async)
{
	if (async == NULL) {
		return;
	}
	calls_fini(async);
	for (size_t i = 0; i < ASYNC_PEERS; i++) {
		peer_fini(&async->sides[i].peer);
	}
	for (size_t i = 0; i < async->places_count; i++) {
		address_fini(&async->places[i].address);
	}
	free(async->places);
	free(async->hedge_address);
	options_fini(&async->options);
	request_fini(&async->request);
	if (async->epoll >= 0) {
		close(async->epoll);
	}
	if (async->timer >= 0) {
		close(async->timer);
	}
	free(async);
}
