/* served.c - the queue of the log of served rows, and the thread that empties it into files. */
#include "daemon/served/served.h"

#include "daemon/served/served_files.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/system/lock.h"
#include "schema/checksum.h"
#include "schema/served.h"
#include "schema/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUEUE_BYTES = 16 << 20,
	FAILED_PAUSE_MS = 1000, /* after a failure nothing is tried for so long */
	LINE_BYTES = 640,
	PART_BYTES = 320, /* of a part of a record, beside its keys, rows and so on */
	RECORD_BYTES = 320,
};

/* A frame that waits. */
struct entry {
	struct entry *next;
	uint8_t *data; /* owned */
	size_t len;
	uint64_t rows;
};

struct served {
	_Atomic uint64_t
		threshold; /* fetches whose first key's hash is at most this are in; 0: none are */
	atomic_bool rows;
	pthread_t thread;
	void (*on_event)(void *arg, const char *line);
	void *arg;
	struct lock lock;      /* guards what follows, to `files` */
	struct condition wake; /* of the thread */
	struct served_limits limits;
	struct entry *first; /* owned */
	struct entry *last;
	size_t queued_bytes;
	int64_t second;        /* of the monotonic clock */
	uint64_t second_bytes; /* that were taken in it */
	struct served_figures figures;
	bool stopping;
	/* The thread's. */
	struct served_files files;
	int64_t failed_ms;        /* when writing failed; 0: it does not */
	uint64_t failed_in_a_row; /* fetches */
};

/* ---- which fetches ---- */

static uint64_t threshold_of(unsigned rate_ppm)
{
	assert(rate_ppm <= SERVED_RATE_ALL);
	return rate_ppm == SERVED_RATE_ALL ? UINT64_MAX : UINT64_MAX / SERVED_RATE_ALL * rate_ppm;
}

bool served_wants(const struct served *served, const struct keys *keys)
{
	const uint64_t threshold = atomic_load_explicit(&served->threshold, memory_order_relaxed);
	size_t len = 0;
	if (threshold == 0 || keys->count == 0) {
		return false;
	}
	const uint8_t *key = keys_bytes(keys, 0, &len);
	return checksum(key, len) <= threshold;
}

/* ---- a record ---- */

static size_t record_bytes(const struct served_fetch *fetch, bool rows)
{
	size_t bytes = RECORD_BYTES;
	for (size_t i = 0; i < fetch->part_count; i++) {
		const struct served_part *part = &fetch->parts[i];
		const size_t keys = part->keys.count;
		size_t key_bytes;
		(void)keys_piece(&part->keys, &key_bytes);
		bytes += PART_BYTES + key_bytes + keys / 8 +
			 (rows ? part->rows_bytes + keys * sizeof(float) : 0);
	}
	return bytes;
}

static uint64_t rows_of(const struct served_fetch *fetch)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < fetch->part_count; i++) {
		rows += fetch->parts[i].keys.count;
	}
	return rows;
}

static void write_part(struct wire_writer *out, const struct served_part *part, bool with_rows)
{
	const bool rows = with_rows && part->rows != NULL;
	const bool scales = with_rows && part->scales != NULL;
	size_t key_bytes;
	const uint8_t *keys = keys_piece(&part->keys, &key_bytes);
	wire_write_map(out, 9u + rows + scales);
	wire_write_str(out, "table");
	wire_write_str(out, part->table);
	wire_write_str(out, "key");
	wire_write_str(out, key_type_name(part->keys.type));
	wire_write_str(out, "keys");
	wire_write_bin(out, keys, key_bytes);
	wire_write_str(out, "found");
	wire_write_bin(out, part->found, (part->keys.count + 7u) / 8u);
	wire_write_str(out, "dtype");
	wire_write_str(out, dtype_name(part->dtype));
	wire_write_str(out, "dim");
	wire_write_uint(out, part->dim);
	wire_write_str(out, "views");
	wire_write_uint(out, part->views);
	wire_write_str(out, "raw");
	wire_write_bool(out, part->raw);
	wire_write_str(out, "through");
	wire_write_bool(out, part->through);
	if (rows) {
		wire_write_str(out, "rows");
		wire_write_bin(out, part->rows, part->rows_bytes);
	}
	if (scales) {
		wire_write_str(out, "scales");
		wire_write_bin(out, part->scales, part->keys.count * sizeof(float));
	}
}

