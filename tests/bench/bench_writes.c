/* bench_writes.c - rows put a second, durable, by systems that take turns; tests/bench/writes
 * starts them and makes a table of what this prints.
 *
 *   bench_writes ROWS SECONDS TURN_MS EACH CONNECTIONS [long=SECONDS] NAME=PATH...
 *
 * EACH and CONNECTIONS are lists of numbers (1,64,4096), NAME=PATH is one of
 *
 *   repstored=      its socket; the table is loaded
 *   redis_always=   of an empty Redis that writes a log; it is told to sync it at each write
 *   redis_off=      of an empty Redis; it is filled, as the other
 *   lmdb=           a folder; in this process: it takes part where there is one connection
 *   floor=          the socket of bench_floor
 *
 * All hold ROWS rows of 64 f32 under u64 keys. For each number of rows a request and of
 * connections, systems take turns of TURN_MS until each has had SECONDS. A turn ends when all
 * that was sent is acknowledged, and counts what took it so long. A merge that repstored began in
 * its turn is waited for, uncounted, before the next system's. Then rows are read back and must be
 * the last ones. At last, with the most rows a request, some systems have the seconds of `long` in
 * one turn (left out: none). Prints put_EACH_CONNECTIONS_NAME_together in rows/s, the times of
 * requests, and the share of a processor that this client took; long_... of the long turns.
 */
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/lanes.h"
#include "tests/bench/driver/ledger.h"
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/put.h"
#include "tests/bench/peer/put_lmdb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENTRANTS_MAX = 8,
	CONNECTIONS_MAX = 1000,
	ARGS = 6, /* before the systems */
	LMDB_CHECKS = 10000,
};
static const uint64_t second_ns = 1000000000u;
static const uint64_t ms_ns = 1000000u;

/* kind NULL: LMDB */
static const struct system {
	const char *name;
	const struct put_kind *kind;
	enum { FILLED, ASK_DAEMON, FILL_REDIS, FILL_REDIS_AND_SYNC, FILL_LMDB } fill;
	bool has_long_turns;
} systems[] = {
	{"repstored", &put_repstored, ASK_DAEMON, true},
	{"redis_always", &put_redis, FILL_REDIS_AND_SYNC, true},
	{"redis_off", &put_redis, FILL_REDIS, false},
	{"lmdb", NULL, FILL_LMDB, false},
	{"floor", &put_floor, FILLED, true},
};
enum { SYSTEMS = sizeof systems / sizeof systems[0] };

struct entrant {
	const struct system *system;
	const char *path;        /* borrowed */
	struct lmdb_table *lmdb; /* owned */
	struct daemon *daemon;   /* owned; of repstored */
	struct ledger ledger;
	uint64_t random;
	/* of what is measured now */
	struct lanes *lanes;
	struct put_request request; /* of LMDB */
	struct samples samples;
	size_t requests;
	uint64_t took_ns;
	uint64_t client_ns; /* of a processor */
	uint64_t merges;    /* before */
};

struct contest {
	uint64_t rows_count;
	uint8_t *rows;
	size_t count;
	struct entrant entrants[ENTRANTS_MAX];
};

/* What is measured of all of them, one number of rows and connections after the other. */
struct round {
	const char *name;
	uint64_t turns;
	uint64_t turn_ns;
	unsigned each;
	unsigned connections;
	bool is_long;
};

struct plan {
	uint64_t seconds;
	uint64_t turn_ns;
	uint64_t long_seconds; /* 0: none */
	struct numbers each;
	struct numbers connections;
};

static void fill(struct contest *contest, struct entrant *entrant)
{
	switch (entrant->system->fill) {
	case FILLED:
		break;
	case ASK_DAEMON:
		entrant->daemon = daemon_connect(entrant->path);
		break;
	case FILL_REDIS:
		redis_fill(entrant->path, contest->rows, contest->rows_count);
		break;
	case FILL_REDIS_AND_SYNC:
		redis_fill(entrant->path, contest->rows, contest->rows_count);
		redis_sync_always(entrant->path);
		break;
	case FILL_LMDB:
		entrant->lmdb = lmdb_table_open(entrant->path, contest->rows, contest->rows_count);
		break;
	}
}

