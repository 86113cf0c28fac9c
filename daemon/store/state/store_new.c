/* store_new.c - a store that has nothing open yet: its options with their defaults, its locks. */
#include "daemon/store/state/store_new.h"

#include "daemon/store/state/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value != 0 ? value : otherwise;
}

void write_options_complete(struct write_options *options)
{
	enum { DEFAULT_SYNC_MS = 1000, DEFAULT_AGE_MS = 3600000, DEFAULT_RATE = 100000000 };
	options->sync_interval_ms =
		(unsigned)or_default(options->sync_interval_ms, DEFAULT_SYNC_MS);
	options->log_bytes = or_default(options->log_bytes, UINT64_C(1) << 30);
	options->memtable_rows = or_default(options->memtable_rows, 1500000);
	options->memtable_bytes = or_default(options->memtable_bytes, UINT64_C(1) << 30);
	options->merge_age_ms = or_default(options->merge_age_ms, DEFAULT_AGE_MS);
	options->merge_rate = or_default(options->merge_rate, DEFAULT_RATE);
}

static void set_size_defaults(struct store_sizes *sizes)
{
	sizes->segment_bytes = or_default(sizes->segment_bytes, STORE_SEGMENT_BYTES);
	sizes->file_bytes = or_default(sizes->file_bytes, STORE_FILE_BYTES);
	sizes->range_bytes = or_default(sizes->range_bytes, STORE_RANGE_BYTES);
	sizes->range_rows = or_default(sizes->range_rows, STORE_RANGE_ROWS);
	sizes->delta_base_min = or_default(sizes->delta_base_min, STORE_DELTA_BASE_MIN);
	sizes->deltas_max = or_default(sizes->deltas_max, STORE_DELTAS_MAX);
	sizes->delta_share = or_default(sizes->delta_share, STORE_DELTA_SHARE);
	sizes->deltas_share = or_default(sizes->deltas_share, STORE_DELTAS_SHARE);
	assert(sizes->deltas_max < TABLE_LEVELS_MAX);
	sizes->index_rows_min = or_default(sizes->index_rows_min, STORE_INDEX_ROWS_MIN);
	sizes->index_retry_ms = or_default(sizes->index_retry_ms, STORE_INDEX_RETRY_MS);
	sizes->index_time_ms = or_default(sizes->index_time_ms, STORE_INDEX_TIME_MS);
	sizes->index_memory = or_default(sizes->index_memory, STORE_INDEX_MEMORY);
	sizes->look_ms = or_default(sizes->look_ms, STORE_LOOK_MS);
	sizes->first_look_ms = or_default(sizes->first_look_ms, STORE_FIRST_LOOK_MS);
	assert(sizes->segment_bytes <= sizes->file_bytes); /* a segment fits a file */
}

enum status store_new(const struct store_options *options, struct store **out, struct error *err)
{
	size_t len = strlen(options->folder);
	while (len > 1 && options->folder[len - 1] == '/') {
		len--; /* or a link in its place would be followed */
	}
	if (len >= PATH_MAX - 128) {
		return error_set(err, STATUS_TOO_LARGE, "data folder: its path is over %d bytes",
			PATH_MAX - 128);
	}
	struct store *store = calloc(1, sizeof *store);
	if (store == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "open '%s'", options->folder);
	}
	memcpy(store->folder, options->folder, len);
	store->options = *options;
	write_options_complete(&store->options.write);
	set_size_defaults(&store->options.sizes);
	lock_init(&store->admin_lock);
	lock_init(&store->load_lock);
	lock_init(&store->tensor_lock);
	lock_init(&store->pin_lock);
	link_init(&store->table_counts);
	bell_init(&store->merge_bell);
	bell_init(&store->index_bell);
	arena_stock_init(&store->stock);
	store->usage.stock = &store->stock;
	*out = store;
	return STATUS_OK;
}

void store_free(struct store *store)
{
	lock_fini(&store->admin_lock);
	lock_fini(&store->load_lock);
	lock_fini(&store->tensor_lock);
	lock_fini(&store->pin_lock);
	bell_fini(&store->merge_bell);
	bell_fini(&store->index_bell);
	arena_stock_fini(&store->stock);
	free(store);
}
