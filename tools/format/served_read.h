/* served_read.h - reads a file of served rows, fetch by fetch.
 *
 * Nothing in a file is trusted. What is read points into the mapped file.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_SERVED_READ_H
#define TOOLS_FORMAT_SERVED_READ_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/name.h"
#include "schema/status.h"
#include "schema/wire.h"
#include "tools/format/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVED_TEXT_BYTES = 72 };

/* How a file ended. */
enum served_end {
	SERVED_END_WHOLE,
	SERVED_END_CUT, /* in a part of a frame: it is being written, or the writing ended there */
	SERVED_END_DAMAGED, /* bytes differ from their checksum, or make no sense */
};

struct served_reader {
	const char *path; /* borrowed */
	struct mapping mapping;
	int64_t begun_ms;
	size_t at; /* of the next frame */
	enum served_end end;
	struct wire_message *message; /* owned; of the fetch that was read last */
};

/* A fetch; valid until the next one is read. */
struct served_record {
	int64_t time_ms;
	char release[SERVED_TEXT_BYTES];
	uint64_t sequence;
	char client[SERVED_TEXT_BYTES];
	struct wire_value parts;
	size_t part_count;
};

/* The keys and rows of one table. */
struct served_rows {
	struct table_name table;
	enum key_type key_type;
	uint32_t count;       /* keys */
	const uint8_t *keys;  /* packed */
	const uint8_t *found; /* a bit a key */
	enum dtype dtype;
	uint32_t dim;
	uint32_t views;
	bool raw;     /* sums */
	bool through; /* they went through stored layers */
	size_t stride;
	const uint8_t *rows;   /* NULL: they were not logged */
	const uint8_t *scales; /* of i8, f32 each, any alignment; or NULL */
};

/* Errors: those of the system; CORRUPT, UNSUPPORTED  naming the file. */
enum status served_reader_open(const char *path, struct served_reader *out, struct error *err);
/* Fine for one that is zeroed. */
void served_reader_close(struct served_reader *reader);

/* Reads the next fetch. *more: false: there is none, and reader->end says why. Errors: NO_MEMORY. */
enum status served_reader_next(struct served_reader *reader, struct served_record *out, bool *more,
	struct error *err);

/* Part i of a fetch. False: it makes no sense. */
bool served_record_rows(const struct served_record *record, size_t i, struct served_rows *out);

#endif
