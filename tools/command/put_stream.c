/* put_stream.c - keeps the rows of puts until they are acknowledged. */
#include "tools/command/put_stream.h"

#include "tools/command/progress.h"
#include "tools/format/buffer.h"
#include "tools/format/interrupt.h"
#include "tools/format/source.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PUT_BYTES = 1 << 20,
	PUT_ROWS_MAX = 65536,
	IN_FLIGHT_MAX = 16,
	PAUSE_MS_MIN = 10,
	PAUSE_MS_MAX = 1000,
};

/* The rows of one put, which may have to be sent again. */
struct slot {
	struct buffer buffer; /* all columns */
	struct rep_rows rows;
};

/* Puts are numbered as they are read. Puts [first, read) are in the ring of slots. */
struct run {
	const struct put_stream *stream;
	struct put_outcome *out;
	struct slot slots[IN_FLIGHT_MAX];
	uint64_t first;        /* the oldest that is not acknowledged */
	uint64_t sent;         /* the next to send: [first, sent) are under way */
	uint64_t read;         /* the next to read */
	bool ended;            /* the source has no more */
	struct rep_error why;  /* the error that ended the source, or REP_OK */
	int64_t busy_since_ms; /* 0: the last answer was not BUSY */
	unsigned pause_ms;
	struct progress progress;
};

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct slot *slot_at(struct run *run, uint64_t number)
{
	assert(number >= run->first && number - run->first < IN_FLIGHT_MAX);
	return &run->slots[number % IN_FLIGHT_MAX];
}

uint32_t put_stream_rows(const struct rep_table_spec *spec)
{
	/* A table of bits takes only bits; of the dtypes that others take f32 is the widest. */
	enum rep_dtype dtype = spec->dtype == REP_BIT ? REP_BIT : REP_F32;
	size_t row_bytes = rep_row_bytes(dtype, spec->dim, spec->views);
	size_t rows = row_bytes > 0 ? PUT_BYTES / row_bytes : 1;
	if (rows > PUT_ROWS_MAX) {
		return PUT_ROWS_MAX;
	}
	return rows > 0 ? (uint32_t)rows : 1;
}

/* ---- reading ---- */

/* Copies a column into room that was made for it. */
static const void *keep_column(struct buffer *buffer, const void *data, size_t len)
{
	if (data == NULL) {
		return NULL;
	}
	void *copy = buffer->data + buffer->len;
	memcpy(copy, data, len);
	buffer->len += len;
	return copy;
}

/* Copies rows, for the source reuses their memory. False: no memory. */
static bool keep_rows(struct slot *slot, const struct rep_rows *rows, size_t rows_bytes)
{
	size_t count = rows->keys.count;
	struct buffer *buffer = &slot->buffer;
	buffer->len = 0;
	const size_t place_bytes = count * rows->history * sizeof *rows->history_times;
	if (buffer_room(buffer, count * (8 + 8 + 8 + 4 + 4) + place_bytes + rows->keys.bytes +
					rows_bytes) == NULL) {
		return false;
	}
	/* The columns with the widest elements come first, so each is aligned. */
	slot->rows = *rows;
	slot->rows.times = keep_column(buffer, rows->times, count * sizeof *rows->times);
	slot->rows.tags = keep_column(buffer, rows->tags, count * sizeof *rows->tags);
	slot->rows.history_times = keep_column(buffer, rows->history_times, place_bytes);
	slot->rows.weights = keep_column(buffer, rows->weights, count * sizeof *rows->weights);
	slot->rows.history_counts =
		keep_column(buffer, rows->history_counts, count * sizeof *rows->history_counts);
	slot->rows.scales = keep_column(buffer, rows->scales, count * sizeof *rows->scales);
	slot->rows.rows = keep_column(buffer, rows->rows, rows_bytes);
	slot->rows.rows_bytes = rows_bytes;
	slot->rows.keys.data = keep_column(buffer, rows->keys.data, rows->keys.bytes);
	return true;
}

/* Reads the rows of the next put. A source that fails counts as ended; rows that it has given
 * before are still put. */
static void read_rows(struct run *run)
{
	const struct put_stream *stream = run->stream;
	struct rep_rows rows = {0};
	struct error why = {0};
	enum status status = interrupt_seen() ? error_set(&why, STATUS_CLOSED, "interrupted")
					      : stream->source->next(stream->source, &rows, &why);
	if (status != STATUS_OK) {
		run->out->input_wrong = !interrupt_seen();
	} else if (rows.keys.count > 0) {
		size_t row_bytes =
			rep_row_bytes(rows.dtype, stream->spec->dim, stream->spec->views);
		rows.if_newer = stream->if_newer;
		if (!keep_rows(slot_at(run, run->read), &rows, rows.keys.count * row_bytes)) {
			status = error_set(&why, STATUS_NO_MEMORY,
				"no memory for the rows of a put");
		} else {
			status = mapping_check(&why);
		}
		if (status == STATUS_OK) {
			run->read++;
			return;
		}
	}
	run->ended = true;
	run->why.status = (enum rep_status)status;
	memcpy(run->why.text, why.text, sizeof run->why.text);
}

