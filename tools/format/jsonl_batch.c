/* jsonl_batch.c - rows that were read from JSON lines, in columns. */
#include "tools/format/jsonl_row.h"

void jsonl_batch_clear(struct jsonl_batch *batch)
{
	batch->count = 0;
	batch->keys.len = 0;
	batch->rows.len = 0;
	batch->scales.len = 0;
	batch->times.len = 0;
	batch->tags.len = 0;
	batch->weights.len = 0;
	batch->counts.len = 0;
	batch->history_times.len = 0;
}

void jsonl_batch_fini(struct jsonl_batch *batch)
{
	buffer_fini(&batch->keys);
	buffer_fini(&batch->rows);
	buffer_fini(&batch->scales);
	buffer_fini(&batch->times);
	buffer_fini(&batch->tags);
	buffer_fini(&batch->weights);
	buffer_fini(&batch->counts);
	buffer_fini(&batch->history_times);
}

static const void *column_of(const struct buffer *buffer)
{
	return buffer->len > 0 ? buffer->data : NULL;
}

void jsonl_batch_rows(const struct jsonl_batch *batch, struct rep_rows *out)
{
	*out = (struct rep_rows){
		.keys = {batch->key_type, batch->count, batch->keys.data, batch->keys.len},
		.dtype = batch->dtype,
		.rows = batch->rows.data,
		.scales = column_of(&batch->scales),
		.times = column_of(&batch->times),
		.tags = column_of(&batch->tags),
		.weights = column_of(&batch->weights),
		.history = batch->counts.len > 0 ? batch->history : 0,
		.history_counts = column_of(&batch->counts),
		.history_times = column_of(&batch->history_times),
	};
}
