/* state.c - what every part of a store asks of it: events, folders, the current snapshot. */
#include "daemon/store/state/state.h"

#include "daemon/store/state/reader.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/tensor/tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

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

void store_release_folder(const struct store *store, uint64_t number, char *out)
{
	/* store_open has checked that this fits. */
	(void)snprintf(out, PATH_MAX, "%.*s/releases/%" PRIu64, PATH_MAX - 40, store->folder,
		number);
}

const char *store_folder(const struct store *store)
{
	return store->folder;
}

const struct snapshot *snapshot_begin(struct store *store)
{
	grace_enter();
	return atomic_load_explicit(&store->current, memory_order_acquire);
}

uint64_t store_visible(struct store *store)
{
	return atomic_load_explicit(&store->visible, memory_order_acquire);
}

void snapshot_end(struct store *store)
{
	(void)store;
	grace_leave();
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
