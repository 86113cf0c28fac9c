/* fuzz_redo.c - any bytes are a file of the log or are not, and a log that opens opens again.
 *
 * The first byte says of which table the rows are (16: one of kind cr), and whether the checksums
 * of head and frames are put right first, so that what they guard is reached too.
 */
#include "daemon/store/log/frame_samples.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/mapfault.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DTYPES = 5, DIM = 5, HEAD_HASH_AT = 56, HEAD_SALT_AT = 32, FRAME_FIRST_AT = 24 };

/* Keeps the compiler from dropping what is only read. */
static volatile unsigned seen;
static char folder[64];

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static struct table_spec spec_of(uint8_t choice)
{
	const bool aggregates = (choice & 16) != 0;
	return (struct table_spec){
		.name = {"t"},
		.entity = ENTITY_ITEM,
		.kind = aggregates ? KIND_CR : KIND_IR,
		.state = !aggregates         ? STATE_NONE
			 : (choice & 1) != 0 ? STATE_F32X2
					     : STATE_F32,
		.dtype = aggregates ? DTYPE_F32 : (enum dtype)(choice % 16 % DTYPES + DTYPE_F32),
		.key_type = (choice & 32) != 0 ? KEY_BYTES : KEY_U64,
		.dim = DIM,
		.views = 1,
		.tags = (choice & 64) != 0,
	};
}

/* Puts the checksums of the file's head and of every frame right. */
static void repair(uint8_t *data, size_t len)
{
	if (len < REDO_HEAD_BYTES) {
		return;
	}
	bytes_put_u64(data + HEAD_HASH_AT, XXH3_64bits(data, HEAD_HASH_AT));
	const uint64_t salt = bytes_get_u64(data + HEAD_SALT_AT);
	for (size_t at = REDO_HEAD_BYTES; at + FRAME_HEAD_BYTES <= len;) {
		const uint32_t bytes = bytes_get_u32(data + at + 4);
		if (bytes < FRAME_HEAD_BYTES || bytes > len - at) {
			break;
		}
		frame_seal(data + at, bytes_get_u64(data + at + FRAME_FIRST_AT), salt);
		at += bytes;
	}
}

struct seen_frames {
	const struct table_spec *spec;
	struct positions *positions;
	uint64_t count;
};

static void walk_rows(const struct frame_part *part, const struct table_spec *spec)
{
	struct frame_walk walk;
	struct frame_row row;
	unsigned sum = 0;
	uint32_t rows = 0;
	frame_walk_begin(&walk, part, spec);
	for (; frame_walk_next(&walk, &row); rows++) {
		require(row.key_len > 0 && row.key_len <= LIMIT_KEY_BYTES);
		require((row.data != NULL) == (part->kind == FRAME_PUT));
		sum += row.key[0] + row.key[row.key_len - 1] + (unsigned)row.time_ms;
		sum += (unsigned)row.tags + (row.scale == 1);
		sum += row.data == NULL ? 0 : row.data[0] + row.data[spec_stored_bytes(spec) - 1];
	}
	require(rows + walk.left == part->rows);
	seen = sum;
}

/* A source, and what it feeds: a layer, or a table with a history, whose name may have a layer's behind it. */
static bool are_names(const struct source_position *position)
{
	struct name same;
	const char *layer = position->layer.text;
	const char *source = position->source.text;
	return fed_name_check(layer, strlen(layer), "layer", &same, NULL) == STATUS_OK &&
	       name_check(source, strlen(source), "source", &same, NULL) == STATUS_OK;
}

/* What it says, it says again when it is written; and it can be counted and taken back. */
static void read_position(const struct frame_part *part, struct positions *positions)
{
	struct frame_position position;
	if (frame_read_position(part, &position) != STATUS_OK) {
		return;
	}
	const struct source_position *to = &position.to;
	require(are_names(to));
	uint8_t again[FRAME_POSITION_BYTES_MAX];
	uint8_t *end = frame_put_position(again, &position);
	require(end <= again + sizeof again);
	const struct frame_part same = {.kind = FRAME_POSITION,
		.rows = 1,
		.data = again + FRAME_PART_BYTES,
		.bytes = (size_t)(end - again) - FRAME_PART_BYTES};
	struct frame_position back;
	require(frame_read_position(&same, &back) == STATUS_OK);
	require(strcmp(back.to.layer.text, to->layer.text) == 0);
	require(strcmp(back.to.source.text, to->source.text) == 0);
	require(back.to.next == to->next && back.before == position.before);
	require(back.is_first == position.is_first);
	uint64_t next = 0;
	const enum status status = positions_raise(positions, to);
	require(status == STATUS_OK);
	require(positions_next(positions, to->layer.text, to->source.text, &next));
	require(next >= to->next);
}

