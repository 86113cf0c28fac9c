/* bench_spin.c - fetches with pauses between them, by a client that may look for its answers.
 *
 *   bench_spin ADDRESS TABLE ROWS KEYS SPIN_US GAP_US SECONDS
 *
 * KEYS random keys below ROWS a request; after each answer the client sleeps GAP_US, as precisely as the
 * system lets it. Prints `fetch_p50` and so on, and `client_cpu`, the part of a processor that it took.
 */
#include "client/include/repstore.h"
#include "tests/bench/driver/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum { REQUESTS = 4096, KEYS_MAX = 4096, NUMBER = 10 };

static unsigned number_of(const char *text)
{
	return (unsigned)strtoul(text, NULL, NUMBER);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		die("usage: bench_spin ADDRESS TABLE ROWS KEYS SPIN_US GAP_US SECONDS");
	}
	const uint32_t count = number_of(argv[4]);
	const uint64_t gap_ns = (uint64_t)number_of(argv[6]) * 1000;
	const struct rep_options options = {.address = argv[1], .spin_us = number_of(argv[5])};
	struct rep_error err = {0};
	rep_client *client = NULL;
	struct questions questions;
	struct samples samples = {0};
	if (count == 0 || count > KEYS_MAX) {
		die("KEYS: 1 to %d", KEYS_MAX);
	}
	if (rep_connect(&options, &client, &err) != REP_OK) {
		die("%s", err.text);
	}
	questions_init(&questions, REQUESTS, count, number_of(argv[3]));
	uint8_t *rows = allocate((size_t)count * MEASURE_ROW_BYTES);
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	const uint64_t began_ns = now_ns();
	const uint64_t cpu_ns = client_cpu_ns();
	const uint64_t end_ns = began_ns + (uint64_t)number_of(argv[7]) * 1000000000U;
	for (size_t request = 0; now_ns() < end_ns; request++) {
		struct rep_part part = {.table = argv[2],
			.keys = rep_keys_u64(questions_at(&questions, request), count),
			.rows = rows,
			.rows_bytes = (size_t)count * MEASURE_ROW_BYTES};
		const uint64_t before_ns = now_ns();
		if (rep_fetch(client, NULL, &part, 1, NULL, &err) != REP_OK) {
			die("fetch: %s", err.text);
		}
		const uint64_t after_ns = now_ns();
		samples_add(&samples, after_ns - before_ns);
		if (gap_ns > 0) {
			wait_until(after_ns + gap_ns);
		}
	}
	const double wall_ns = (double)(now_ns() - began_ns);
	const double taken_ns = (double)(client_cpu_ns() - cpu_ns);
	samples_print(&samples, "fetch");
	printf("client_cpu %.1f %%\n", 100 * taken_ns / wall_ns);
	samples_fini(&samples);
	questions_fini(&questions);
	free(rows);
	rep_close(client);
	return 0;
}
