/* base_stream.h - the checksums of a file that passes by: of the whole, and of what the catalog knows
 * of its parts.
 *
 * Who copies a base file or a tensor, or only reads it, gives its bytes in their order. At the end it
 * is known which segments are damaged, and whether the bytes outside them are.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BASE_BASE_STREAM_H
#define DAEMON_STORE_BASE_BASE_STREAM_H

#include "daemon/store/base/base.h"

struct base_stream;

/* info: what the catalog says of the file, borrowed; NULL: nothing does, and only the whole is summed.
 * Errors: NO_MEMORY. */
enum status base_stream_open(const struct base_file_info *info, struct base_stream **out);

/* The next bytes of the file. */
void base_stream_add(struct base_stream *stream, const void *data, size_t len);

struct base_sums {
	uint64_t sum;         /* XXH3-64 of the whole file */
	uint64_t bytes;       /* of the file */
	bool outside_damaged; /* also when the file is longer or shorter than the catalog says */
	size_t damaged;       /* segments */
	size_t first_damaged; /* the number of the first of them */
	const bool *segments; /* which are; borrowed from the stream */
};

/* To be called once, when the file has ended. */
void base_stream_end(struct base_stream *stream, struct base_sums *out);

static inline bool base_sums_are_sound(const struct base_sums *sums)
{
	return sums->damaged == 0 && !sums->outside_damaged;
}

void base_stream_close(struct base_stream *stream); /* NULL is fine */

#endif
