/* memtable_stream.c - goes through the order of writing, and passes over what is not the newest. */
#include "daemon/store/memtable/memtable_stream.h"

#include "daemon/store/memtable/generation.h"
#include "daemon/store/system/grace.h"

/* The memory of so many rows is asked for before the first of them is read. */
enum { AHEAD = 16 };

void memtable_stream_begin(const struct memtable *memtable, uint64_t visible,
	struct memtable_stream *stream)
{
	assert(grace_is_inside());
	/* The order matters: see memtable_find. */
	const struct generation *active =
		atomic_load_explicit(&memtable->active, memory_order_acquire);
	const struct generation *frozen =
		atomic_load_explicit(&memtable->frozen, memory_order_acquire);
	*stream = (struct memtable_stream){.visible = visible};
	stream->generations[0] = active;
	stream->generations[1] = frozen == active ? NULL : frozen;
	for (size_t i = 0; i < 2; i++) {
		if (stream->generations[i] != NULL) {
			/* What is visible was written before `visible` was moved. */
			stream->ends[i] = generation_written(stream->generations[i]);
		}
	}
}

/* Asks for what tells whether a row is the newest: its entry, and the head of its version. The rows
 * behind it follow in memory. */
static void prefetch(const struct generation *generation, uint64_t place, uint64_t end)
{
	if (place < end) {
		const struct memtable_row *row = generation_place(generation, place);
		__builtin_prefetch(row->entry);
		__builtin_prefetch(row->version);
	}
}

size_t memtable_stream_next(struct memtable_stream *stream, struct memtable_row *out, size_t most)
{
	size_t count = 0;
	for (size_t i = 0; i < 2; i++) {
		const struct generation *generation = stream->generations[i];
		uint64_t place = stream->nexts[i];
		for (; place < stream->ends[i] && count < most; place++) {
			const struct memtable_row *row = generation_place(generation, place);
			prefetch(generation, place + AHEAD, stream->ends[i]);
			/* One that was superseded or taken back is not what its entry leads to. */
			if (!row->version->deleted &&
				entry_version(row->entry, stream->visible) == row->version) {
				out[count++] = *row;
			}
		}
		stream->nexts[i] = place;
	}
	return count;
}

bool memtable_stream_skip(struct memtable_stream *stream, uint64_t generation, uint64_t from,
	uint64_t end)
{
	for (size_t i = 0; i < 2; i++) {
		if (stream->generations[i] != NULL &&
			stream->generations[i]->number == generation) {
			const bool is_next = stream->nexts[i] == from && end <= stream->ends[i];
			stream->nexts[i] = is_next ? end : stream->nexts[i];
			return is_next;
		}
	}
	return false;
}

bool memtable_stream_is_behind(const struct memtable_stream *stream,
	const struct memtable_entry *entry)
{
	const struct generation *newer = stream->generations[0];
	if (newer == NULL || stream->generations[1] == NULL) {
		return false;
	}
	const struct memtable_entry *other =
		generation_find(newer, entry->hash, entry->key, entry->key_len);
	return other != NULL && other != entry && entry_version(other, stream->visible) != NULL;
}

uint64_t memtable_stream_left(const struct memtable_stream *stream)
{
	return stream->ends[0] - stream->nexts[0] + stream->ends[1] - stream->nexts[1];
}
