/* spill_head.c - writes and reads the heads of a load's file and of its frames. */
#include "daemon/store/spill/spill_head.h"

#include "daemon/store/system/bytes.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

static const char spill_magic[8] = {'r', 'e', 'p', 's', 't', 's', 'p', 'l'};

enum { HASH_OFFSET = SPILL_HEAD_BYTES - 8, SEED_CHECK_OFFSET = HASH_OFFSET - 4 };

void spill_head_write(uint8_t *head, const struct spill *spill)
{
	const struct base_owner *owner = &spill->owner;
	memset(head, 0, SPILL_HEAD_BYTES);
	memcpy(head, spill_magic, sizeof spill_magic);
	bytes_put_u32(head + 8, SPILL_VERSION);
	bytes_put_u32(head + 12, (uint32_t)owner->spec.key_type);
	bytes_put_u64(head + 16, owner->release);
	bytes_put_u64(head + 24, owner->table);
	bytes_put_u32(head + 32, (uint32_t)owner->spec.dtype);
	bytes_put_u32(head + 36, owner->spec.dim);
	bytes_put_u32(head + 40, owner->spec.views);
	bytes_put_u32(head + 44, owner->spec.tags ? 1 : 0);
	bytes_put_u64(head + 48, (uint64_t)spill->default_time_ms);
	bytes_put_u64(head + 56, spill->salt);
	bytes_put_u32(head + SEED_CHECK_OFFSET, key_seed_check(&owner->seed));
	bytes_put_u64(head + HASH_OFFSET, XXH3_64bits(head, HASH_OFFSET));
}

bool spill_head_is_whole(const uint8_t *head)
{
	return memcmp(head, spill_magic, sizeof spill_magic) == 0 &&
	       bytes_get_u64(head + HASH_OFFSET) == XXH3_64bits(head, HASH_OFFSET);
}

enum status spill_head_read(const uint8_t *head, struct spill *spill, const char *name,
	struct error *err)
{
	if (!spill_head_is_whole(head)) {
		return error_set(err, STATUS_CORRUPT, "'%s': its head is damaged", name);
	}
	if (bytes_get_u32(head + 8) != SPILL_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s': format version %" PRIu32 ", this build knows %d", name,
			bytes_get_u32(head + 8), SPILL_VERSION);
	}
	uint8_t expected[SPILL_HEAD_BYTES];
	spill->default_time_ms = (int64_t)bytes_get_u64(head + 48);
	spill->salt = bytes_get_u64(head + 56);
	spill_head_write(expected, spill);
	if (memcmp(head, expected, sizeof expected) != 0) {
		return error_set(err, STATUS_CORRUPT, "'%s': made for another table", name);
	}
	return STATUS_OK;
}

void spill_frame_write(uint8_t *head, enum spill_frame_kind kind, const struct spill_run *run,
	uint64_t salt)
{
	memset(head, 0, SPILL_HEAD_BYTES);
	bytes_put_u32(head, SPILL_FRAME_MAGIC);
	bytes_put_u32(head + 4, kind);
	bytes_put_u64(head + 8, run->body_bytes);
	bytes_put_u64(head + 16, run->sequence);
	bytes_put_u64(head + 24, run->first_chunk);
	bytes_put_u64(head + 32, run->chunk_count);
	bytes_put_u64(head + 40, run->rows);
	bytes_put_u64(head + 48, run->blob_bytes);
	bytes_put_u64(head + 56, run->body_hash);
	bytes_put_u64(head + HASH_OFFSET, XXH3_64bits_withSeed(head, HASH_OFFSET, salt));
}

bool spill_frame_read(const uint8_t *head, uint64_t salt, uint32_t *kind, struct spill_run *run)
{
	if (bytes_get_u32(head) != SPILL_FRAME_MAGIC ||
		bytes_get_u64(head + HASH_OFFSET) !=
			XXH3_64bits_withSeed(head, HASH_OFFSET, salt)) {
		return false;
	}
	*kind = bytes_get_u32(head + 4);
	*run = (struct spill_run){
		.body_bytes = bytes_get_u64(head + 8),
		.sequence = bytes_get_u64(head + 16),
		.first_chunk = bytes_get_u64(head + 24),
		.chunk_count = bytes_get_u64(head + 32),
		.rows = bytes_get_u64(head + 40),
		.blob_bytes = bytes_get_u64(head + 48),
		.body_hash = bytes_get_u64(head + 56),
	};
	return true;
}
