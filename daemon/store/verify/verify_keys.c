/* verify_keys.c - which keys are in a segment whose bytes are damaged, as far as that can be told. */
#include "daemon/store/verify/verify_walk.h"

#include "daemon/store/base/base.h"
#include "daemon/store/system/file.h"

#include <stdlib.h>
#include <string.h>

/* The hash of a row's key; false: the key cannot be read, or has not the prefix of the segment. */
static bool hash_of(const struct segment *segment, uint32_t row, uint64_t *hash)
{
	const uint8_t *key;
	size_t len;
	if (row >= segment->rows || !segment_key(segment, row, &key, &len)) {
		return false;
	}
	*hash = siphash(&segment->seed, key, len);
	return segment->prefix_bits == 0 ||
	       (*hash ^ segment->prefix) >> (64 - segment->prefix_bits) == 0;
}

/* Whether a key is one that was put there: rows stand in the order of their hashes, so that of a key with
 * a flipped bit is off between those of its neighbours. */
static bool is_credible(const struct segment *segment, uint32_t row, uint64_t *last)
{
	uint64_t hash;
	uint64_t next;
	if (!hash_of(segment, row, &hash) || hash < *last) {
		return false;
	}
	if (hash_of(segment, row + 1, &next) && next < hash) {
		return false;
	}
	*last = hash;
	return true;
}

static size_t pack(const struct segment *segment, uint32_t row, uint8_t *out)
{
	const uint8_t *key;
	size_t len;
	(void)segment_key(segment, row, &key, &len); /* it was read before */
	const bool is_number = segment->keys != NULL;
	if (!is_number) {
		out[0] = (uint8_t)len;
	}
	memcpy(out + (is_number ? 0 : 1), key, len);
	return len + (is_number ? 0 : 1);
}

static enum status list(const struct segment *segment, size_t most, struct verify_keys *out,
	uint8_t **data)
{
	uint64_t last = 0;
	most = most < segment->rows ? most : segment->rows;
	uint8_t *packed = malloc(most * (LIMIT_KEY_BYTES + 1) + 1);
	if (packed == NULL) {
		return STATUS_NO_MEMORY;
	}
	struct verify_keys keys = {
		.type = segment->keys != NULL ? KEY_U64 : KEY_BYTES,
		.packed = packed,
	};
	for (uint32_t row = 0; row < segment->rows; row++) {
		if (!is_credible(segment, row, &last)) {
			continue;
		}
		keys.known++;
		if (keys.count < most) {
			keys.packed_bytes += pack(segment, row, packed + keys.packed_bytes);
			keys.count++;
		}
	}
	*out = keys;
	*data = packed;
	return STATUS_OK;
}

enum status verify_read_keys(int fd, const struct base_owner *owner,
	const struct base_segment_info *info, size_t most, struct verify_keys *out, uint8_t **data)
{
	const struct segment_identity identity = {
		.release = owner->release,
		.table = owner->table,
		.seed = owner->seed,
		.prefix = info->prefix,
		.prefix_bits = info->prefix_bits,
		.rows = info->rows,
	};
	struct segment segment = {0};
	uint8_t *bytes = aligned_alloc(SEGMENT_ALIGN,
		(info->bytes + SEGMENT_ALIGN) & ~(uint64_t)(SEGMENT_ALIGN - 1));
	if (bytes == NULL) {
		return STATUS_NO_MEMORY;
	}
	enum status status = file_read_at(fd, bytes, info->bytes, info->offset);
	if (status == STATUS_OK) {
		status = segment_open(bytes, info->bytes, &owner->spec, &identity, &segment, NULL);
	}
	status = status == STATUS_OK ? list(&segment, most, out, data) : STATUS_CORRUPT;
	free(bytes);
	return status;
}
