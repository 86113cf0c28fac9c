/* measure.h - what the benchmarks of requests share: a clock, random keys, rows that can be
 * checked, and the times of single requests.
 *
 * Nothing here returns an error: a benchmark that cannot go on says why and exits with 1.
 */
#ifndef TESTS_BENCH_DRIVER_MEASURE_H
#define TESTS_BENCH_DRIVER_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	MEASURE_DIM = 64, /* f32 */
	MEASURE_ROW_BYTES = MEASURE_DIM * 4,
	MEASURE_ROWS_MADE = 1 << 20, /* from there on, rows are those of lower keys */
};

/* Prints to stderr and exits. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
void *allocate(size_t bytes); /* zeroed; freed by free() */
uint64_t now_ns(void);
int64_t now_unix_ms(void);
void wait_until(uint64_t at_ns);    /* of now_ns */
uint64_t client_cpu_ns(void);       /* that this process has taken of the processors */
uint64_t process_cpu_ns(pid_t pid); /* that another has */
uint64_t next_random(uint64_t *state);

/* Rows of the keys 0 to count - 1, side by side, each with its own finite values. Mapped, not
 * malloc'ed, in pages of 4 KiB: as a store without tricks would hold them. */
uint8_t *rows_make(size_t count);
void rows_drop(uint8_t *rows, size_t count);

/* The same random keys for everything that is compared. */
struct questions {
	uint64_t *keys; /* owned: [requests][keys_each] */
	size_t requests;
	uint32_t keys_each;
};
void questions_init(struct questions *questions, size_t requests, uint32_t keys_each,
	uint64_t rows);
void questions_fini(struct questions *questions);
static inline const uint64_t *questions_at(const struct questions *questions, size_t request)
{
	return questions->keys + request % questions->requests * questions->keys_each;
}

/* A list such as 1,64,4096. */
enum { NUMBERS_MAX = 16 };
struct numbers {
	size_t count;
	unsigned values[NUMBERS_MAX];
};
void numbers_read(const char *text, unsigned max, struct numbers *out); /* 1..max each */

/* Times of single requests; zeroed is empty. */
struct samples {
	uint32_t *ns; /* owned */
	size_t count;
	size_t cap;
	uint64_t total_ns;
};
void samples_add(struct samples *samples, uint64_t ns);
/* Prints `NAME_rate`, `NAME_p50`, `_p99`, `_p99.9` and `_max`: "name value unit" each. The rate
 * is of the time spent in requests. Sorts. */
void samples_print(struct samples *samples, const char *name);
double samples_median(struct samples *samples); /* ns; there is one at least. Sorts. */
void samples_fini(struct samples *samples);

#endif
