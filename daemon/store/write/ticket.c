/* ticket.c - how a write that was applied learns its outcome. */
#include "daemon/store/write/write.h"
#include "daemon/store/write/writer.h"

#include <assert.h>
#include <stdlib.h>

void writer_finish(struct writer *writer, struct write_ticket *tickets, const struct error *err)
{
	assert(!lock_is_held(&writer->apply_lock)); /* `done` is somebody else's code */
	while (tickets != NULL) {
		struct write_ticket *ticket = tickets;
		tickets = ticket->next;
		writer_take_group(writer);
		assert(!ticket->finished);
		ticket->outcome = *err;
		ticket->finished = true;
		const bool asked = ticket->done != NULL;
		lock_release(&writer->group_lock);
		if (asked) {
			ticket->done(ticket->done_arg, err->status, err);
			free(ticket);
		}
	}
}

void store_write_then(struct write_ticket *ticket, write_done_fn *done, void *arg)
{
	struct writer *writer = ticket->writer;
	writer_take_group(writer);
	assert(ticket->done == NULL); /* asked once */
	const bool finished = ticket->finished;
	if (!finished) {
		ticket->done_arg = arg;
		ticket->done = done;
	}
	lock_release(&writer->group_lock);
	if (finished) {
		done(arg, ticket->outcome.status, &ticket->outcome);
		free(ticket);
	}
}

/* Of store_write_wait. */
struct waiter {
	struct lock lock;
	struct condition wake;
	bool done;
	struct error err;
};

static void on_waited(void *arg, enum status status, const struct error *err)
{
	struct waiter *waiter = arg;
	lock_take(&waiter->lock);
	waiter->err = *err;
	waiter->err.status = status;
	waiter->done = true;
	condition_signal(&waiter->wake);
	lock_release(&waiter->lock);
}

enum status store_write_wait(struct write_ticket *ticket, struct error *err)
{
	struct waiter waiter = {.done = false};
	lock_init(&waiter.lock);
	condition_init(&waiter.wake);
	store_write_then(ticket, on_waited, &waiter);
	lock_take(&waiter.lock);
	while (!waiter.done) {
		condition_wait(&waiter.wake, &waiter.lock);
	}
	lock_release(&waiter.lock);
	condition_fini(&waiter.wake);
	lock_fini(&waiter.lock);
	if (waiter.err.status != STATUS_OK && err != NULL) {
		*err = waiter.err;
	}
	return waiter.err.status;
}