/* Makes a whole frame. Errors: NO_MEMORY, TOO_LARGE. */
static enum status make_frame(const struct served_fetch *fetch, bool rows, struct wire_writer *out)
{
	wire_writer_reserve(out, SERVED_FRAME_BYTES + record_bytes(fetch, rows));
	if (out->status != STATUS_OK) {
		return out->status;
	}
	out->len = SERVED_FRAME_BYTES;
	wire_write_map(out, 5);
	wire_write_str(out, "time");
	wire_write_int(out, fetch->time_ms);
	wire_write_str(out, "release");
	wire_write_str(out, fetch->release);
	wire_write_str(out, "sequence");
	wire_write_uint(out, fetch->sequence);
	wire_write_str(out, "client");
	wire_write_str(out, fetch->client);
	wire_write_str(out, "parts");
	wire_write_array(out, fetch->part_count);
	for (size_t i = 0; i < fetch->part_count; i++) {
		write_part(out, &fetch->parts[i], rows);
	}
	if (out->status == STATUS_OK) {
		served_write_frame(out->data, out->data + SERVED_FRAME_BYTES,
			out->len - SERVED_FRAME_BYTES);
	}
	return out->status;
}

/* ---- the queue ---- */

/* Is there room for a frame, in memory and in this second? */
static bool may_take(struct served *served, size_t len)
{
	const int64_t second = clock_monotonic_ms() / 1000;
	lock_assert_held(&served->lock);
	if (second != served->second) {
		served->second = second;
		served->second_bytes = 0;
	}
	return len <= QUEUE_BYTES - served->queued_bytes &&
	       (served->second_bytes == 0 ||
		       served->second_bytes + len <= served->limits.byte_rate);
}

static void push(struct served *served, struct entry *entry)
{
	lock_assert_held(&served->lock);
	if (served->first == NULL) {
		served->first = entry;
	} else {
		served->last->next = entry;
	}
	served->last = entry;
	served->queued_bytes += entry->len;
	served->second_bytes += entry->len;
	condition_signal(&served->wake);
}

static void count_dropped(struct served *served, uint64_t rows)
{
	lock_assert_held(&served->lock);
	served->figures.dropped++;
	served->figures.rows_dropped += rows;
}

static void free_entry(struct entry *entry)
{
	if (entry != NULL) {
		free(entry->data);
		free(entry);
	}
}

void served_add(struct served *served, const struct served_fetch *fetch)
{
	const bool rows = atomic_load_explicit(&served->rows, memory_order_relaxed);
	struct wire_writer frame = {0};
	/* What has no room is not made first. */
	lock_take(&served->lock);
	bool taken = may_take(served, SERVED_FRAME_BYTES + record_bytes(fetch, rows));
	if (!taken) {
		count_dropped(served, rows_of(fetch));
	}
	lock_release(&served->lock);
	if (!taken) {
		return;
	}
	struct entry *entry = calloc(1, sizeof *entry);
	taken = entry != NULL && make_frame(fetch, rows, &frame) == STATUS_OK;
	if (taken) {
		entry->data = frame.data;
		entry->len = frame.len;
		entry->rows = rows_of(fetch);
	} else {
		wire_writer_fini(&frame);
	}
	lock_take(&served->lock);
	taken = taken && may_take(served, entry->len);
	if (taken) {
		push(served, entry);
	} else {
		count_dropped(served, rows_of(fetch));
	}
	lock_release(&served->lock);
	if (!taken) {
		free_entry(entry);
	}
}

/* ---- the thread ---- */

/* Tells of the first failure of several, and that it goes on. */
static void tell(struct served *served, enum status status, const struct error *err)
{
	char line[LINE_BYTES];
	if (status != STATUS_OK && served->failed_ms == 0) {
		(void)snprintf(line, sizeof line,
			"event=served_failed code=%s error=\"%s\" reason=\"fetches are not logged "
			"until it works again\"",
			status_name(status), err->text);
		served->on_event(served->arg, line);
	} else if (status == STATUS_OK && served->failed_ms != 0) {
		(void)snprintf(line, sizeof line, "event=served_resumed failed=%" PRIu64,
			served->failed_in_a_row);
		served->on_event(served->arg, line);
	}
}

