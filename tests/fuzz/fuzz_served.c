/* fuzz_served.c - any bytes as a fetch in a file of served rows, whose checksums are right: it is read or refused, and
 * what is read lies inside. A second fetch behind it is read if the first one made sense.
 *
 * An input is the body of a frame.
 */
#include "schema/limits.h"
#include "schema/served.h"
#include "tools/format/served_read.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t seen; /* what was read, so that it is read */

static void touch(const uint8_t *data, size_t len)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++) {
		sum ^= data[i];
	}
	seen = sum;
}

static void touch_rows(const struct served_rows *rows)
{
	const uint8_t *key = rows->keys;
	for (uint32_t i = 0; i < rows->count; i++) {
		const size_t len = rows->key_type == KEY_U64 ? sizeof(uint64_t) : 1u + key[0];
		touch(key, len);
		key += len;
	}
	touch(rows->found, ((size_t)rows->count + 7) / 8);
	if (rows->rows != NULL) {
		touch(rows->rows, rows->count * rows->stride);
	}
	if (rows->scales != NULL) {
		touch(rows->scales, rows->count * sizeof(float));
	}
}

static size_t read_all(const uint8_t *file, size_t len)
{
	struct served_reader reader = {.path = "fuzz",
		.mapping = {file, len},
		.at = SERVED_HEAD_BYTES};
	struct served_record record;
	size_t count = 0;
	bool more = true;
	while (served_reader_next(&reader, &record, &more, NULL) == STATUS_OK && more) {
		for (size_t i = 0; i < record.part_count; i++) {
			struct served_rows rows;
			if (served_record_rows(&record, i, &rows)) {
				touch_rows(&rows);
			}
		}
		count++;
	}
	wire_close(reader.message);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > LIMIT_MESSAGE_BYTES) {
		return 0;
	}
	const size_t frame_bytes = SERVED_FRAME_BYTES + size;
	const size_t len = SERVED_HEAD_BYTES + 2 * frame_bytes;
	uint8_t *file = malloc(len); /* exact, so that one byte more is seen */
	if (file == NULL) {
		return 0;
	}
	served_write_head(file, 1);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *frame = file + SERVED_HEAD_BYTES + i * frame_bytes;
		memcpy(frame + SERVED_FRAME_BYTES, data, size);
		served_write_frame(frame, frame + SERVED_FRAME_BYTES, size);
	}
	const size_t count = read_all(file, len);
	if (count == 1) {
		abort(); /* the same bytes make the same sense */
	}
	free(file);
	return 0;
}
