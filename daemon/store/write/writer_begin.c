/* writer_begin.c - what a write waits for before it is applied, room and its turn; how it joins the group; and how it is
 * slowed then. */
#include "daemon/store/state/options.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/write/fullness.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>

enum {
	/* So long after a bound was reached writers no longer wait for a merge, and are told BUSY. */
	FULL_WAIT_MS = 5000,
	/* A table that cannot be merged keeps log files. When they have so many times log_bytes,
	 * nobody writes. */
	LOG_KEPT_MAX = 4,
	FULL_PAUSE_NS = 5 * 1000 * 1000,
	/* Who is slowed looks so often whether he still is. */
	SLOWED_PAUSE_NS = 5 * 1000 * 1000,
	/* And waits no longer, though nothing becomes free: then a bound is reached at last, and writes are BUSY. */
	SLOWED_MS_MAX = 1000,
};

/* A table that is damaged and so cannot be merged must not fill the disk with log files. */
static enum status check_log_kept(const struct writer *writer, struct error *err)
{
	const uint64_t bytes = redo_bytes(writer->redo);
	const uint64_t most = writer->store->options.write.log_bytes * LOG_KEPT_MAX;
	return bytes < most ? STATUS_OK
			    : error_set(err, STATUS_BUSY,
				      "the log's files have %" PRIu64 " bytes, at most %" PRIu64
				      " allowed: a table cannot be merged, see the journal",
				      bytes, most);
}

/* Waits while a bound is reached. The time is counted for all writers together: FULL_WAIT_MS after the
 * bound was reached nobody waits any more. */
static enum status wait_for_room(struct writer *writer, const struct stop *stop, struct error *err)
{
	enum status status = STATUS_OK;
	assert(!lock_is_held(&writer->apply_lock));
	const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};
	if (fullness_of(writer->store) >= FULLNESS_WAIT) {
		atomic_fetch_add(&writer->room_waits, 1);
	}
	while (fullness_of(writer->store) >= FULLNESS_WAIT) {
		const uint64_t now_ms = (uint64_t)clock_monotonic_ms();
		uint64_t since_ms = 0;
		if (atomic_compare_exchange_strong(&writer->full_since_ms, &since_ms, now_ms)) {
			since_ms = now_ms;
		}
		bell_ring(&writer->store->merge_bell);
		if (now_ms - since_ms >= FULL_WAIT_MS || atomic_load(&writer->store->stop)) {
			return error_set(err, STATUS_BUSY,
				"the log holds %" PRIu64 " bytes and the memtables %" PRIu64
				" rows, %" PRIu64 " bytes: wait for a merge",
				atomic_load(&writer->store->usage.log_bytes),
				atomic_load(&writer->store->usage.rows),
				atomic_load(&writer->store->usage.bytes));
		}
		status = stop_check(stop, err);
		if (status != STATUS_OK) {
			return status;
		}
		(void)nanosleep(&pause, NULL);
	}
	atomic_store(&writer->full_since_ms, 0);
	/* When more bytes of applied frames wait for the disk, the next write waits, since it would be
	 * committed no sooner. So as much waits at most, and one write (LIMIT_WRITE_BYTES). As much again
	 * is being committed. */
	writer_take_group(writer);
	while (writer->waiting_bytes > writer->waiting_max && status == STATUS_OK) {
		(void)condition_wait_until(&writer->settled, &writer->group_lock,
			stop_look_ms(stop));
		status = stop_check(stop, err);
	}
	lock_release(&writer->group_lock);
	return status;
}

enum status writer_check_room(struct writer *writer, size_t bytes, struct error *err)
{
	lock_assert_held(&writer->apply_lock);
	if (!atomic_load(&writer->disk_full)) {
		return STATUS_OK;
	}
	writer_take_group(writer);
	const enum status status = writer->first == NULL && !writer->committing
					   ? redo_has_room(writer->redo, bytes, err)
					   : STATUS_OK;
	lock_release(&writer->group_lock);
	return status;
}

