/* siphash.c - the hash of one message. */
#include "schema/siphash.h"

#include "schema/siphash_round.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they stand");
static_assert(sizeof(struct key_seed) == SIPHASH_SEED_BYTES, "a seed is drawn as it stands");

bool key_seed_draw(struct key_seed *out)
{
	/* So few bytes come at once, without a signal in between. */
	return getrandom(out, sizeof *out, 0) == (ssize_t)sizeof *out;
}

static struct key_seed of_process;

static void draw_of_process(void)
{
	const bool drawn = key_seed_draw(&of_process);
	assert(drawn); /* without random bits the store does not open, and no tool sends */
	(void)drawn;
}

const struct key_seed *key_seed_of_process(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, draw_of_process);
	return &of_process;
}

uint32_t key_seed_check(const struct key_seed *seed)
{
	return (uint32_t)siphash(seed, NULL, 0);
}

uint64_t siphash(const struct key_seed *seed, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t v[4];
	siphash_u64_begin(v, seed->words);
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, sizeof word);
		siphash_u64_word(v, word);
	}
	siphash_u64_word(v, siphash_last_word(at, len));
	return siphash_u64_end(v);
}

uint64_t siphash_u64(const struct key_seed *seed, uint64_t number)
{
	uint64_t v[4];
	siphash_u64_begin(v, seed->words);
	siphash_u64_word(v, number);
	siphash_u64_word(v, UINT64_C(8) << 56);
	return siphash_u64_end(v);
}