/* ---- sending and receiving ---- */

/* Sends all puts that were read, but only one at a time while the daemon is busy. */
static enum rep_status send_rows(struct run *run, struct rep_error *err)
{
	const struct put_stream *stream = run->stream;
	uint64_t end = run->busy_since_ms == 0 ? run->read : run->first + 1;
	assert(run->first <= run->sent && run->sent <= run->read && end <= run->read);
	while (run->sent < end) {
		enum rep_status status = rep_put_send(stream->client, stream->release,
			stream->table, &slot_at(run, run->sent)->rows, err);
		if (status != REP_OK) {
			return status;
		}
		run->sent++;
	}
	return REP_OK;
}

/* Goes back to the oldest put, which was refused. Puts behind it may have been applied already;
 * they are sent again, so that they come after it. */
static enum rep_status go_back(struct run *run, struct rep_error *err)
{
	int64_t now = now_ms();
	if (run->busy_since_ms == 0) {
		run->busy_since_ms = now;
		run->pause_ms = PAUSE_MS_MIN;
	}
	if (now - run->busy_since_ms >= run->stream->busy_ms || interrupt_seen()) {
		return REP_BUSY;
	}
	for (uint64_t i = run->first + 1; i < run->sent; i++) {
		struct rep_error why = {0};
		struct rep_written written = {0};
		enum rep_status status = rep_write_receive(run->stream->client, &written, &why);
		/* With if_newer a row that was applied now is not applied again when it is sent
		 * again, so it is counted here. */
		run->out->applied += run->stream->if_newer ? written.count : 0;
		if (status != REP_OK && status != REP_BUSY) {
			*err = why;
			return status;
		}
	}
	run->sent = run->first;
	const struct timespec pause = {.tv_sec = run->pause_ms / 1000,
		.tv_nsec = (int64_t)(run->pause_ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
	run->pause_ms *= 2;
	if (run->pause_ms > PAUSE_MS_MAX) {
		run->pause_ms = PAUSE_MS_MAX;
	}
	return REP_OK;
}

/* Takes the answer to the oldest put. */
static enum rep_status receive_one(struct run *run, struct rep_error *err)
{
	struct source *source = run->stream->source;
	struct rep_written written = {0};
	assert(run->first < run->sent);
	enum rep_status status = rep_write_receive(run->stream->client, &written, err);
	if (status == REP_BUSY) {
		return go_back(run, err);
	}
	if (status != REP_OK) {
		return status;
	}
	run->busy_since_ms = 0;
	run->out->rows += slot_at(run, run->first)->rows.keys.count;
	run->out->applied += written.count;
	run->out->puts++;
	run->out->sequence = written.sequence;
	run->first++;
	progress_update(&run->progress, source->done, source->total, run->out->rows);
	return REP_OK;
}

static enum rep_status run_all(struct run *run, struct rep_error *err)
{
	enum rep_status status = REP_OK;
	while (status == REP_OK && !(run->ended && run->first == run->read)) {
		/* A source that is idle may wait long: what it gave is to be in effect before that. */
		const bool idle = run->stream->source->idle && run->first < run->read;
		if (!run->ended && !idle && run->read - run->first < IN_FLIGHT_MAX) {
			read_rows(run);
		}
		status = send_rows(run, err);
		bool full = run->ended || run->stream->source->idle ||
			    run->read - run->first == IN_FLIGHT_MAX;
		if (status == REP_OK && full && run->first < run->sent) {
			status = receive_one(run, err);
		}
	}
	if (status == REP_OK && run->why.status != REP_OK) {
		*err = run->why;
		status = run->why.status;
	}
	return status;
}

enum rep_status put_stream_run(const struct put_stream *stream, struct put_outcome *out,
	struct rep_error *err)
{
	*out = (struct put_outcome){0};
	struct run *run = calloc(1, sizeof *run);
	if (run == NULL) {
		err->status = REP_NO_MEMORY;
		strcpy(err->text, "no memory for an import");
		return REP_NO_MEMORY;
	}
	run->stream = stream;
	run->out = out;
	progress_begin(&run->progress, "import");
	enum rep_status status = run_all(run, err);
	progress_end(&run->progress);
	for (size_t i = 0; i < IN_FLIGHT_MAX; i++) {
		buffer_fini(&run->slots[i].buffer);
	}
	free(run);
	return status;
}
