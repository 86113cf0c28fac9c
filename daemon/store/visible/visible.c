/* visible.c - the bytes of DATA/visible: its head, and two copies of what it says. */
#include "daemon/store/visible/visible.h"

#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <xxhash.h>

enum {
	WORDS = VISIBLE_COPY_BYTES / 8,
	SUM = WORDS - 1, /* the last word is the checksum of those before */
	/* Both copies are torn for a reader only if the writer comes by twice while it copies 80 bytes. */
	TRIES = 1000,
};

static const uint64_t alive_ns = UINT64_C(1000000000);

static const uint8_t visible_magic[8] = {'r', 'e', 'p', 's', 't', 'v', 'i', 's'};

static_assert(sizeof(struct visible) == SUM * sizeof(uint64_t), "a copy has these fields");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "other processes share no lock of ours");
static_assert(sizeof(_Atomic uint64_t) == 8, "and nothing stands beside a word");

void visible_begin(uint8_t page[VISIBLE_BYTES])
{
	memset(page, 0, VISIBLE_BYTES);
	memcpy(page, visible_magic, sizeof visible_magic);
	bytes_put_u32(page + 8, VISIBLE_VERSION);
	bytes_put_u32(page + 12, VISIBLE_READABLE_FROM);
}

bool visible_is_ours(const void *page)
{
	uint8_t ours[VISIBLE_BYTES];
	visible_begin(ours);
	return memcmp(page, ours, 16) == 0;
}

enum status visible_check(const void *page, struct error *err)
{
	const uint8_t *head = page;
	if (memcmp(head, visible_magic, sizeof visible_magic) != 0) {
		return error_set(err, STATUS_CORRUPT, "visible: not a file of repstore");
	}
	const uint32_t readable_from = bytes_get_u32(head + 12);
	if (readable_from > VISIBLE_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"visible: format version %" PRIu32 ", for readers of %" PRIu32
			" or newer; this build knows %d",
			bytes_get_u32(head + 8), readable_from, VISIBLE_VERSION);
	}
	return STATUS_OK;
}

static size_t copy_at(uint64_t seq)
{
	return seq % 2 == 0 ? VISIBLE_COPY_EVEN : VISIBLE_COPY_ODD;
}

/* The checksum comes last, and a reader takes it first: so whoever sees it sees what was written to the
 * log before, too. And who sees any of this copy sees all of the one before. */
void visible_store(void *page, const struct visible *state)
{
	uint64_t words[WORDS];
	void *at = (uint8_t *)page + copy_at(state->seq);
	_Atomic uint64_t *copy = at;
	memcpy(words, state, sizeof *state);
	words[SUM] = XXH3_64bits(words, sizeof *state);
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < SUM; i++) {
		atomic_store_explicit(&copy[i], words[i], memory_order_relaxed);
	}
	atomic_store_explicit(&copy[SUM], words[SUM], memory_order_release);
}

/* Whether the copy is whole, and belongs where it stands. */
static bool load_copy(const void *page, size_t offset, struct visible *out)
{
	uint64_t words[WORDS];
	const void *at = (const uint8_t *)page + offset;
	_Atomic uint64_t *copy = (_Atomic uint64_t *)at; /* loads take no const in C11 */
	words[SUM] = atomic_load_explicit(&copy[SUM], memory_order_acquire);
	for (size_t i = 0; i < SUM; i++) {
		words[i] = atomic_load_explicit(&copy[i], memory_order_relaxed);
	}
	if (words[SUM] != XXH3_64bits(words, sizeof *out)) {
		return false;
	}
	memcpy(out, words, sizeof *out);
	return copy_at(out->seq) == offset;
}

/* Whether a copy is still the newest whole one, when the other was seen torn: one that is being written comes behind
 * it, or a daemon has died at that. Otherwise several have come since it was taken. */
static bool is_still(const void *page, const struct visible *copy)
{
	struct visible again;
	atomic_thread_fence(memory_order_acquire);
	return load_copy(page, copy_at(copy->seq), &again) && again.seq == copy->seq;
}

bool visible_load(const void *page, struct visible *out)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct visible even;
		struct visible odd;
		const bool has_even = load_copy(page, VISIBLE_COPY_EVEN, &even);
		const bool has_odd = load_copy(page, VISIBLE_COPY_ODD, &odd);
		if (!has_even && !has_odd) {
			continue;
		}
		*out = has_even && (!has_odd || even.seq > odd.seq) ? even : odd;
		if ((has_even && has_odd) || is_still(page, out)) {
			return true;
		}
	}
	return false;
}

bool visible_is_alive(const struct visible *state, uint64_t now_ns)
{
	return state->monotonic_ns <= now_ns && now_ns - state->monotonic_ns <= alive_ns;
}
