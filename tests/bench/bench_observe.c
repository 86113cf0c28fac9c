/* bench_observe.c - samples observed a second, durable, by systems that take turns;
 * tests/bench/observe starts them and makes a table of what this prints.
 *
 *   bench_observe USERS ITEMS EXPONENTS SECONDS TURN_MS EACH CONNECTIONS [NAME=VALUE]...
 *
 * EXPONENTS are two, of Zipf's law, of users and items (1.05,1.05; 0: all alike); EACH and
 * CONNECTIONS are lists of numbers (1,64,4096). NAME=VALUE is one of
 *
 *   repstored=     its socket; it is loaded
 *   redis=         the socket of an empty Redis; it is filled
 *   uniform=       of a repstored whose users and items are all alike, whatever EXPONENTS say
 *   half=          the same, but half of all samples are of one item
 *   stream=        connections of the streams (4)
 *   long=          seconds of a stream in one go (0: none)
 *   fetch=         seconds of fetches, each phase (0: none)
 *   items=         of a fetch (499)
 *   rates=         samples a second beside fetches (50000)
 *
 * For each number of samples a request and of connections, systems take turns of TURN_MS until each
 * has had SECONDS. A turn ends when all that was sent is acknowledged, and counts what took it so
 * long; a merge that repstored began is waited for before the next turn. Some rows are compared
 * with what the samples come to. Then follow the stream and the fetches, with the most samples a
 * request, of repstored alone. Prints observe_EACH_CONNECTIONS_NAME_together in samples/s, the
 * times of requests, the share of a processor that this client took, and how long a sample kept the
 * processors of the other side, merges included: the one figure that a busy machine leaves as it is.
 */
#include "tests/bench/driver/observe.h"

#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/lanes.h"
#include "tests/bench/driver/stream.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENTRANTS_MAX = 4,
	CONNECTIONS_MAX = 1000,
	ARGS = 8, /* before the names */
	COUNT_MAX = 1 << 30,
	RATE_MAX = 100000000,
};
static const uint64_t second_ns = 1000000000u;
static const uint64_t ms_ns = 1000000u;

/* What can take part. */
struct entry {
	const char *name;
	const struct observer *observer;
	const char *exponents; /* NULL: those of the arguments */
	bool has_hot;          /* an item */
};

struct plan {
	const char *exponents;
	uint64_t counts[CROWD_SIDES];
	uint64_t seconds;
	uint64_t turn_ns;
	struct numbers each;
	struct numbers connections;
	struct stream_plan stream;
	struct fetch_plan fetch;
	uint64_t fetch_seconds;
	size_t count;
	struct entrant entrants[ENTRANTS_MAX];
	const struct entry *entries[ENTRANTS_MAX]; /* what each is */
};

/* ---- one that takes part ---- */

static void next_samples(void *arg, struct put_request *request)
{
	struct entrant *entrant = arg;
	tally_send(entrant->tally, request);
}

static void acknowledged(void *arg, const struct put_request *request)
{
	struct entrant *entrant = arg;
	atomic_fetch_add_explicit(&entrant->observed, request->rows, memory_order_relaxed);
}

struct lanes *entrant_lanes(struct entrant *entrant, unsigned connections, unsigned each)
{
	const struct lanes_source source = {.rows = entrant->crowd->rows,
		.next = next_samples,
		.acknowledged = acknowledged,
		.arg = entrant};
	return lanes_open(entrant->observer->kind, entrant->path, connections, each, &source);
}

void entrant_check(const struct entrant *entrant)
{
	const struct observer *observer = entrant->observer;
	void *reader = observer->open(entrant->path);
	tally_check(entrant->tally, observer->name, observer->read, reader);
	observer->close(reader);
}

/* ---- turns ---- */

/* One entrant's share of a cell. */
struct share {
	struct entrant *entrant;
	struct lanes *lanes;
	struct daemon *daemon; /* NULL: it does not merge */
	struct samples samples;
	size_t requests;
	uint64_t took_ns;
	uint64_t client_ns;
	uint64_t server_ns; /* that it had taken of the processors before */
	uint64_t merges;    /* before */
};

static uint64_t merges_of(const struct share *share)
{
	struct write_stats stats = {0};
	if (share->daemon != NULL) {
		daemon_stats(share->daemon, &stats);
	}
	return stats.merges;
}