static enum status write_entry(struct served *served, const struct entry *entry, uint64_t most)
{
	struct error err = {0};
	const int64_t now_ms = clock_monotonic_ms();
	if (served->failed_ms != 0 && now_ms < served->failed_ms + FAILED_PAUSE_MS) {
		served->failed_in_a_row++;
		return STATUS_IO;
	}
	const enum status status = served_files_append(&served->files, entry->data, entry->len,
		most, clock_unix_ms(), &err);
	if (status == STATUS_TOO_LARGE) {
		return status; /* of this one alone */
	}
	tell(served, status, &err);
	served->failed_ms = status != STATUS_OK ? now_ms : 0;
	served->failed_in_a_row = status != STATUS_OK ? served->failed_in_a_row + 1 : 0;
	return status;
}

/* What became of an entry that is gone. */
static void count(struct served *served, enum status status, size_t len, uint64_t rows)
{
	struct served_figures *figures = &served->figures;
	lock_assert_held(&served->lock);
	if (status == STATUS_OK) {
		figures->written++;
		figures->rows_written += rows;
		figures->bytes += len;
	} else if (status == STATUS_TOO_LARGE) {
		count_dropped(served, rows);
	} else {
		figures->failed++;
		figures->rows_failed += rows;
	}
	figures->file_bytes = served->files.kept_bytes + served->files.at;
	figures->files = served->files.count + (served->files.fd >= 0);
}

static void *run(void *arg)
{
	struct served *served = arg;
	(void)pthread_setname_np(pthread_self(), "served");
	lock_take(&served->lock);
	while (served->first != NULL || !served->stopping) {
		if (served->first == NULL) {
			(void)condition_wait_until(&served->wake, &served->lock, CONDITION_NEVER);
			continue;
		}
		struct entry *entry = served->first;
		const uint64_t most = served->limits.bytes;
		served->first = entry->next;
		lock_release(&served->lock);
		const enum status status = write_entry(served, entry, most);
		const size_t len = entry->len;
		const uint64_t rows = entry->rows;
		free_entry(entry);
		lock_take(&served->lock);
		served->queued_bytes -= len; /* it was in memory until now */
		count(served, status, len, rows);
	}
	lock_release(&served->lock);
	return NULL;
}

/* ---- all together ---- */

enum status served_check(const char *file, const char *const *kept_out, struct error *err)
{
	return served_files_check(file, kept_out, err);
}

void served_set_limits(struct served *served, const struct served_limits *limits)
{
	lock_take(&served->lock);
	served->limits = *limits;
	lock_release(&served->lock);
	atomic_store_explicit(&served->rows, limits->rows, memory_order_relaxed);
	atomic_store_explicit(&served->threshold, threshold_of(limits->rate_ppm),
		memory_order_relaxed);
}

enum status served_open(const struct served_options *options, struct served **out,
	struct error *err)
{
	enum status status = served_files_check(options->file, options->kept_out, err);
	struct served *served = status == STATUS_OK ? calloc(1, sizeof *served) : NULL;
	if (served == NULL) {
		return status != STATUS_OK
			       ? status
			       : error_set(err, STATUS_NO_MEMORY, "no memory for served rows");
	}
	status = served_files_open(options->file, &served->files, err);
	if (status != STATUS_OK) {
		free(served);
		return status;
	}
	served->on_event = options->on_event;
	served->arg = options->arg;
	lock_init(&served->lock);
	condition_init(&served->wake);
	served_set_limits(served, &options->limits);
	served->figures.file_bytes = served->files.kept_bytes;
	served->figures.files = served->files.count;
	if (pthread_create(&served->thread, NULL, run, served) != 0) {
		condition_fini(&served->wake);
		lock_fini(&served->lock);
		served_files_close(&served->files);
		free(served);
		return error_set(err, STATUS_NO_MEMORY, "no thread for served rows");
	}
	*out = served;
	return STATUS_OK;
}

void served_close(struct served *served)
{
	if (served == NULL) {
		return;
	}
	lock_take(&served->lock);
	served->stopping = true;
	condition_signal(&served->wake);
	lock_release(&served->lock);
	(void)pthread_join(served->thread, NULL);
	assert(served->first == NULL && served->queued_bytes == 0);
	condition_fini(&served->wake);
	lock_fini(&served->lock);
	served_files_close(&served->files);
	free(served);
}

void served_figures(struct served *served, struct served_figures *out)
{
	*out = (struct served_figures){0};
	if (served == NULL) {
		return;
	}
	lock_take(&served->lock);
	*out = served->figures;
	out->limits = served->limits;
	lock_release(&served->lock);
}
