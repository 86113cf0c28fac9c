/* local_beside.c - fetches beside samples, how far a reader is behind, and what a reader that follows takes.
 *
 *   beside ROWS KEYS SECONDS local=FOLDER|repstored=ADDRESS RATES ADDRESS
 *       One thread asks for KEYS random keys of table "ir", of a folder or over a socket, in phases: alone; and beside
 *       RATE samples a second of layer "fm" for each of the list RATES, sent to the daemon at ADDRESS by librepstore, on a
 *       fixed schedule (a batch that is late is made up for, so a rate that is too high is as many as it takes). Phases
 *       take turns until each has had SECONDS. Between turns, uncounted, all is merged. A third thread takes each write
 *       that is acknowledged, and waits until the folder's reader has it: that is the lag.
 *   follow FOLDER
 *       Opens a reader, says so, and ends with its input: the most rows and memory that it had, and what following took
 *       of a processor.
 */
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/local.h"
#include "tests/bench/driver/stream.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	REQUESTS = 4096,
	EACH = 1000, /* samples a request */
	DRAWN = 512, /* requests that differ: several times as many samples as there are users */
	USERS = 100000,
	ITEMS = 10000,
	LOOK_MS = 20,
	WARM_NS = 100 * 1000 * 1000,
	RATE_MAX = 100000000,
};
static const uint64_t second_ns = 1000000000u;
static const uint64_t turn_ns = 2000000000u;

struct phase {
	char name[32];
	unsigned rate; /* samples a second; 0: none */
	struct samples fetches;
	struct samples batches;
	struct samples lags;
	uint64_t took_ns;
	uint64_t daemon_ns; /* of a processor */
	uint64_t merges;
};

/* A write that was acknowledged; zeroed: there are no more. */
struct acknowledged {
	uint64_t sequence;
	uint64_t at_ns;
};

struct beside {
	struct questions questions;
	const struct peer_kind *kind;
	struct peer *peer;
	uint8_t *out;
	size_t next_request;
	rep_client *writer;
	rep_client *watcher; /* NULL: no folder is read */
	struct daemon *daemon;
	pid_t pid; /* its */
	uint64_t *users;
	uint64_t *items;
	int64_t *times;
	uint8_t *rows;
	struct phase *phase; /* that runs */
	uint64_t end_ns;
	int pipe[2]; /* of struct acknowledged, from the writer to the watcher */
};

static void must(enum rep_status status, const struct rep_error *err)
{
	if (status != REP_OK) {
		die("%s: %s", rep_status_name(status), err->text);
	}
}

/* ---- threads beside the one that fetches ---- */

static void observe_one(struct beside *beside, uint64_t number, struct acknowledged *out)
{
	struct rep_error err;
	struct rep_written written = {0};
	const int64_t now_ms = now_unix_ms();
	for (unsigned i = 0; i < EACH; i++) {
		beside->times[i] = now_ms;
	}
	const struct rep_samples samples = {.layer = "fm",
		.count = EACH,
		.users = rep_keys_u64(beside->users + number % DRAWN * EACH, EACH),
		.items = rep_keys_u64(beside->items + number % DRAWN * EACH, EACH),
		.times = beside->times,
		.dtype = REP_F32,
		.rows = beside->rows,
		.rows_bytes = (size_t)EACH * MEASURE_ROW_BYTES};
	must(rep_observe(beside->writer, NULL, &samples, &written, &err), &err);
	*out = (struct acknowledged){written.sequence, now_ns()};
}

static void tell(const struct beside *beside, const struct acknowledged *message)
{
	if (write(beside->pipe[1], message, sizeof *message) != (ssize_t)sizeof *message) {
		die("the pipe failed");
	}
}