static void begin(struct share *share, struct entrant *entrant, unsigned each, unsigned connections)
{
	struct samples warm = {0};
	*share = (struct share){.entrant = entrant};
	share->lanes = entrant_lanes(entrant, connections, each);
	if (entrant->observer == &observer_repstored) {
		share->daemon = daemon_connect(entrant->path);
	}
	(void)lanes_run(share->lanes, 0, &warm);
	samples_fini(&warm);
	share->merges = merges_of(share);
	share->server_ns = process_cpu_ns(entrant->pid);
}

static void take_turn(struct share *share, uint64_t for_ns)
{
	const uint64_t start = now_ns();
	const uint64_t client_start = client_cpu_ns();
	share->requests += lanes_run(share->lanes, for_ns, &share->samples);
	share->took_ns += now_ns() - start;
	share->client_ns += client_cpu_ns() - client_start;
	if (share->daemon != NULL) {
		daemon_wait_for_merge(share->daemon);
	}
}

static void end(struct share *share, unsigned each, unsigned connections)
{
	char name[64];
	(void)snprintf(name, sizeof name, "observe_%u_%u_%s", each, connections,
		share->entrant->name);
	printf("%s_together %.0f samples/s\n", name,
		(double)share->requests * each * 1e9 / (double)share->took_ns);
	printf("%s_client %.2f processors\n", name,
		(double)share->client_ns / (double)share->took_ns);
	printf("%s_server %.3f us/sample\n", name,
		(double)(process_cpu_ns(share->entrant->pid) - share->server_ns) / 1e3 /
			((double)share->requests * each));
	printf("%s_merges %" PRIu64 " merges\n", name, merges_of(share) - share->merges);
	printf("%s_busy %" PRIu64 " answers\n", name, lanes_busy(share->lanes));
	samples_print(&share->samples, name);
	samples_fini(&share->samples);
	lanes_close(share->lanes);
	daemon_close(share->daemon);
	entrant_check(share->entrant);
}

static void run(struct plan *plan, unsigned each, unsigned connections)
{
	struct share shares[ENTRANTS_MAX];
	for (size_t i = 0; i < plan->count; i++) {
		begin(&shares[i], &plan->entrants[i], each, connections);
	}
	for (uint64_t turn = 0; turn < plan->seconds * second_ns / plan->turn_ns; turn++) {
		for (size_t i = 0; i < plan->count; i++) {
			take_turn(&shares[i], plan->turn_ns);
		}
	}
	for (size_t i = 0; i < plan->count; i++) {
		end(&shares[i], each, connections);
	}
}

static void run_all(struct plan *plan)
{
	for (size_t i = 0; plan->seconds > 0 && i < plan->each.count; i++) {
		for (size_t j = 0; j < plan->connections.count; j++) {
			run(plan, plan->each.values[i], plan->connections.values[j]);
		}
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct entrant *entrant = &plan->entrants[i];
		if (strcmp(entrant->name, "repstored") != 0) {
			continue;
		}
		if (plan->stream.seconds > 0) {
			observe_long(entrant, &plan->stream);
		}
		if (plan->fetch_seconds > 0) {
			observe_fetches(entrant, &plan->stream, &plan->fetch);
		}
	}
}

/* ---- arguments ---- */

static const struct entry entries[] = {
	{"repstored", &observer_repstored, NULL, false},
	{"redis", &observer_redis, NULL, false},
	{"uniform", &observer_repstored, "0,0", false},
	{"half", &observer_repstored, "0,0", true},
};

static void read_crowd(const struct plan *plan, const struct entry *entry, const uint8_t *rows,
	struct crowd *crowd)
{
	const char *text = entry->exponents == NULL ? plan->exponents : entry->exponents;
	char *end = NULL;
	struct crowd_law laws[CROWD_SIDES] = {0};
	laws[CROWD_USERS].exponent = strtod(text, &end);
	laws[CROWD_ITEMS].exponent = *end == ',' ? strtod(end + 1, &end) : -1;
	laws[CROWD_ITEMS].has_hot = entry->has_hot;
	for (int side = 0; side < CROWD_SIDES; side++) {
		if (plan->counts[side] == 0 || plan->counts[side] > COUNT_MAX ||
			!(laws[side].exponent >= 0)) {
			die("a number of the crowd is out of range");
		}
	}
	crowd_init(crowd, plan->counts, laws, rows);
}

