/* sample_order.h - the order of samples by their times; those of one time keep their own.
 *
 * Samples that are not in that order are sorted in a file, whose pages the system writes back as it
 * needs the memory: 32 bytes a sample.
 *
 * Threads: any, after sample_order_make.
 */
#ifndef TOOLS_EVALUATION_SAMPLE_ORDER_H
#define TOOLS_EVALUATION_SAMPLE_ORDER_H

#include "schema/status.h"
#include "tools/format/output.h"

#include <stddef.h>
#include <stdint.h>

struct sample_place {
	int64_t time_ms;
	uint64_t row;
};

/* A zeroed one is that of samples which stand in the order of time. */
struct sample_order {
	const struct sample_place *places; /* NULL: sample k is row k */
	struct output file;                /* owned */
	void *map;                         /* owned */
	size_t map_bytes;
};

/* Sorts rows 0 to count - 1. times: int64_t each, any alignment; beside: the file is made beside this one.
 * Errors: DISK_FULL, IO, NO_MEMORY. */
enum status sample_order_make(const uint8_t *times, uint64_t count, const struct output *beside,
	struct sample_order *out, struct error *err);
/* Fine for one that is zeroed. */
void sample_order_close(struct sample_order *order);

/* The row of the sample that is number k in the order of time. */
static inline uint64_t sample_order_row(const struct sample_order *order, uint64_t k)
{
	return order->places != NULL ? order->places[k].row : k;
}

#endif