static void enter(struct contest *contest, const char *arg)
{
	for (size_t i = 0; i < SYSTEMS; i++) {
		const size_t len = strlen(systems[i].name);
		if (strncmp(arg, systems[i].name, len) != 0 || arg[len] != '=') {
			continue;
		}
		struct entrant *entrant = &contest->entrants[contest->count++];
		*entrant = (struct entrant){.system = &systems[i], .path = arg + len + 1};
		ledger_init(&entrant->ledger, contest->rows, contest->rows_count);
		fill(contest, entrant);
		return;
	}
	die("'%s' is no NAME=PATH", arg);
}

static size_t put_into_lmdb(struct entrant *entrant, uint64_t for_ns, struct samples *samples)
{
	size_t requests = 0;
	uint64_t before = now_ns();
	const uint64_t end = before + for_ns;
	do {
		ledger_send_random(&entrant->ledger, &entrant->request, &entrant->random);
		before = now_ns();
		lmdb_table_put(entrant->lmdb, &entrant->request);
		samples_add(samples, now_ns() - before);
		ledger_acknowledge(&entrant->ledger, entrant->request.number);
		requests++;
	} while (now_ns() < end);
	return requests;
}

static size_t put(struct entrant *entrant, uint64_t for_ns, struct samples *samples)
{
	return entrant->lanes != NULL ? lanes_run(entrant->lanes, for_ns, samples)
				      : put_into_lmdb(entrant, for_ns, samples);
}

static uint64_t merges_of(const struct entrant *entrant)
{
	struct write_stats stats = {0};
	if (entrant->daemon != NULL) {
		daemon_stats(entrant->daemon, &stats);
	}
	return stats.merges;
}

static bool takes_part(const struct entrant *entrant, const struct round *round)
{
	return (entrant->system->kind != NULL || round->connections == 1) &&
	       (entrant->system->has_long_turns || !round->is_long);
}

static void next_put(void *arg, struct put_request *request)
{
	struct entrant *entrant = arg;
	ledger_send_random(&entrant->ledger, request, &entrant->random);
}

static void acknowledged(void *arg, const struct put_request *request)
{
	struct entrant *entrant = arg;
	ledger_acknowledge(&entrant->ledger, request->number);
}

static void begin(struct entrant *entrant, const struct round *round)
{
	const struct lanes_source source = {.rows = entrant->ledger.rows,
		.next = next_put,
		.acknowledged = acknowledged,
		.arg = entrant};
	if (entrant->system->kind != NULL) {
		entrant->lanes = lanes_open(entrant->system->kind, entrant->path,
			round->connections, round->each, &source);
	} else {
		put_request_init(&entrant->request, &put_floor, round->each, entrant->ledger.rows);
	}
	entrant->requests = 0;
	entrant->took_ns = 0;
	entrant->client_ns = 0;
	struct samples warm = {0};
	(void)put(entrant, 0, &warm);
	samples_fini(&warm);
	entrant->merges = merges_of(entrant);
}

static void take_turn(struct entrant *entrant, uint64_t for_ns)
{
	const uint64_t start = now_ns();
	const uint64_t client_start = client_cpu_ns();
	entrant->requests += put(entrant, for_ns, &entrant->samples);
	entrant->took_ns += now_ns() - start;
	entrant->client_ns += client_cpu_ns() - client_start;
	if (entrant->daemon != NULL) {
		daemon_wait_for_merge(entrant->daemon);
	}
}

static void check(struct entrant *entrant)
{
	const struct put_kind *kind = entrant->system->kind;
	if (kind != NULL && kind->reader != NULL) {
		ledger_check_reader(&entrant->ledger, kind->reader, entrant->path);
	} else if (kind == NULL) {
		uint64_t *keys = allocate(LMDB_CHECKS * sizeof *keys);
		uint8_t row[MEASURE_ROW_BYTES];
		ledger_draw(&entrant->ledger, keys, LMDB_CHECKS);
		for (size_t i = 0; i < LMDB_CHECKS; i++) {
			lmdb_table_get(entrant->lmdb, keys[i], row);
			ledger_check(&entrant->ledger, keys[i], row);
		}
		free(keys);
	}
}

