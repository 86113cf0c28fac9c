/* bench_sums.c - how exactly sums of many samples of one key are kept, against sums in f80.
 *
 *     bench_sums [MILLIONS [DAYS | jump]]
 *
 * Streams of so many million samples (100) of one key, a millisecond apart or several within one, by
 * half-lives of a second to a year, by events, and by both; in order and shuffled by up to a minute. Of
 * each it prints the largest difference from the reference, by the row's largest value, for both
 * states, and how long a sample took. Nothing fails here.
 *
 * With DAYS, a half-life (0: none), it is one stream alone, in f32x2: the same sample again and again,
 * whose rounding does not average out. A line is printed whenever there are twice as many, so that
 * a run of an hour (MILLIONS of 100000) is of use before its end. With `jump` there is no half-life, and what
 * repeats itself is passed over: that run takes seconds, and has the same figures.
 */
#include "daemon/aggregate/aggregate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIM = 4, EACH_MS = 28, SECOND_MS = 1000, HOUR_MS = 3600 * 1000, MINUTE_MS = 60 * 1000 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

struct stream {
	const char *name;
	double events;
	uint64_t half_life_ms;
	bool shuffled;
	bool halves; /* the first half is of (1, 0, ..), the second of (0, 1, ..) */
};

/* Sample i: its time and vector. */
static int64_t sample_at(const struct stream *stream, uint64_t i, uint64_t count, uint64_t *random,
	float out[DIM])
{
	int64_t time_ms = (int64_t)(1700000000000 + i / EACH_MS); /* 28,000 a second */
	for (size_t j = 0; j < DIM; j++) {
		out[j] = (float)next_random(random) / (float)(1u << 31) + (j == 0 ? 0.5F : -0.5F);
	}
	if (stream->halves) {
		memset(out, 0, DIM * sizeof *out);
		out[i < count / 2 ? 0 : 1] = 1;
	}
	if (stream->shuffled) {
		time_ms -= (int64_t)(next_random(random) % MINUTE_MS);
	}
	return time_ms;
}

struct reference {
	long double sum[DIM];
	int64_t last_ms;
};

static void reference_add(struct reference *row, const struct stream *stream, int64_t time_ms,
	const float *sample, bool first)
{
	const long double age = first ? 0 : (long double)(time_ms - row->last_ms);
	const long double fade = stream->half_life_ms == 0
					 ? 1
					 : exp2l(-fabsl(age) / (long double)stream->half_life_ms);
	const bool late = age < 0;
	const long double keep = stream->events * (late ? 1 : fade);
	const long double take = late ? fade : 1;
	for (size_t j = 0; j < DIM; j++) {
		row->sum[j] = keep * row->sum[j] + take * (long double)sample[j];
	}
	row->last_ms = late ? row->last_ms : time_ms;
}

/* The largest difference of a state from the reference, by the row's largest value. */
static double difference(const struct table_spec *spec, const float *state,
	const struct reference *reference)
{
	double sums[DIM];
	long double largest = 0;
	long double worst = 0;
	const uint8_t *bytes = (const uint8_t *)state;
	aggregate_read_sums(spec, bytes, spec_low_behind(spec, bytes), (uint8_t *)sums);
	for (size_t j = 0; j < DIM; j++) {
		const long double off = fabsl((long double)sums[j] - reference->sum[j]);
		worst = off > worst ? off : worst;
		largest = fabsl(reference->sum[j]) > largest ? fabsl(reference->sum[j]) : largest;
	}
	return (double)(worst / largest);
}

static double run_once(const struct stream *stream, enum state_kind kind, uint64_t count,
	double *nanoseconds)
{
	const struct table_spec spec = {.kind = KIND_CR,
		.dtype = DTYPE_F32,
		.dim = DIM,
		.views = 1,
		.decay_events = stream->events,
		.half_life_ms = stream->half_life_ms,
		.reading = READING_SUM,
		.state = kind};
	float state[2 * DIM + 2];
	struct aggregate row = {.state = state};
	struct reference reference = {{0}, 0};
	enum { BATCH = 4096 };
	static float rows[BATCH][DIM];
	static int64_t times[BATCH];
	uint64_t random = 17;
	double spent = 0;
	for (uint64_t at = 0; at < count; at += BATCH) {
		struct timespec begin;
		struct timespec end;
		for (uint64_t k = 0; k < BATCH; k++) {
			times[k] = sample_at(stream, at + k, count, &random, rows[k]);
			reference_add(&reference, stream, times[k], rows[k], at + k == 0);
		}
		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (uint64_t k = 0; k < BATCH; k++) {
			aggregate_add(&row, &spec, times[k], rows[k]);
		}
		clock_gettime(CLOCK_MONOTONIC, &end);
		spent += (double)(end.tv_sec - begin.tv_sec) * 1e9 +
			 (double)(end.tv_nsec - begin.tv_nsec);
	}
	*nanoseconds = spent / (double)count;
	return difference(&spec, state, &reference);
}

/* ---- one sample for ever ---- */

enum { STEADY_MS = 1000 };

/* A stream of one sample, in f32x2, and what it must come to. */
struct constant {
	struct table_spec spec;
	float state[2 * DIM + 2];
	struct aggregate row;
	struct reference reference;
	uint64_t done;          /* samples */
	double sums[DIM];       /* after the last millisecond */
	double increments[DIM]; /* by which it raised them */
	unsigned steady;        /* milliseconds on end that raised them by the same */
};

static const float constant_sample[DIM] = {0.1F, 0.3F, -0.7F, 1};