static void *observe(void *arg)
{
	struct beside *beside = arg;
	struct phase *phase = beside->phase;
	struct acknowledged message;
	const uint64_t start = now_ns();
	for (uint64_t i = 0; now_ns() < beside->end_ns; i++) {
		wait_until(start + i * EACH * second_ns / phase->rate);
		const uint64_t before = now_ns();
		observe_one(beside, i, &message);
		samples_add(&phase->batches, message.at_ns - before);
		tell(beside, &message);
	}
	message = (struct acknowledged){0};
	tell(beside, &message);
	return NULL;
}

/* Takes each acknowledged write, and waits until a fetch would show it. */
static void *watch(void *arg)
{
	struct beside *beside = arg;
	struct acknowledged message;
	float row[MEASURE_DIM];
	uint64_t key = 0;
	uint8_t found = 0;
	while (read(beside->pipe[0], &message, sizeof message) == (ssize_t)sizeof message &&
		message.sequence != 0) {
		struct rep_error err;
		struct rep_part part = {.table = "ir",
			.keys = rep_keys_u64(&key, 1),
			.dtype = REP_F32,
			.rows = row,
			.rows_bytes = sizeof row,
			.found = &found};
		if (beside->watcher == NULL) {
			continue;
		}
		rep_set_min_sequence(beside->watcher, message.sequence);
		must(rep_fetch(beside->watcher, NULL, &part, 1, NULL, &err), &err);
		samples_add(&beside->phase->lags, now_ns() - message.at_ns);
	}
	return NULL;
}

/* ---- turns ---- */

static void fetch(struct beside *beside, struct samples *samples)
{
	const struct questions *questions = &beside->questions;
	const size_t request = beside->next_request++;
	const size_t probe = request % questions->keys_each;
	const uint64_t before = now_ns();
	beside->kind->fetch(beside->peer, request, beside->out);
	if (samples != NULL) {
		samples_add(samples, now_ns() - before);
	}
	row_check(beside->kind, questions_at(questions, request)[probe],
		beside->out + probe * MEASURE_ROW_BYTES);
}

static void start(pthread_t *thread, void *(*run)(void *), struct beside *beside)
{
	if (pthread_create(thread, NULL, run, beside) != 0) {
		die("no thread");
	}
}

static uint64_t merges_of(const struct beside *beside)
{
	struct write_stats stats;
	daemon_stats(beside->daemon, &stats);
	return stats.merges;
}

static void take_turn(struct beside *beside, struct phase *phase)
{
	pthread_t writer = {0};
	pthread_t watcher = {0};
	struct merge_result rest;
	for (const uint64_t warm_end = now_ns() + WARM_NS; now_ns() < warm_end;) {
		fetch(beside, NULL);
	}
	const uint64_t merges = merges_of(beside);
	const uint64_t daemon_start = process_cpu_ns(beside->pid);
	const uint64_t start_ns = now_ns();
	beside->phase = phase;
	beside->end_ns = start_ns + turn_ns;
	if (phase->rate > 0) {
		start(&writer, observe, beside);
		start(&watcher, watch, beside);
	}
	while (now_ns() < beside->end_ns) {
		fetch(beside, &phase->fetches);
	}
	if (phase->rate > 0) {
		(void)pthread_join(writer, NULL);
		(void)pthread_join(watcher, NULL);
	}
	beside->phase = NULL;
	phase->took_ns += now_ns() - start_ns;
	phase->daemon_ns += process_cpu_ns(beside->pid) - daemon_start;
	phase->merges += merges_of(beside) - merges;
	daemon_merge(beside->daemon, &rest);
}

static void print_phase(struct phase *phase)
{
	char name[64];
	samples_print(&phase->fetches, phase->name);
	printf("%s_daemon %.2f processors\n", phase->name,
		(double)phase->daemon_ns / (double)phase->took_ns);
	printf("%s_samples %.0f samples/s\n", phase->name,
		(double)phase->batches.count * EACH * 1e9 / (double)phase->took_ns);
	printf("%s_count %zu samples\n", phase->name, phase->batches.count * EACH);
	printf("%s_merges %" PRIu64 " merges\n", phase->name, phase->merges);
	(void)snprintf(name, sizeof name, "%.31s_batch", phase->name);
	samples_print(&phase->batches, name);
	(void)snprintf(name, sizeof name, "%.31s_lag", phase->name);
	samples_print(&phase->lags, name);
	samples_fini(&phase->fetches);
	samples_fini(&phase->batches);
	samples_fini(&phase->lags);
}

