/* bench_steady.c - whether puts that come as fast as they can ever stand still; tests/bench/steady starts the daemon and
 * makes a table of what this prints.
 *
 *   bench_steady ADDRESS ROWS EACH CONNECTIONS SECONDS
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). CONNECTIONS put EACH random rows a
 * request for SECONDS, each again when it has its answer, or was told BUSY. Beside them one more connection puts a row
 * each 20 ms, of keys of its own. Prints second_N, the rows that were acknowledged in each second; gap, the longest time
 * in which nothing was; the times of requests of both; and bytes written by cause. In the end rows are read back and checked.
 */
#include "client/include/repstore.h"
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/lanes.h"
#include "tests/bench/driver/ledger.h"
#include "tests/bench/driver/measure.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CONNECTIONS_MAX = 1000,
	SECONDS_MAX = 3600,
	BESIDE_KEYS = 1000, /* behind those of the table */
};
static const uint64_t second_ns = 1000000000u;
static const uint64_t beside_ns = 20000000;

struct steady {
	struct ledger ledger;
	uint64_t random;
	uint64_t start_ns;
	uint64_t last_ns; /* when something was acknowledged last */
	uint64_t gap_ns;
	uint64_t rows;
	uint64_t seconds[SECONDS_MAX + 1]; /* rows of each */
	size_t seconds_count;
};

struct beside {
	const char *address; /* borrowed */
	uint64_t first_key;
	const uint8_t *rows; /* borrowed */
	atomic_bool over;
	struct samples samples;
	uint64_t busy;
};

/* ---- those that put as fast as they can ---- */

static void next_put(void *arg, struct put_request *request)
{
	struct steady *steady = arg;
	ledger_send_random(&steady->ledger, request, &steady->random);
}

static void acknowledged(void *arg, const struct put_request *request)
{
	struct steady *steady = arg;
	const uint64_t now = now_ns();
	const uint64_t gap = now - steady->last_ns;
	const uint64_t second = (now - steady->start_ns) / second_ns;
	steady->gap_ns = gap > steady->gap_ns ? gap : steady->gap_ns;
	steady->last_ns = now;
	steady->rows += request->rows;
	if (second < steady->seconds_count) {
		steady->seconds[second] += request->rows;
	}
	ledger_acknowledge(&steady->ledger, request->number);
}

/* ---- the one beside them ---- */

static void put_one(struct beside *beside, rep_client *client, uint64_t i)
{
	const uint64_t key = beside->first_key + i % BESIDE_KEYS;
	const struct rep_rows put = {.keys = rep_keys_u64(&key, 1),
		.dtype = REP_F32,
		.rows = beside->rows,
		.rows_bytes = MEASURE_ROW_BYTES};
	struct rep_error err;
	enum rep_status status;
	const uint64_t before = now_ns();
	do {
		status = rep_put(client, NULL, "ir", &put, NULL, &err);
		beside->busy += status == REP_BUSY;
	} while (status == REP_BUSY);
	if (status != REP_OK) {
		die("put: %s", err.text);
	}
	samples_add(&beside->samples, now_ns() - before);
}

/* One that is late is not made up for. */
static void *put_beside(void *arg)
{
	struct beside *beside = arg;
	const struct rep_options options = {.address = beside->address};
	struct rep_error err;
	rep_client *client = NULL;
	if (rep_connect(&options, &client, &err) != REP_OK) {
		die("%s: %s", beside->address, err.text);
	}
	for (uint64_t i = 0; !atomic_load(&beside->over); i++) {
		const uint64_t next_ns = now_ns() + beside_ns;
		put_one(beside, client, i);
		wait_until(next_ns);
	}
	rep_close(client);
	return NULL;
}

/* ---- what is printed ---- */

static void print(const struct steady *steady, const struct write_stats *before,
	const struct write_stats *after)
{
	const double took = (double)(now_ns() - steady->start_ns) / 1e9;
	for (size_t i = 0; i < steady->seconds_count; i++) {
		printf("second_%zu %" PRIu64 " rows\n", i, steady->seconds[i]);
	}
	printf("together %.0f rows/s\n", (double)steady->rows / took);
	printf("rows %" PRIu64 " rows\n", steady->rows);
	printf("gap %.1f ms\n", (double)steady->gap_ns / 1e6);
	printf("log %" PRIu64 " bytes\n", after->log_bytes - before->log_bytes);
	for (size_t i = 0; i < WRITE_STEPS; i++) {
		const struct write_step *step = &after->steps[i];
		printf("%s_count %" PRIu64 " steps\n", write_step_names[i],
			step->count - before->steps[i].count);
		printf("%s_bytes %" PRIu64 " bytes\n", write_step_names[i],
			step->bytes - before->steps[i].bytes);
	}
	printf("merges %" PRIu64 " merges\n", after->merges - before->merges);
}

static void run(struct steady *steady, struct beside *beside, struct lanes *lanes, uint64_t seconds)
{
	struct daemon *daemon = daemon_connect(beside->address);
	struct write_stats before;
	struct write_stats after;
	struct samples samples = {0};
	pthread_t thread;
	daemon_stats(daemon, &before);
	if (pthread_create(&thread, NULL, put_beside, beside) != 0) {
		die("no thread");
	}
	steady->seconds_count = seconds;
	steady->start_ns = steady->last_ns = now_ns();
	(void)lanes_run(lanes, seconds * second_ns, &samples);
	daemon_stats(daemon, &after);
	print(steady, &before, &after);
	atomic_store(&beside->over, true);
	(void)pthread_join(thread, NULL);
	samples_print(&samples, "put");
	samples_print(&beside->samples, "beside");
	printf("busy %" PRIu64 " answers\n", lanes_busy(lanes));
	printf("beside_busy %" PRIu64 " answers\n", beside->busy);
	samples_fini(&samples);
	daemon_close(daemon);
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 6) {
		(void)fputs("usage: bench_steady ADDRESS ROWS EACH CONNECTIONS SECONDS\n", stderr);
		return 2;
	}
	const uint64_t rows_count = strtoull(argv[2], NULL, 10);
	const unsigned long each = strtoul(argv[3], NULL, 10);
	const unsigned long connections = strtoul(argv[4], NULL, 10);
	const uint64_t seconds = strtoull(argv[5], NULL, 10);
	if (rows_count < PUT_ROWS_MAX || each == 0 || each > PUT_ROWS_MAX || connections == 0 ||
		connections > CONNECTIONS_MAX || seconds == 0 || seconds > SECONDS_MAX) {
		die("a number is out of range");
	}
	uint8_t *rows = rows_make(MEASURE_ROWS_MADE);
	struct steady *steady = allocate(sizeof *steady);
	struct beside beside = {.address = argv[1], .first_key = rows_count, .rows = rows};
	const struct lanes_source source = {.rows = rows,
		.next = next_put,
		.acknowledged = acknowledged,
		.arg = steady};
	ledger_init(&steady->ledger, rows, rows_count);
	struct lanes *lanes =
		lanes_open(&put_repstored, argv[1], (unsigned)connections, (uint32_t)each, &source);
	run(steady, &beside, lanes, seconds);
	lanes_close(lanes);
	ledger_check_reader(&steady->ledger, &peer_repstored, argv[1]);
	samples_fini(&beside.samples);
	ledger_fini(&steady->ledger);
	free(steady);
	rows_drop(rows, MEASURE_ROWS_MADE);
	return 0;
}