static void read_forgotten(const struct frame_part *part, struct positions *positions)
{
	struct frame_sources walk;
	struct source_position source;
	uint32_t read = 0;
	uint64_t next;
	frame_sources_begin(&walk, part);
	for (; frame_sources_next(&walk, &source); read++) {
		require(are_names(&source));
		positions_forget(positions, source.layer.text, source.source.text);
		require(!positions_next(positions, source.layer.text, source.source.text, &next));
	}
	require(read + walk.left == part->rows);
}

/* What it says, it says again when it is written. */
static void read_samples(const struct frame_part *part)
{
	struct frame_samples samples;
	struct frame_samples back;
	if (frame_read_samples(part, &samples) != STATUS_OK || samples.table_count > LIMIT_PARTS) {
		return;
	}
	const size_t bytes = frame_samples_bytes(&samples);
	require(bytes == FRAME_PART_BYTES + part->bytes);
	uint8_t *again = malloc(bytes);
	require(again != NULL);
	require(frame_put_samples(again, &samples) == again + bytes);
	const struct frame_part same = {.kind = FRAME_SAMPLES,
		.rows = samples.count,
		.data = again + FRAME_PART_BYTES,
		.bytes = bytes - FRAME_PART_BYTES};
	require(frame_read_samples(&same, &back) == STATUS_OK);
	require(back.count == samples.count && back.elements == samples.elements);
	require(back.users.type == samples.users.type && back.items.type == samples.items.type);
	require(frame_samples_table(&back, 0) == frame_samples_table(&samples, 0));
	require(memcmp(back.times, samples.times, (size_t)samples.count * 8) == 0);
	require(memcmp(back.rows, samples.rows,
			(size_t)samples.count * samples.elements * sizeof(float)) == 0);
	free(again);
}

static void copy_positions(struct positions *positions)
{
	struct source_position *all;
	size_t count;
	positions_settle_all(positions);
	require(positions_list(positions, POSITION_COUNTED, &all, &count) == STATUS_OK);
	for (size_t i = 1; i < count; i++) {
		const int order = strcmp(all[i - 1].layer.text, all[i].layer.text);
		require(order < 0 ||
			(order == 0 && strcmp(all[i - 1].source.text, all[i].source.text) < 0));
	}
	free(all);
}

static enum status on_frame(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	struct seen_frames *frames = arg;
	struct frame_part part;
	size_t at = 0;
	unsigned parts = 0;
	(void)err;
	for (; frame_next_part(data, head, &at, &part); parts++) {
		if (part.kind == FRAME_POSITION) {
			read_position(&part, frames->positions);
		} else if (part.kind == FRAME_FORGET) {
			read_forgotten(&part, frames->positions);
		} else if (part.kind == FRAME_SAMPLES) {
			read_samples(&part);
		} else {
			walk_rows(&part, frames->spec);
		}
	}
	require(parts == head->parts && at == head->bytes);
	frames->count++;
	return STATUS_OK;
}

static enum status open_log(const struct table_spec *spec, uint64_t *count, uint64_t *next)
{
	struct seen_frames frames = {.spec = spec, .positions = positions_new()};
	require(frames.positions != NULL);
	const struct redo_options options = {
		.folder = folder,
		.first_file = 1,
		.next_sequence = 1,
		.on_frame = on_frame,
		.on_frame_arg = &frames,
	};
	struct redo *redo = NULL;
	struct error err = {0};
	const enum status status = redo_open(&options, &redo, &err);
	*count = frames.count;
	*next = redo == NULL ? 0 : redo_next_sequence(redo);
	redo_close(redo);
	copy_positions(frames.positions);
	positions_drop(frames.positions);
	return status;
}

static void remove_folder(void)
{
	char path[96];
	(void)snprintf(path, sizeof path, "%s/1.log", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

/* In memory where there is such a folder: a log syncs. */
static void make_folder(void)
{
	if (folder[0] != 0) {
		return;
	}
	(void)snprintf(folder, sizeof folder, "%s/fuzz_redo.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	require(mkdtemp(folder) != NULL);
	require(atexit(remove_folder) == 0);
}

static void write_file(const uint8_t *data, size_t len)
{
	char path[96];
	(void)snprintf(path, sizeof path, "%s/1.log", folder);
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 128) != 0) {
		repair(copy, size - 1);
	}
	make_folder();
	write_file(copy, size - 1);
	free(copy);
	const struct table_spec spec = spec_of(data[0]);
	uint64_t count;
	uint64_t next;
	const enum status status = open_log(&spec, &count, &next);
	require(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
	if (status == STATUS_OK) {
		uint64_t count_again;
		uint64_t next_again;
		require(open_log(&spec, &count_again, &next_again) == STATUS_OK);
		require(count_again == count && next_again == next);
	}
	return 0;
}