static void end(struct entrant *entrant, const struct round *round)
{
	char name[64];
	(void)snprintf(name, sizeof name, "%s_%u_%u_%s", round->name, round->each,
		round->connections, entrant->system->name);
	printf("%s_together %.0f rows/s\n", name,
		(double)entrant->requests * round->each * 1e9 / (double)entrant->took_ns);
	printf("%s_client %.2f processors\n", name,
		(double)entrant->client_ns / (double)entrant->took_ns);
	samples_print(&entrant->samples, name);
	samples_fini(&entrant->samples);
	if (entrant->daemon != NULL) {
		printf("%s_merges %" PRIu64 " merges\n", name,
			merges_of(entrant) - entrant->merges);
	}
	check(entrant);
	if (entrant->lanes != NULL) {
		lanes_close(entrant->lanes);
		entrant->lanes = NULL;
	}
	put_request_fini(&entrant->request);
}

static void run(struct contest *contest, const struct round *round)
{
	struct entrant *parts[ENTRANTS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < contest->count; i++) {
		if (takes_part(&contest->entrants[i], round)) {
			parts[count++] = &contest->entrants[i];
			begin(&contest->entrants[i], round);
		}
	}
	for (uint64_t turn = 0; turn < round->turns; turn++) {
		for (size_t i = 0; i < count; i++) {
			take_turn(parts[i], round->turn_ns);
		}
	}
	for (size_t i = 0; i < count; i++) {
		end(parts[i], round);
	}
}

static void run_turns(struct contest *contest, const struct plan *plan)
{
	struct round round = {.name = "put",
		.turns = plan->seconds * second_ns / plan->turn_ns,
		.turn_ns = plan->turn_ns};
	for (size_t i = 0; i < plan->each.count; i++) {
		round.each = plan->each.values[i];
		for (size_t j = 0; j < plan->connections.count; j++) {
			round.connections = plan->connections.values[j];
			run(contest, &round);
		}
	}
}

static void run_long(struct contest *contest, const struct plan *plan)
{
	struct round round = {.name = "long",
		.turns = 1,
		.turn_ns = plan->long_seconds * second_ns,
		.is_long = true};
	for (size_t i = 0; i < plan->each.count; i++) {
		const unsigned each = plan->each.values[i];
		round.each = each > round.each ? each : round.each;
	}
	for (size_t j = 0; j < plan->connections.count; j++) {
		round.connections = plan->connections.values[j];
		run(contest, &round);
	}
}

static void leave(struct contest *contest)
{
	for (size_t i = 0; i < contest->count; i++) {
		lmdb_table_close(contest->entrants[i].lmdb);
		daemon_close(contest->entrants[i].daemon);
		ledger_fini(&contest->entrants[i].ledger);
	}
	rows_drop(contest->rows, contest->rows_count);
}

static void read_plan(char **argv, struct plan *out)
{
	*out = (struct plan){
		.seconds = strtoull(argv[2], NULL, 10),
		.turn_ns = strtoull(argv[3], NULL, 10) * ms_ns,
	};
	numbers_read(argv[4], PUT_ROWS_MAX, &out->each);
	numbers_read(argv[5], CONNECTIONS_MAX, &out->connections);
	if (out->turn_ns == 0 || out->seconds * second_ns < out->turn_ns) {
		die("turns of a millisecond and one of them at least are allowed");
	}
}

int main(int argc, char **argv)
{
	static const char long_name[] = "long=";
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc <= ARGS || argc > ARGS + ENTRANTS_MAX) {
		(void)fputs("usage: bench_writes ROWS SECONDS TURN_MS EACH CONNECTIONS "
			    "[long=SECONDS] NAME=PATH...\n",
			stderr);
		return 2;
	}
	struct contest contest = {.rows_count = strtoull(argv[1], NULL, 10)};
	struct plan plan;
	read_plan(argv, &plan);
	if (contest.rows_count < PUT_ROWS_MAX || contest.rows_count > MEASURE_ROWS_MADE) {
		die("%d to %d rows are allowed", PUT_ROWS_MAX, MEASURE_ROWS_MADE);
	}
	contest.rows = rows_make(contest.rows_count);
	for (int i = ARGS; i < argc; i++) {
		if (strncmp(argv[i], long_name, sizeof long_name - 1) == 0) {
			plan.long_seconds = strtoull(argv[i] + sizeof long_name - 1, NULL, 10);
		} else {
			enter(&contest, argv[i]);
		}
	}
	run_turns(&contest, &plan);
	if (plan.long_seconds > 0) {
		run_long(&contest, &plan);
	}
	leave(&contest);
	return 0;
}