static void run(struct beside *beside, const struct numbers *rates, uint64_t seconds)
{
	struct phase phases[1 + NUMBERS_MAX] = {{.name = "alone"}};
	for (size_t i = 0; i < rates->count; i++) {
		struct phase *phase = &phases[1 + i];
		phase->rate = rates->values[i];
		(void)snprintf(phase->name, sizeof phase->name, "beside_%u", phase->rate);
	}
	for (uint64_t turn = 0; turn < seconds * second_ns / turn_ns; turn++) {
		for (size_t i = 0; i <= rates->count; i++) {
			take_turn(beside, &phases[i]);
		}
	}
	for (size_t i = 0; i <= rates->count; i++) {
		print_phase(&phases[i]);
	}
}

/* ---- what main runs ---- */

static void make_samples(struct beside *beside)
{
	uint64_t random = 7;
	beside->users = allocate((size_t)DRAWN * EACH * sizeof *beside->users);
	beside->items = allocate((size_t)DRAWN * EACH * sizeof *beside->items);
	beside->times = allocate(EACH * sizeof *beside->times);
	beside->rows = rows_make(EACH);
	for (size_t i = 0; i < (size_t)DRAWN * EACH; i++) {
		beside->users[i] = next_random(&random) % USERS;
		beside->items[i] = next_random(&random) % ITEMS;
	}
}

int local_beside(char **args)
{
	struct beside beside = {0};
	struct numbers rates;
	struct rep_error err;
	const char *address;
	const struct rep_options options = {.address = args[5]};
	const uint32_t keys = (uint32_t)strtoul(args[1], NULL, 10);
	questions_init(&beside.questions, REQUESTS, keys, strtoull(args[0], NULL, 10));
	beside.out = allocate((size_t)keys * MEASURE_ROW_BYTES);
	kind_named(args[3], &beside.kind, &address);
	numbers_read(args[4], RATE_MAX, &rates);
	make_samples(&beside);
	must(rep_connect(&options, &beside.writer, &err), &err);
	beside.daemon = daemon_connect(args[5]);
	beside.pid = stream_peer(args[5]);
	beside.peer = beside.kind->open(address, &beside.questions, NULL);
	if (beside.kind == &peer_local) {
		must(rep_local_client(peer_local_reader(address), &beside.watcher, &err), &err);
	}
	if (pipe(beside.pipe) != 0) {
		die("no pipe");
	}
	run(&beside, &rates, strtoull(args[2], NULL, 10));
	rep_close(beside.watcher);
	beside.kind->close(beside.peer);
	daemon_close(beside.daemon);
	rep_close(beside.writer);
	close(beside.pipe[0]);
	close(beside.pipe[1]);
	rows_drop(beside.rows, EACH);
	free(beside.users);
	free(beside.items);
	free(beside.times);
	free(beside.out);
	questions_fini(&beside.questions);
	return 0;
}

int local_follow(const char *folder)
{
	struct rep_local_stats stats;
	struct rep_local_stats most = {0};
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	const uint64_t begun = client_cpu_ns();
	rep_local *reader = peer_local_reader(folder);
	const uint64_t before = client_cpu_ns();
	printf("open %.3f s\n", (double)(before - begun) / 1e9);
	do {
		rep_local_stats(reader, &stats);
		most = stats.memory_bytes >= most.memory_bytes ? stats : most;
	} while (poll(&input, 1, LOOK_MS) == 0);
	printf("replays %" PRIu64 " replays\nrows %" PRIu64 " rows\nmemory %" PRIu64 " bytes\n",
		stats.replays, most.rows, most.memory_bytes);
	printf("processor %.3f s\n", (double)(client_cpu_ns() - before) / 1e9);
	return 0;
}
