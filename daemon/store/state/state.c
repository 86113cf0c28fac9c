/* state.c - what every part of a store asks of it: events, folders, the current snapshot. */
#include "daemon/store/state/state.h"

#include "daemon/store/catalog/current.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/tensor/tensor.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void store_event(struct store *store, const char *format, ...)
{
	if (store->options.on_event == NULL) {
		return;
	}
	char line[ERROR_TEXT_BYTES + 64];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	store->options.on_event(store->options.on_event_arg, line);
}

void store_call_refused(struct store *store, enum store_call call)
{
	static const struct {
		const char *name;
		const char *effect;
		const char *remedy;
	} calls[STORE_CALL_COUNT] = {
		[STORE_CALL_MINCORE] = {"mincore",
			"rows that the system took out of memory are read by the loops, which wait for "
			"the disk",
			"SystemCallFilter=mincore in the unit, or the like for the container"},
		[STORE_CALL_SETPRIORITY] = {"setpriority",
			"merges and index builds do not change their priority, so they hold up "
			"requests, or stay slow when writes wait",
			"LimitNICE=+0 and SystemCallFilter=@resources in the unit, or ulimit -e 20"},
	};
	const int number = errno;
	if ((atomic_fetch_or(&store->calls_refused, 1u << call) & 1u << call) == 0) {
		store_event(store,
			"event=call_refused call=%s error=\"%s\" effect=\"%s\" remedy=\"%s\"",
			calls[call].name, strerror(number), calls[call].effect, calls[call].remedy);
	}
}

enum status store_renew_current(struct store *store, const struct snapshot *snapshot,
	struct error *err)
{
	assert(lock_is_held(&store->admin_lock) || store->janitor == NULL);
	const enum status status = current_write(store->folder, snapshot, true, err);
	if (status == STATUS_OK) {
		atomic_fetch_add(&store->currents, 1);
	}
	return status;
}

void store_release_folder(const struct store *store, uint64_t number, char *out)
{
	assert(number != 0); /* that stands for no release */
	const int len = snprintf(out, PATH_MAX, "%.*s/releases/%" PRIu64, PATH_MAX - 40,
		store->folder, number);
	assert(len > 0);
	assert(len < PATH_MAX); /* store_open bounds the folder's name */
	(void)len;
}

const char *store_folder(const struct store *store)
{
	return store->folder;
}

/* ---- locks ---- */

void store_lock_tensor(struct store *store)
{
	assert(!lock_is_held(&store->admin_lock));
	assert(!lock_is_held(&store->load_lock));
	lock_take(&store->tensor_lock);
}

void store_unlock_tensor(struct store *store)
{
	lock_release(&store->tensor_lock);
}

void store_lock_admin(struct store *store)
{
	assert(!lock_is_held(&store->load_lock));
	lock_take(&store->admin_lock);
}

void store_unlock_admin(struct store *store)
{
	assert(!lock_is_held(&store->load_lock));
	lock_release(&store->admin_lock);
}

void store_lock_load(struct store *store)
{
	lock_take(&store->load_lock);
}

void store_unlock_load(struct store *store)
{
	lock_release(&store->load_lock);
}

enum status store_tensor_use(struct store *store, const struct release *release,
	struct tensor *tensor, bool may_block, struct error *err)
{
	char folder[PATH_MAX] = "";
	/* Once it is open nobody asks where it was. */
	if (atomic_load_explicit(&tensor->state, memory_order_acquire) == TENSOR_CLOSED) {
		store_release_folder(store, release->number, folder);
	}
	return tensor_use(tensor, folder, may_block, err);
}
