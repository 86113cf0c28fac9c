/* bench_mixed.c - how long fetches take beside puts and merges; tests/bench/mixed starts the daemon
 * and makes a table of what this prints.
 *
 *   bench_mixed ADDRESS ROWS KEYS SECONDS TURN_MS RATE EACH
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). One connection
 * asks for KEYS random keys and again when it has its answer, in phases:
 *
 *   alone
 *   puts_N          beside RATE rows a second, put N at a time, for each N of the list EACH: over
 *                   one connection, on a fixed schedule; a put that is late is made up for
 *   puts_N_merges   the same, and merges: one is asked for when the one before has ended
 *   merges          merges alone, of a few rows each
 *
 * Phases take turns of TURN_MS until each has had SECONDS; a turn with merges lasts until the one
 * that runs has ended. Between turns, uncounted, what was put is merged. A row of each answer is
 * checked, and in the end some thousand that they are the last ones.
 */
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/ledger.h"
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/put.h"
#include "tests/bench/driver/stream.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PHASES_MAX = 2 + 2 * NUMBERS_MAX,
	REQUESTS = 4096,   /* distinct: far more rows than a cache holds */
	MERGED_ALONE = 64, /* rows that give a merge something to do */
	WARM_MS = 100,
	RATE_MAX = 100000000,
};
static const uint64_t ms_ns = 1000000;

struct phase {
	char name[32];
	unsigned each; /* rows a put; 0: none */
	bool merges;
	struct samples fetches;
	struct samples puts;
	uint64_t took_ns;
	uint64_t client_ns;
	uint64_t merge_count;
	uint64_t merge_ms;
	uint64_t merge_bytes;
};

struct mixed {
	const char *address; /* borrowed */
	uint64_t rows_count;
	unsigned rate;
	unsigned keys_each;
	uint8_t *rows;
	uint8_t *out;
	struct questions questions;
	struct peer *peer;
	size_t next_request;
	struct ledger ledger;
	struct stream stream; /* of the puts */
	struct daemon *daemon;
	uint64_t random;
	/* of the turn that runs */
	struct phase *phase;
	uint64_t end_ns;
	atomic_bool over;
};

/* ---- what runs beside the fetches ---- */

static void put_one(struct mixed *mixed, struct put_request *request)
{
	ledger_send_random(&mixed->ledger, request, &mixed->random);
	put_call(&mixed->stream, request);
	ledger_acknowledge(&mixed->ledger, request->number);
}

static void *put_paced(void *arg)
{
	struct mixed *mixed = arg;
	struct phase *phase = mixed->phase;
	struct put_request request;
	put_request_init(&request, &put_repstored, phase->each, mixed->rows);
	const uint64_t start = now_ns();
	for (uint64_t i = 0; !atomic_load(&mixed->over); i++) {
		wait_until(start + i * phase->each * 1000000000u / mixed->rate);
		const uint64_t before = now_ns();
		put_one(mixed, &request);
		samples_add(&phase->puts, now_ns() - before);
	}
	put_request_fini(&request);
	return NULL;
}

static void *merge_on(void *arg)
{
	struct mixed *mixed = arg;
	struct phase *phase = mixed->phase;
	struct put_request request;
	put_request_init(&request, &put_repstored, MERGED_ALONE, mixed->rows);
	do {
		struct merge_result result;
		if (phase->each == 0) {
			put_one(mixed, &request);
		}
		daemon_merge(mixed->daemon, &result);
		phase->merge_count += result.rows > 0;
		phase->merge_ms += result.elapsed_ms;
		phase->merge_bytes += result.bytes;
	} while (now_ns() < mixed->end_ns);
	atomic_store(&mixed->over, true);
	put_request_fini(&request);
	return NULL;
}

/* ---- turns ---- */

static uint64_t fetch_one(struct mixed *mixed)
{
	const size_t request = mixed->next_request++;
	const uint64_t before = now_ns();
	peer_repstored.fetch(mixed->peer, request, mixed->out);
	const uint64_t took = now_ns() - before;
	const size_t probe = request % mixed->keys_each;
	ledger_check_written(mixed->rows, questions_at(&mixed->questions, request)[probe],
		mixed->out + probe * MEASURE_ROW_BYTES);
	return took;
}

/* Threads beside the one that fetches. */
struct helpers {
	pthread_t threads[2];
	size_t count;
};

static void start(struct helpers *helpers, void *(*run)(void *), struct mixed *mixed)
{
	if (pthread_create(&helpers->threads[helpers->count++], NULL, run, mixed) != 0) {
		die("no thread");
	}
}

