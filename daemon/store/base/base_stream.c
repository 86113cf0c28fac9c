/* base_stream.c - sums a file while it passes by: whole, segment by segment, and what is outside. */
#include "daemon/store/base/base_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

struct base_stream {
	const struct base_file_info *info; /* borrowed; NULL: none */
	XXH3_state_t *whole;               /* owned, as the next four */
	XXH3_state_t *outside;
	XXH3_state_t *segment;
	size_t *order; /* numbers of the segments, as they stand in the file */
	bool *damaged; /* a flag for each segment */
	size_t count;  /* of segments */
	size_t next;   /* in `order`: the segment that is read, or comes next */
	uint64_t at;
};

/* Segments are few and stand in order already, but for what a damaged record says. */
static void sort(struct base_stream *stream)
{
	const struct base_segment_info *segments = stream->info->segments;
	for (size_t i = 0; i < stream->count; i++) {
		size_t at = i;
		for (; at > 0 && segments[stream->order[at - 1]].offset > segments[i].offset;
			at--) {
			stream->order[at] = stream->order[at - 1];
		}
		stream->order[at] = i;
	}
}

enum status base_stream_open(const struct base_file_info *info, struct base_stream **out)
{
	struct base_stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL) {
		return STATUS_NO_MEMORY;
	}
	stream->info = info;
	stream->count = info == NULL ? 0 : info->segment_count;
	stream->whole = XXH3_createState();
	stream->outside = XXH3_createState();
	stream->segment = XXH3_createState();
	stream->order = calloc(stream->count + 1, sizeof *stream->order);
	stream->damaged = calloc(stream->count + 1, sizeof *stream->damaged);
	if (stream->whole == NULL || stream->outside == NULL || stream->segment == NULL ||
		stream->order == NULL || stream->damaged == NULL) {
		base_stream_close(stream);
		return STATUS_NO_MEMORY;
	}
	if (info != NULL) {
		sort(stream);
	}
	(void)XXH3_64bits_reset(stream->whole);
	(void)XXH3_64bits_reset(stream->outside);
	(void)XXH3_64bits_reset(stream->segment);
	*out = stream;
	return STATUS_OK;
}

void base_stream_close(struct base_stream *stream)
{
	if (stream != NULL) {
		(void)XXH3_freeState(stream->whole);
		(void)XXH3_freeState(stream->outside);
		(void)XXH3_freeState(stream->segment);
		free(stream->order);
		free(stream->damaged);
		free(stream);
	}
}

/* The segment that is read, or comes next; NULL: none comes. One that would begin within the one before
 * is passed over: the record is not of this file. */
static const struct base_segment_info *next_segment(struct base_stream *stream)
{
	while (stream->next < stream->count) {
		const size_t i = stream->order[stream->next];
		const struct base_segment_info *segment = &stream->info->segments[i];
		if (stream->at <= segment->offset ||
			stream->at < segment->offset + segment->bytes) {
			return segment;
		}
		stream->damaged[i] = true;
		stream->next++;
	}
	return NULL;
}

static void end_segment(struct base_stream *stream, const struct base_segment_info *segment)
{
	const size_t i = stream->order[stream->next++];
	stream->damaged[i] = XXH3_64bits_digest(stream->segment) != segment->hash;
	(void)XXH3_64bits_reset(stream->segment);
}

void base_stream_add(struct base_stream *stream, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	(void)XXH3_64bits_update(stream->whole, bytes, len);
	while (len > 0) {
		const struct base_segment_info *segment = next_segment(stream);
		const uint64_t begin = segment == NULL ? UINT64_MAX : segment->offset;
		const bool outside = segment == NULL || stream->at < begin;
		const uint64_t end = outside ? begin : begin + segment->bytes;
		const size_t n = end - stream->at < len ? (size_t)(end - stream->at) : len;
		(void)XXH3_64bits_update(outside ? stream->outside : stream->segment, bytes, n);
		stream->at += n;
		bytes += n;
		len -= n;
		if (!outside && stream->at == end) {
			end_segment(stream, segment);
		}
	}
}

void base_stream_end(struct base_stream *stream, struct base_sums *out)
{
	*out = (struct base_sums){
		.sum = XXH3_64bits_digest(stream->whole),
		.bytes = stream->at,
		.segments = stream->damaged,
	};
	if (stream->info == NULL) {
		return;
	}
	for (; stream->next < stream->count; stream->next++) {
		stream->damaged[stream->order[stream->next]] = true;
	}
	for (size_t i = stream->count; i > 0; i--) {
		if (stream->damaged[i - 1]) {
			out->first_damaged = i - 1;
			out->damaged++;
		}
	}
	out->outside_damaged = stream->at != stream->info->bytes ||
			       XXH3_64bits_digest(stream->outside) != stream->info->outside_hash;
}