static bool enter(struct plan *plan, const char *name, size_t len, const char *path)
{
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		if (strlen(entries[i].name) == len && memcmp(entries[i].name, name, len) == 0) {
			if (plan->count == ENTRANTS_MAX) {
				die("%d systems at most", ENTRANTS_MAX);
			}
			plan->entries[plan->count] = &entries[i];
			plan->entrants[plan->count++] = (struct entrant){.name = entries[i].name,
				.observer = entries[i].observer,
				.path = path};
			return true;
		}
	}
	return false;
}

static void read_name(struct plan *plan, const char *arg)
{
	const char *equals = strchr(arg, '=');
	const size_t len = equals == NULL ? 0 : (size_t)(equals - arg);
	const char *value = arg + len + 1;
	if (enter(plan, arg, len, value)) {
		return;
	}
	if (len == 6 && memcmp(arg, "stream", len) == 0) {
		plan->stream.connections = (unsigned)strtoul(value, NULL, 10);
	} else if (len == 4 && memcmp(arg, "long", len) == 0) {
		plan->stream.seconds = strtoull(value, NULL, 10);
	} else if (len == 5 && memcmp(arg, "fetch", len) == 0) {
		plan->fetch_seconds = strtoull(value, NULL, 10);
	} else if (len == 5 && memcmp(arg, "items", len) == 0) {
		plan->fetch.items = (unsigned)strtoul(value, NULL, 10);
	} else if (len == 5 && memcmp(arg, "rates", len) == 0) {
		numbers_read(value, RATE_MAX, &plan->fetch.rates);
	} else {
		die("'%s' is no NAME=VALUE", arg);
	}
}

static void read_plan(int argc, char **argv, struct plan *plan)
{
	*plan = (struct plan){
		.exponents = argv[3],
		.counts = {strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10)},
		.seconds = strtoull(argv[4], NULL, 10),
		.turn_ns = strtoull(argv[5], NULL, 10) * ms_ns,
		.stream = {.connections = 4},
		.fetch = {.items = 499, .rates = {1, {50000}}},
	};
	numbers_read(argv[6], PUT_ROWS_MAX, &plan->each);
	numbers_read(argv[7], CONNECTIONS_MAX, &plan->connections);
	for (int i = ARGS; i < argc; i++) {
		read_name(plan, argv[i]);
	}
	for (size_t i = 0; i < plan->each.count; i++) {
		const unsigned each = plan->each.values[i];
		plan->stream.each = each > plan->stream.each ? each : plan->stream.each;
	}
	if (plan->turn_ns == 0 || plan->stream.connections == 0 ||
		plan->stream.connections > CONNECTIONS_MAX || plan->fetch.items == 0 ||
		plan->fetch.items > PUT_ROWS_MAX) {
		die("a number is missing or out of range");
	}
	plan->fetch.turn_ns = 4 * plan->turn_ns;
	plan->fetch.turns = plan->fetch_seconds * second_ns / plan->fetch.turn_ns;
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc <= ARGS) {
		(void)fputs("usage: bench_observe USERS ITEMS EXPONENTS SECONDS TURN_MS EACH "
			    "CONNECTIONS [NAME=VALUE]...\n",
			stderr);
		return 2;
	}
	struct plan plan;
	struct crowd crowds[ENTRANTS_MAX];
	read_plan(argc, argv, &plan);
	uint8_t *rows = rows_make(MEASURE_ROWS_MADE);
	for (size_t i = 0; i < plan.count; i++) {
		struct entrant *entrant = &plan.entrants[i];
		read_crowd(&plan, plan.entries[i], rows, &crowds[i]);
		entrant->crowd = &crowds[i];
		entrant->pid = stream_peer(entrant->path);
		entrant->tally = tally_new(&crowds[i]);
		entrant->observer->load(entrant->path, &crowds[i]);
	}
	run_all(&plan);
	for (size_t i = 0; i < plan.count; i++) {
		tally_free(plan.entrants[i].tally);
		crowd_fini(&crowds[i]);
	}
	rows_drop(rows, MEASURE_ROWS_MADE);
	return 0;
}
