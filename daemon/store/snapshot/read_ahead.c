/* read_ahead.c - what is away of a batch's keys is read block by block, several blocks at once. */
#include "daemon/store/snapshot/read_ahead.h"

#include "daemon/store/base/find.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/system/stop.h"
#include "daemon/store/system/thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A batch whose blocks are read. */
struct ahead {
	const struct table *table;        /* borrowed, as the next */
	const struct keys *keys;          /* of the table's key type */
	const struct row_version **known; /* owned: of each key what the memtable has */
	uint64_t *hashes;                 /* owned: of each key */
	unsigned wants;
	const struct stop *stop;
	atomic_uint next; /* the first key of the next block */
};

static uint32_t block_at(const struct keys *keys, uint32_t first)
{
	const uint32_t left = keys->count - first;
	return left < FIND_BLOCK ? left : FIND_BLOCK;
}

static void find_known(struct ahead *ahead, uint64_t visible)
{
	const struct table *table = ahead->table;
	struct memtable_question question = {
		.keys = ahead->keys,
		.visible = visible,
		.row_bytes = spec_stored_bytes(&table->spec),
	};
	for (uint32_t first = 0; first < ahead->keys->count; first += FIND_BLOCK) {
		const uint32_t count = block_at(ahead->keys, first);
		question.hashes = ahead->hashes + first;
		keys_hash(ahead->keys, &table->seed, first, count, ahead->hashes + first);
		memtable_find(table->memtable, &question, first, count, ahead->known + first);
	}
}

/* Finds a block of keys, so that their pages are read. */
static enum status find_block(const struct ahead *ahead, uint32_t first, bool may_block)
{
	struct found_row rows[FIND_BLOCK];
	const struct find find = {
		.keys = ahead->keys,
		.hashes = ahead->hashes + first,
		.known = ahead->known + first,
		.wants = ahead->wants,
		.may_block = may_block,
	};
	return table_find_rows(ahead->table, &find, first, block_at(ahead->keys, first), rows);
}

/* Reads blocks until none is left. */
static void *read_blocks(void *arg)
{
	struct ahead *ahead = arg;
	uint32_t first;
	while (stop_check(ahead->stop, NULL) == STATUS_OK &&
		(first = atomic_fetch_add(&ahead->next, FIND_BLOCK)) < ahead->keys->count) {
		(void)find_block(ahead, first, true);
	}
	return NULL;
}

/* Reads the blocks from `first` on. */
static void read_from(struct ahead *ahead, uint32_t first)
{
	pthread_t helpers[READ_AHEAD_THREADS - 1];
	const uint32_t blocks = (ahead->keys->count - first + FIND_BLOCK - 1) / FIND_BLOCK;
	unsigned started = 0;
	atomic_store(&ahead->next, first);
	while (started < READ_AHEAD_THREADS - 1 && started + 1 < blocks &&
		thread_start(&helpers[started], read_blocks, ahead, "read-ahead", NULL) ==
			STATUS_OK) {
		started++;
	}
	(void)read_blocks(ahead);
	for (unsigned i = 0; i < started; i++) {
		(void)pthread_join(helpers[i], NULL);
	}
}

/* Reads what is away, from the first block on that has some. */
static void read_away(struct ahead *ahead)
{
	for (uint32_t first = 0; first < ahead->keys->count; first += FIND_BLOCK) {
		if (find_block(ahead, first, false) == STATUS_AGAIN) {
			read_from(ahead, first);
			return;
		}
	}
}

void table_read_ahead(const struct table *table, const struct keys *keys, uint64_t visible,
	unsigned wants, const struct stop *stop)
{
	struct ahead ahead = {.table = table, .keys = keys, .wants = wants, .stop = stop};
	assert(keys->type == table->spec.key_type);
	if (table_is_at_hand(table)) {
		return;
	}
	ahead.known = calloc((size_t)keys->count + 1, sizeof(struct row_version *));
	ahead.hashes = malloc(((size_t)keys->count + 1) * sizeof *ahead.hashes);
	if (ahead.known != NULL && ahead.hashes != NULL) {
		find_known(&ahead, visible);
		read_away(&ahead);
	}
	free(ahead.hashes);
	free(ahead.known);
}
