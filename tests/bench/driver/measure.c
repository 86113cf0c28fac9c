/* measure.c - a clock, random keys, rows that can be checked, times of single requests. */
#include "tests/bench/driver/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

void die(const char *format, ...)
{
	char text[1024] = "";
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	(void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
	exit(1);
}

void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);
	if (memory == NULL) {
		die("no memory for %zu bytes", bytes);
	}
	return memory;
}

uint64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t now_unix_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void wait_until(uint64_t at_ns)
{
	const struct timespec at = {
		.tv_sec = (time_t)(at_ns / 1000000000u),
		.tv_nsec = (long)(at_ns % 1000000000u),
	};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0) {
	}
}

uint64_t process_cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec taken;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &taken) != 0) {
		die("process %d has no clock", (int)pid);
	}
	return (uint64_t)taken.tv_sec * 1000000000u + (uint64_t)taken.tv_nsec;
}

uint64_t client_cpu_ns(void)
{
	struct timespec taken;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &taken);
	return (uint64_t)taken.tv_sec * 1000000000u + (uint64_t)taken.tv_nsec;
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t next_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state);
}

uint8_t *rows_make(size_t count)
{
	void *memory = mmap(NULL, count * MEASURE_ROW_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		die("no memory for %zu rows", count);
	}
	float *elements = memory;
	for (size_t i = 0; i < count; i++) {
		uint64_t state = mix(i + 1);
		for (size_t j = 0; j < MEASURE_DIM; j++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
			elements[i * MEASURE_DIM + j] = (float)(state >> 40) * 0x1p-24f - 0.5f;
		}
	}
	return memory;
}

void rows_drop(uint8_t *rows, size_t count)
{
	if (rows != NULL) {
		(void)munmap(rows, count * MEASURE_ROW_BYTES);
	}
}

void questions_init(struct questions *questions, size_t requests, uint32_t keys_each, uint64_t rows)
{
	*questions = (struct questions){.requests = requests, .keys_each = keys_each};
	questions->keys = allocate(requests * keys_each * sizeof *questions->keys);
	uint64_t state = keys_each;
	for (size_t i = 0; i < requests * keys_each; i++) {
		questions->keys[i] = next_random(&state) % rows;
	}
}

void questions_fini(struct questions *questions)
{
	free(questions->keys);
	questions->keys = NULL;
}

void numbers_read(const char *text, unsigned max, struct numbers *out)
{
	*out = (struct numbers){0};
	for (char *end = NULL; text != NULL; text = *end == ',' ? end + 1 : NULL) {
		const unsigned long value = strtoul(text, &end, 10);
		if (value == 0 || value > max || out->count == NUMBERS_MAX ||
			(*end != ',' && *end != '\0')) {
			die("'%s': a list of numbers up to %u is allowed", text, max);
		}
		out->values[out->count++] = (unsigned)value;
	}
}

void samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->count == samples->cap) {
		samples->cap = samples->cap == 0 ? 65536 : samples->cap * 2;
		samples->ns = realloc(samples->ns, samples->cap * sizeof *samples->ns);
		if (samples->ns == NULL) {
			die("no memory for %zu samples", samples->cap);
		}
	}
	samples->ns[samples->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
	samples->total_ns += ns;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t left = *(const uint32_t *)a;
	const uint32_t right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

static void sort(struct samples *samples)
{
	qsort(samples->ns, samples->count, sizeof *samples->ns, by_value);
}

void samples_print(struct samples *samples, const char *name)
{
	if (samples->count == 0) {
		return;
	}
	static const struct {
		const char *name;
		double share;
	} percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
	sort(samples);
	printf("%s_rate %.0f /s\n", name, (double)samples->count * 1e9 / (double)samples->total_ns);
	for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
		size_t at = (size_t)((double)samples->count * percentiles[i].share);
		at = at < samples->count ? at : samples->count - 1;
		printf("%s_%s %.2f us\n", name, percentiles[i].name, (double)samples->ns[at] / 1e3);
	}
}

double samples_median(struct samples *samples)
{
	sort(samples);
	const size_t middle = samples->count / 2;
	return samples->ns[middle];
}

void samples_fini(struct samples *samples)
{
	free(samples->ns);
	*samples = (struct samples){0};
}
