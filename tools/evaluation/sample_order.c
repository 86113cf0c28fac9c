/* sample_order.c - sorts runs that fit a cache, and merges them back and forth in one file. */
#include "tools/evaluation/sample_order.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RUN = 1 << 16 };

static int by_place(const void *a, const void *b)
{
	const struct sample_place *left = a;
	const struct sample_place *right = b;
	const int by_time = (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
	return by_time != 0 ? by_time : (left->row > right->row) - (left->row < right->row);
}

/* Merges from[first, middle) and from[middle, end) into to[first, end). */
static void merge(const struct sample_place *from, uint64_t first, uint64_t middle, uint64_t end,
	struct sample_place *to)
{
	uint64_t left = first;
	uint64_t right = middle;
	for (uint64_t at = first; at < end; at++) {
		const bool take_left = left < middle &&
				       (right == end || from[left].time_ms <= from[right].time_ms);
		to[at] = from[take_left ? left++ : right++];
	}
}

/* Returns which of both holds the result. */
static struct sample_place *sort(struct sample_place *from, struct sample_place *to, uint64_t count)
{
	for (uint64_t first = 0; first < count; first += RUN) {
		const uint64_t left = count - first;
		qsort(from + first, (size_t)(left < RUN ? left : RUN), sizeof *from, by_place);
	}
	for (uint64_t width = RUN; width < count; width *= 2) {
		for (uint64_t first = 0; first < count; first += 2 * width) {
			const uint64_t middle = first + width < count ? first + width : count;
			const uint64_t end = middle + width < count ? middle + width : count;
			merge(from, first, middle, end, to);
		}
		struct sample_place *swap = from;
		from = to;
		to = swap;
	}
	return from;
}

enum status sample_order_make(const uint8_t *times, uint64_t count, const struct output *beside,
	struct sample_order *out, struct error *err)
{
	struct sample_order order = {0};
	enum status status = output_open_part(beside->path, "order", &order.file, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = fileno(order.file.file);
	order.map_bytes = (size_t)count * 2 * sizeof *order.places;
	int error_number = posix_fallocate(fd, 0, (off_t)order.map_bytes);
	void *map = MAP_FAILED;
	if (error_number == 0) {
		map = mmap(NULL, order.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		error_number = map == MAP_FAILED ? errno : 0;
	}
	if (error_number != 0) {
		sample_order_close(&order);
		return error_set(err, status_of_errno(error_number),
			"room to sort %" PRIu64 " samples by time beside the output: %s", count,
			strerror(error_number));
	}
	order.map = map;
	struct sample_place *places = map;
	for (uint64_t i = 0; i < count; i++) {
		memcpy(&places[i].time_ms, times + i * sizeof(int64_t), sizeof(int64_t));
		places[i].row = i;
	}
	order.places = sort(places, places + count, count);
	*out = order;
	return STATUS_OK;
}

void sample_order_close(struct sample_order *order)
{
	if (order->map != NULL) {
		munmap(order->map, order->map_bytes);
	}
	output_abort(&order->file);
	*order = (struct sample_order){0};
}