/* The reference takes the samples of some milliseconds, within which nothing fades, at once. */
static void add_reference(struct constant *all, long double keep, uint64_t count_ms)
{
	for (size_t j = 0; j < DIM; j++) {
		all->reference.sum[j] =
			keep * all->reference.sum[j] +
			(long double)(count_ms * EACH_MS) * (long double)constant_sample[j];
	}
	all->done += count_ms * EACH_MS;
}

/* Sees whether the millisecond did what the one before it did. */
static void look(struct constant *all)
{
	double sums[DIM];
	bool same = true;
	const uint8_t *bytes = (const uint8_t *)all->state;
	aggregate_read_sums(&all->spec, bytes, spec_low_behind(&all->spec, bytes), (uint8_t *)sums);
	for (size_t j = 0; j < DIM; j++) {
		const double increment = sums[j] - all->sums[j];
		same = same && increment == all->increments[j];
		all->increments[j] = increment;
		all->sums[j] = sums[j];
	}
	all->steady = same ? all->steady + 1 : 0;
}

/* Without decay, a sum is rounded to the same places until it reaches the next power of two. So each
 * millisecond raises it by as much as the one before, and all but the last ones before that are passed
 * over: up to `most` of them. */
static void jump(struct constant *all, uint64_t most)
{
	double sums[DIM];
	double least = (double)most;
	for (size_t j = 0; j < DIM; j++) {
		const double sum = fabs(all->sums[j]);
		const double left = ldexp(1, ilogb(sum) + 1) - sum;
		const double count = left / fabs(all->increments[j]) - STEADY_MS;
		least = count < least ? count : least;
	}
	if (least < 1) {
		return;
	}
	const uint64_t count_ms = (uint64_t)least;
	for (size_t j = 0; j < DIM; j++) {
		const long double sum = (long double)all->sums[j] +
					(long double)count_ms * (long double)all->increments[j];
		sums[j] = (double)sum;
		if ((long double)sums[j] != sum) {
			fprintf(stderr, "a sum that was passed over is not exact\n");
			exit(1);
		}
	}
	const double weight = aggregate_weight(&all->spec, (const uint8_t *)all->state);
	aggregate_make(&all->spec, (const uint8_t *)sums, weight + (double)(count_ms * EACH_MS),
		(uint8_t *)all->state);
	memcpy(all->sums, sums, sizeof sums);
	add_reference(all, 1, count_ms);
}

static void run_constant(uint64_t count, uint64_t days, bool jumps)
{
	struct constant all = {.spec = {.kind = KIND_CR,
				       .dtype = DTYPE_F32,
				       .dim = DIM,
				       .views = 1,
				       .decay_events = 1,
				       .half_life_ms = days * 24 * HOUR_MS,
				       .reading = READING_SUM,
				       .state = STATE_F32X2}};
	const long double keep = days == 0 ? 1 : exp2l(-1 / (long double)all.spec.half_life_ms);
	uint64_t shown = 100000000;
	const clock_t begin = clock();
	all.row.state = all.state;
	printf("| samples | f32x2 | s |\n|---:|---:|---:|\n");
	while (all.done < count) {
		for (int k = 0; k < EACH_MS; k++) {
			aggregate_add(&all.row, &all.spec,
				(int64_t)(1700000000000 + all.done / EACH_MS), constant_sample);
		}
		add_reference(&all, keep, 1);
		if (jumps) {
			look(&all);
		}
		if (all.done >= shown || all.done >= count) {
			printf("| %.4g | %.1e | %.1f |\n", (double)all.done,
				difference(&all.spec, all.state, &all.reference),
				(double)(clock() - begin) / CLOCKS_PER_SEC);
			fflush(stdout);
			shown *= 2;
		} else if (all.steady >= STEADY_MS) {
			const uint64_t end = shown < count ? shown : count;
			jump(&all, (end - all.done) / EACH_MS);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct stream streams[] = {
		{"half-life of a second", 1, SECOND_MS, false, false},
		{"half-life of an hour", 1, HOUR_MS, false, false},
		{"half-life of 7 days", 1, UINT64_C(168) * HOUR_MS, false, false},
		{"the same, two kinds in a row", 1, UINT64_C(168) * HOUR_MS, false, true},
		{"half-life of a year", 1, UINT64_C(8760) * HOUR_MS, false, false},
		{"events 0.99", 0.99, 0, false, false},
		{"events 0.999999, an hour", 0.999999, HOUR_MS, false, false},
		{"7 days, shuffled by a minute", 1, UINT64_C(168) * HOUR_MS, true, false},
		{"events and an hour, shuffled", 0.999999, HOUR_MS, true, false},
		{"no decay", 1, 0, false, false},
	};
	const uint64_t millions = argc > 1 ? strtoull(argv[1], NULL, 10) : 100;
	const uint64_t count = (millions > 0 ? millions : 1) * 1000000 / 4096 * 4096;
	if (argc > 2) {
		run_constant(count, strtoull(argv[2], NULL, 10), strcmp(argv[2], "jump") == 0);
		return 0;
	}
	printf("%llu samples of one key\n\n| decay | f32 | f32x2 | f32 ns | f32x2 ns |\n"
	       "|---|---:|---:|---:|---:|\n",
		(unsigned long long)count);
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
		double narrow_ns;
		double wide_ns;
		const double narrow = run_once(&streams[i], STATE_F32, count, &narrow_ns);
		const double wide = run_once(&streams[i], STATE_F32X2, count, &wide_ns);
		printf("| %s | %.1e | %.1e | %.1f | %.1f |\n", streams[i].name, narrow, wide,
			narrow_ns, wide_ns);
		fflush(stdout);
	}
	return 0;
}
