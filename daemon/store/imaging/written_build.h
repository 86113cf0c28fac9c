/* written_build.h - makes an image of rows that a memtable holds (index/written.h).
 *
 * Threads: any, outside (grace.h): it takes a few microseconds a row.
 */
#ifndef DAEMON_STORE_IMAGING_WRITTEN_BUILD_H
#define DAEMON_STORE_IMAGING_WRITTEN_BUILD_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct generation;
struct index;
struct table_spec;
struct written_image;

struct written_job {
	const struct generation *generation; /* pinned by the caller */
	uint64_t from;                       /* places [from, end) of its order of writing */
	uint64_t end;
	uint64_t visible; /* no version of these places is above it, but for what was taken back */
	const struct table_spec *spec;
	const struct index *index; /* held, with the axes of the images of `parts` */
	/* Images of the first of these places, one behind the other: their rows keep their balls. */
	struct written_image *const *parts;
	size_t part_count;
	_Atomic uint64_t *counted; /* its bytes are added to this */
	const _Atomic bool *stop;
};

/* An image of so many places has no more bytes, and to make it takes no more beside it. */
uint64_t written_image_bytes(const struct index *index, uint64_t places);
uint64_t written_build_bytes(const struct index *index, uint64_t places);

/* Errors: BUSY  stopped; NO_MEMORY. */
enum status written_build(const struct written_job *job, struct written_image **out);

#endif
