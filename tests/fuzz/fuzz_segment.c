/* fuzz_segment.c - any bytes are a segment or are not, and one that is never leads outside itself.
 *
 * The first byte says of which table: dtype or kind cr, key type, views, tags. The segment's place
 * in its table is taken from its own header, so that what comes after it is reached.
 */
#include "daemon/store/base/segment.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DTYPES = 5, DIM = 9 };

/* Keeps the compiler from dropping what is only read. */
static volatile unsigned seen;

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
		.dtype = aggregates ? DTYPE_F32 : (enum dtype)(choice % DTYPES + DTYPE_F32),
		.key_type = (choice & 32) != 0 ? KEY_BYTES : KEY_U64,
		.dim = DIM,
		.views = (choice & 64) != 0 ? 3 : 1,
		.tags = (choice & 128) != 0,
	};
}

static struct segment_identity identity_of(const uint8_t *data, size_t len)
{
	struct segment_identity identity = {0};
	if (len >= SEGMENT_HEADER_BYTES) {
		memcpy(&identity.release, data + 16, 8);
		memcpy(&identity.table, data + 24, 8);
		memcpy(&identity.prefix, data + 32, 8);
		memcpy(&identity.prefix_bits, data + 40, 4);
		memcpy(&identity.rows, data + 44, 4);
	}
	/* The catalog's record is checked for these. */
	identity.prefix_bits %= SEGMENT_PREFIX_BITS_MAX + 1;
	identity.rows = identity.rows == UINT32_MAX ? 0 : identity.rows;
	return identity;
}

static unsigned sum_bytes(const void *bytes, uint64_t len)
{
	const uint8_t *at = bytes;
	unsigned sum = 0;
	for (uint64_t i = 0; i < len; i++) {
		sum += at[i];
	}
	return sum;
}

/* Follows the slots as a look-up does. */
static unsigned probe(const struct segment *view, uint64_t hash)
{
	unsigned sum = 0;
	uint32_t slot = segment_home(view, hash);
	require(slot < view->slot_count);
	for (; slot < view->slot_count && view->slots[slot].row_plus_one != 0; slot++) {
		const uint32_t row = view->slots[slot].row_plus_one - 1;
		if (view->slots[slot].tag == (uint32_t)hash && row < view->rows) {
			sum += view->row_data[row * view->row_bytes];
		}
	}
	return sum;
}

static unsigned touch(const struct segment *view, const struct table_spec *spec)
{
	const uint64_t rows = view->rows;
	require(view->homes > 0 && view->homes < view->slot_count);
	require(view->row_bytes == spec_row_bytes(spec));
	unsigned sum = sum_bytes(view->slots, (uint64_t)view->slot_count * 8);
	sum += sum_bytes(view->row_data, rows * view->row_bytes);
	sum += sum_bytes(view->times, rows * 8);
	if (spec->key_type == KEY_U64) {
		sum += sum_bytes(view->keys, rows * 8);
	} else {
		sum += sum_bytes(view->key_offsets, (rows + 1) * 4);
		sum += sum_bytes(view->key_blob, view->blob_bytes);
	}
	require((view->tags != NULL) == spec->tags);
	require((view->scales != NULL) == (spec->dtype == DTYPE_I8));
	sum += spec->tags ? sum_bytes(view->tags, rows * 8) : 0;
	sum += spec->dtype == DTYPE_I8 ? sum_bytes(view->scales, rows * 4) : 0;
	for (uint64_t i = 0; i < 16; i++) {
		sum += probe(view, i * UINT64_C(0x1111111111111111));
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	const struct table_spec spec = spec_of(data[0]);
	const size_t len = size - 1;
	void *block = NULL;
	require(posix_memalign(&block, SEGMENT_ALIGN, len > 0 ? len : 1) == 0);
	memcpy(block, data + 1, len);
	const struct segment_identity identity = identity_of(block, len);
	struct segment view;
	struct error err = {0};
	const enum status status = segment_open(block, len, &spec, &identity, &view, &err);
	require(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED);
	require(status == STATUS_OK || err.status == status);
	if (status == STATUS_OK) {
		seen = touch(&view, &spec);
	}
	free(block);
	return 0;
}