static enum status check_read_only(struct writer *writer, struct error *err)
{
	return !atomic_load(&writer->read_only)
		       ? STATUS_OK
		       : error_set(err, STATUS_READ_ONLY,
				 "a sync of the log has failed, or somebody has removed its file; "
				 "nothing is written until a restart");
}

enum status writer_wait(struct writer *writer, const struct stop *stop, struct error *err)
{
	assert(!grace_is_inside()); /* it may wait for long */
	enum status status = wait_for_room(writer, stop, err);
	if (status == STATUS_OK) {
		status = check_log_kept(writer, err);
	}
	return status == STATUS_OK ? check_read_only(writer, err) : status;
}

enum status writer_begin(struct writer *writer, const struct stop *stop, struct error *err)
{
	enum status status = writer_wait(writer, stop, err);
	if (status != STATUS_OK) {
		return status;
	}
	writer_take_apply(writer);
	while (atomic_load(&writer->halting) > 0) {
		condition_wait(&writer->go, &writer->apply_lock);
	}
	status = check_read_only(writer, err);
	if (status == STATUS_OK) {
		status = stop_check(stop, err); /* the lock and the cut took their time */
	}
	if (status != STATUS_OK) {
		lock_release(&writer->apply_lock);
	}
	return status;
}

static uint64_t slowed_rate(const struct writer *writer)
{
	return slowing_rate(&writer->slowing, fullness_of(writer->store),
		atomic_load(&writer->store->usage.log_bytes), clock_monotonic_ns());
}

/* Who has written waits for it himself, in the one thread of the lane: so it counts as what his request has cost, and
 * others have the next turns. */
static void slow_down(struct writer *writer, uint64_t bytes)
{
	uint64_t rate = slowed_rate(writer);
	uint64_t last = 0;
	bool has_waited = false;
	if (rate != UINT64_MAX && bytes > 0) {
		last = slowing_use(&writer->slowing, bytes, rate, clock_monotonic_ns());
	}
	const uint64_t until_ns = clock_monotonic_ns() + SLOWED_MS_MAX * UINT64_C(1000000);
	while (last > 0 && rate != UINT64_MAX && !atomic_load(&writer->store->stop)) {
		const uint64_t now_ns = clock_monotonic_ns();
		const uint64_t wait_ns = slowing_wait_ns(&writer->slowing, last, rate, now_ns);
		if (wait_ns == 0) {
			return;
		}
		if (now_ns >= until_ns) {
			slowing_forgive(&writer->slowing, last);
			return;
		}
		if (!has_waited) {
			has_waited = true;
			atomic_fetch_add(&writer->slowed, 1);
		}
		const struct timespec pause = {
			.tv_nsec = wait_ns < SLOWED_PAUSE_NS ? (int64_t)wait_ns : SLOWED_PAUSE_NS};
		(void)nanosleep(&pause, NULL);
		rate = slowed_rate(writer);
	}
}

void writer_end(struct writer *writer, struct write_ticket *ticket)
{
	const uint64_t bytes = ticket == NULL ? 0 : ticket->head.bytes;
	lock_assert_held(&writer->apply_lock);
	if (ticket != NULL) {
		assert(ticket->next == NULL);
		assert(ticket->head.sequence == writer->next_sequence - 1);
		writer_take_group(writer);
		assert(!ticket->finished);
		if (writer->first == NULL) {
			writer->first = ticket;
		} else {
			writer->last->next = ticket;
		}
		writer->last = ticket;
		writer->waiting_bytes += ticket->head.bytes;
		condition_signal(&writer->work);
		lock_release(&writer->group_lock);
	}
	lock_release(&writer->apply_lock);
	if (fullness_of(writer->store) >= FULLNESS_BEGIN) {
		bell_ring(&writer->store->merge_bell);
	}
	slow_down(writer, bytes);
}