static void take_turn(struct mixed *mixed, struct phase *phase, uint64_t turn_ns)
{
	struct helpers helpers = {.count = 0};
	for (const uint64_t warm_end = now_ns() + WARM_MS * ms_ns; now_ns() < warm_end;) {
		(void)fetch_one(mixed);
	}
	mixed->phase = phase;
	const uint64_t client_start = client_cpu_ns();
	const uint64_t start_ns = now_ns();
	mixed->end_ns = start_ns + turn_ns;
	atomic_store(&mixed->over, false);
	if (phase->each > 0) {
		start(&helpers, put_paced, mixed);
	}
	if (phase->merges) {
		start(&helpers, merge_on, mixed);
	}
	while (phase->merges ? !atomic_load(&mixed->over) : now_ns() < mixed->end_ns) {
		samples_add(&phase->fetches, fetch_one(mixed));
	}
	atomic_store(&mixed->over, true);
	while (helpers.count > 0) {
		(void)pthread_join(helpers.threads[--helpers.count], NULL);
	}
	phase->took_ns += now_ns() - start_ns;
	phase->client_ns += client_cpu_ns() - client_start;
	struct merge_result rest;
	daemon_merge(mixed->daemon, &rest);
}

static void print_phase(struct phase *phase)
{
	const double seconds = (double)phase->took_ns / 1e9;
	samples_print(&phase->fetches, phase->name);
	printf("%s_client %.2f processors\n", phase->name,
		(double)phase->client_ns / 1e9 / seconds);
	if (phase->each > 0) {
		char name[64];
		printf("%s_put_rows %.0f rows/s\n", phase->name,
			(double)(phase->puts.count * phase->each) / seconds);
		(void)snprintf(name, sizeof name, "%.31s_put", phase->name);
		samples_print(&phase->puts, name);
	}
	if (phase->merges) {
		printf("%s_merges %" PRIu64 " merges\n", phase->name, phase->merge_count);
		printf("%s_merge_ms %.0f ms\n", phase->name,
			(double)phase->merge_ms / (double)phase->merge_count);
		printf("%s_merge_pace %.1f MB/s\n", phase->name,
			(double)phase->merge_bytes / 1e3 / (double)phase->merge_ms);
	}
	samples_fini(&phase->fetches);
	samples_fini(&phase->puts);
}

static size_t list_phases(const struct numbers *each, struct phase phases[static PHASES_MAX])
{
	size_t count = 0;
	phases[count++] = (struct phase){.name = "alone"};
	for (size_t i = 0; i < each->count; i++) {
		struct phase *puts = &phases[count++];
		struct phase *both = &phases[count++];
		*puts = (struct phase){.each = each->values[i]};
		*both = (struct phase){.each = each->values[i], .merges = true};
		(void)snprintf(puts->name, sizeof puts->name, "puts_%u", puts->each);
		(void)snprintf(both->name, sizeof both->name, "puts_%u_merges", both->each);
	}
	phases[count++] = (struct phase){.name = "merges", .merges = true};
	return count;
}

static void run(struct mixed *mixed, const struct numbers *each, uint64_t seconds, uint64_t turn_ms)
{
	struct phase phases[PHASES_MAX];
	const size_t count = list_phases(each, phases);
	for (uint64_t turn = 0; turn < seconds * 1000 / turn_ms; turn++) {
		for (size_t i = 0; i < count; i++) {
			take_turn(mixed, &phases[i], turn_ms * ms_ns);
		}
	}
	for (size_t i = 0; i < count; i++) {
		print_phase(&phases[i]);
	}
	ledger_check_reader(&mixed->ledger, &peer_repstored, mixed->address);
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 8) {
		(void)fputs("usage: bench_mixed ADDRESS ROWS KEYS SECONDS TURN_MS RATE EACH\n",
			stderr);
		return 2;
	}
	struct mixed mixed = {
		.address = argv[1],
		.rows_count = strtoull(argv[2], NULL, 10),
		.keys_each = (unsigned)strtoul(argv[3], NULL, 10),
		.rate = (unsigned)strtoul(argv[6], NULL, 10),
	};
	const uint64_t seconds = strtoull(argv[4], NULL, 10);
	const uint64_t turn_ms = strtoull(argv[5], NULL, 10);
	struct numbers each;
	numbers_read(argv[7], PUT_ROWS_MAX, &each);
	if (mixed.rows_count < PUT_ROWS_MAX || mixed.keys_each == 0 ||
		mixed.keys_each > PUT_ROWS_MAX || mixed.rate == 0 || mixed.rate > RATE_MAX ||
		turn_ms == 0 || seconds * 1000 < turn_ms) {
		die("a number is out of range");
	}
	mixed.rows = rows_make(MEASURE_ROWS_MADE);
	mixed.out = allocate((size_t)mixed.keys_each * MEASURE_ROW_BYTES);
	questions_init(&mixed.questions, REQUESTS, mixed.keys_each, mixed.rows_count);
	mixed.peer = peer_repstored.open(mixed.address, &mixed.questions, NULL);
	ledger_init(&mixed.ledger, mixed.rows, mixed.rows_count);
	stream_open(&mixed.stream, mixed.address);
	mixed.daemon = daemon_connect(mixed.address);
	run(&mixed, &each, seconds, turn_ms);
	daemon_close(mixed.daemon);
	stream_close(&mixed.stream);
	ledger_fini(&mixed.ledger);
	peer_repstored.close(mixed.peer);
	questions_fini(&mixed.questions);
	free(mixed.out);
	rows_drop(mixed.rows, MEASURE_ROWS_MADE);
	return 0;
}
