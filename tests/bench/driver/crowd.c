/* crowd.c - draws users and items, and keeps the sums of some of them. */
#include "tests/bench/driver/crowd.h"

#include "tests/bench/driver/zipf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	DRAWS = 1 << 23,
	/* Those are watched that are a power of two times this: popular and rare ones. */
	WATCHED_FIRST = 7,
	WATCHED_MAX = 32,
	DAY_MS = 86400 * 1000,
};
/* Beside a draw, whose number is lower. */
#define WATCHED UINT32_C(0x80000000)

struct watched {
	uint64_t key;
	double sum[MEASURE_DIM];
	double weight;
	int64_t last_ms;
};

struct tally {
	const struct crowd *crowd; /* borrowed */
	size_t next;
	uint32_t sent;
	size_t counts[CROWD_SIDES];
	struct watched watched[CROWD_SIDES][WATCHED_MAX];
};

/* ---- the crowd ---- */

static bool is_watched(uint64_t key)
{
	const uint64_t times = key / WATCHED_FIRST;
	return key % WATCHED_FIRST == 0 && times > 0 && (times & (times - 1)) == 0;
}

static uint64_t draw_by(const struct zipf *zipf, const struct crowd_law *law, uint64_t *random)
{
	if (law->has_hot && (next_random(random) >> 63) == 0) {
		return WATCHED_FIRST;
	}
	return zipf_draw(zipf, random);
}

void crowd_init(struct crowd *crowd, const uint64_t counts[CROWD_SIDES],
	const struct crowd_law laws[CROWD_SIDES], const uint8_t *rows)
{
	uint64_t random = 1;
	*crowd = (struct crowd){.rows = rows, .loaded_ms = now_unix_ms() - DAY_MS};
	for (int side = 0; side < CROWD_SIDES; side++) {
		struct zipf zipf;
		crowd->counts[side] = counts[side];
		crowd->draws[side] = allocate(DRAWS * sizeof *crowd->draws[side]);
		zipf_init(&zipf, counts[side], laws[side].exponent);
		for (size_t i = 0; i < DRAWS; i++) {
			const uint64_t key = draw_by(&zipf, &laws[side], &random);
			crowd->draws[side][i] = (uint32_t)key | (is_watched(key) ? WATCHED : 0);
		}
		zipf_fini(&zipf);
	}
}

void crowd_fini(struct crowd *crowd)
{
	for (int side = 0; side < CROWD_SIDES; side++) {
		free(crowd->draws[side]);
	}
}

/* ---- the tally ---- */

static void watch(struct tally *tally, enum crowd_side side, uint64_t key)
{
	struct watched *watched = &tally->watched[side][tally->counts[side]++];
	float loaded[MEASURE_DIM];
	memcpy(loaded, crowd_loaded_row(tally->crowd, key), sizeof loaded);
	*watched = (struct watched){.key = key, .weight = 1, .last_ms = tally->crowd->loaded_ms};
	for (size_t i = 0; i < MEASURE_DIM; i++) {
		watched->sum[i] = (double)loaded[i];
	}
}

struct tally *tally_new(const struct crowd *crowd)
{
	struct tally *tally = allocate(sizeof *tally);
	tally->crowd = crowd;
	for (int side = 0; side < CROWD_SIDES; side++) {
		for (uint64_t key = WATCHED_FIRST; key < crowd->counts[side]; key *= 2) {
			watch(tally, side, key);
		}
	}
	return tally;
}

void tally_free(struct tally *tally)
{
	free(tally);
}

static void add(struct tally *tally, enum crowd_side side, uint64_t key, int64_t time_ms,
	const uint8_t *row)
{
	size_t at = 0;
	while (tally->watched[side][at].key != key) {
		at++;
	}
	struct watched *watched = &tally->watched[side][at];
	float sample[MEASURE_DIM];
	memcpy(sample, row, sizeof sample);
	/* The clock may be set back: then the sample is late. Samples of one request have one time. */
	const double age = fabs((double)(time_ms - watched->last_ms));
	const double fade = age > 0 ? exp2(-age / (double)crowd_half_life_ms) : 1;
	const bool late = time_ms < watched->last_ms;
	const double keep = late ? 1 : fade;
	const double take = late ? fade : 1;
	for (size_t i = 0; i < MEASURE_DIM; i++) {
		watched->sum[i] = keep * watched->sum[i] + take * (double)sample[i];
	}
	watched->weight = keep * watched->weight + take;
	watched->last_ms = late ? watched->last_ms : time_ms;
}

static uint64_t draw(struct tally *tally, enum crowd_side side, int64_t time_ms, const uint8_t *row)
{
	const uint32_t drawn = tally->crowd->draws[side][tally->next];
	const uint64_t key = drawn & ~WATCHED;
	if ((drawn & WATCHED) != 0) {
		add(tally, side, key, time_ms, row);
	}
	return key;
}

void tally_send(struct tally *tally, struct put_request *request)
{
	const int64_t time_ms = now_unix_ms();
	put_request_set_number(request, ++tally->sent);
	for (uint32_t i = 0; i < request->rows; i++) {
		const uint8_t *row = put_request_row(request, i);
		const uint64_t user = draw(tally, CROWD_USERS, time_ms, row);
		const uint64_t item = draw(tally, CROWD_ITEMS, time_ms, row);
		memcpy(put_request_key(request, i), &user, sizeof user);
		memcpy(request->data + request->others_at + i * sizeof item, &item, sizeof item);
		memcpy(request->data + request->times_at + i * sizeof time_ms, &time_ms,
			sizeof time_ms);
		tally->next = (tally->next + 1) % DRAWS;
	}
}

static void check(const struct watched *watched, const char *system, const char *what,
	const struct crowd_state *state)
{
	double largest = 1;
	double difference = 0;
	for (size_t i = 0; i < MEASURE_DIM; i++) {
		largest = fmax(largest, fabs(watched->sum[i]));
		difference = fmax(difference, fabs(watched->sum[i] - (double)state->sum[i]));
	}
	/* Each step of what is held rounds to f32: n of them may be off by n 2^-24. Less than a
	 * hundredth of that was ever seen. */
	const double allowed = 1e-3 + watched->weight * 0x1p-24 / 100;
	/* Not <=, which a NaN would pass. */
	if (!(difference < largest * allowed) ||
		!(fabs(watched->weight - state->weight) < watched->weight * allowed)) {
		die("%s: %s %" PRIu64 " has weight %g, not %g; sums differ by %g of %g", system,
			what, watched->key, state->weight, watched->weight, difference, largest);
	}
}

void tally_check(const struct tally *tally, const char *system, crowd_read_fn *read, void *arg)
{
	static const char *const names[CROWD_SIDES] = {"user", "item"};
	for (int side = 0; side < CROWD_SIDES; side++) {
		for (size_t i = 0; i < tally->counts[side]; i++) {
			const struct watched *watched = &tally->watched[side][i];
			struct crowd_state state;
			read(arg, side, watched->key, &state);
			check(watched, system, names[side], &state);
		}
	}
}
