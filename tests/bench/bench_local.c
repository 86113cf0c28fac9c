/* bench_local.c - a folder that is read in this process, beside copies of the same rows, LMDB, and the daemon's socket;
 * tests/bench/local starts the daemon and the readers, and makes tables of what this prints.
 *
 *   bench_local fetch ROWS KEYS SECONDS NAME...
 *       One thread asks for KEYS random keys at a time. Those named take turns until each has had SECONDS. NAME is one of
 *         local=FOLDER        librepstore-local
 *         lmdb=FOLDER         a table of LMDB, which is made in that empty folder (peer_lmdb.c)
 *         repstored=ADDRESS   librepstore, over a socket
 *         memcpy, memcpy_plain  copies within this process, with and without asking the cache ahead
 *         reckoning           touches no memory
 *   bench_local threads ROWS KEYS SECONDS NAME...
 *       Of the same, how many requests a second one thread makes, and two side by side.
 *   bench_local beside ROWS KEYS SECONDS local=FOLDER|repstored=ADDRESS RATES ADDRESS
 *   bench_local follow FOLDER
 *       See driver/local_beside.c.
 *
 * Table "ir" holds the keys 0 to ROWS - 1; all elements of row i are i.
 */
#include "tests/bench/driver/local.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	REQUESTS = 4096, /* distinct: far more rows than a cache holds */
	TURN_NS = 200 * 1000 * 1000,
	WARM_TURNS = 10,
	ENTRANTS_MAX = 8,
	THREADS = 2,
	RECKONED = 20000,
	ROWS_MAX = 1 << 24, /* numbers that an f32 has */
};

struct contest {
	struct questions questions;
	uint64_t rows_count;
	uint8_t *rows; /* owned: mapped; NULL: nobody copies */
	uint64_t turns;
	size_t count;
	struct entrant {
		const struct peer_kind *kind;
		const char *address;
		struct peer *peers[THREADS];
		struct samples samples;
		struct samples turns[THREADS]; /* ns of a request, by the threads that asked */
		size_t next_request;
	} entrants[ENTRANTS_MAX];
};

/* ---- what neither looks up nor copies ---- */

static struct peer *reckoning_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)address;
	(void)questions;
	(void)rows;
	return NULL;
}

static void reckoning_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	uint64_t state = request;
	(void)peer;
	for (int i = 0; i < RECKONED; i++) {
		(void)next_random(&state);
	}
	memcpy(out, &state, sizeof state);
}

static void reckoning_close(struct peer *peer)
{
	(void)peer;
}

static const struct peer_kind reckoning = {.name = "reckoning",
	.open = reckoning_open,
	.fetch = reckoning_fetch,
	.close = reckoning_close,
	.rows = PEER_ECHOES};

/* ---- who takes part ---- */

static const struct peer_kind *const kinds[] = {&peer_plain_memcpy, &peer_memcpy, &peer_local,
	&peer_lmdb, &peer_repstored, &reckoning};

void kind_named(const char *arg, const struct peer_kind **kind, const char **address)
{
	const char *equals = strchr(arg, '=');
	const size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
	*address = equals == NULL ? NULL : equals + 1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		*kind = kinds[i];
		if (strlen(kinds[i]->name) == len && memcmp(kinds[i]->name, arg, len) == 0) {
			return;
		}
	}
	die("'%s' is none of those that take part", arg);
}

/* As many rows as the table has, in memory of their own: a store without tricks would have them in pages of 4 KiB. */
static void make_rows(struct contest *contest)
{
	void *memory = mmap(NULL, contest->rows_count * MEASURE_ROW_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		die("no memory for the rows");
	}
	float *elements = memory;
	for (uint64_t i = 0; i < contest->rows_count; i++) {
		for (size_t j = 0; j < MEASURE_DIM; j++) {
			elements[i * MEASURE_DIM + j] = (float)i;
		}
	}
	contest->rows = memory;
}

static void enter(struct contest *contest, const char *arg)
{
	if (contest->count == ENTRANTS_MAX) {
		die("%d can take part", ENTRANTS_MAX);
	}
	struct entrant *entrant = &contest->entrants[contest->count++];
	kind_named(arg, &entrant->kind, &entrant->address);
	if (contest->rows == NULL && entrant->kind != &peer_local &&
		entrant->kind != &peer_repstored) {
		make_rows(contest);
	}
	if (entrant->kind == &peer_lmdb) {
		lmdb_fill(entrant->address, contest->rows, contest->rows_count);
	}
}

/* ---- turns ---- */

void row_check(const struct peer_kind *kind, uint64_t key, const uint8_t *row)
{
	float value;
	memcpy(&value, row + MEASURE_ROW_BYTES - sizeof value, sizeof value);
	if (kind->rows == PEER_ANSWERS && value != (float)key) {
		die("%s: a wrong row of key %llu", kind->name, (unsigned long long)key);
	}
}

/* One thread's requests of a turn. */
struct asker {
	pthread_t thread;
	const struct contest *contest;
	const struct entrant *entrant;
	struct peer *peer;
	struct samples *samples; /* NULL: they are not wanted */
	size_t next_request;
	uint64_t asked;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	const struct questions *questions = &asker->contest->questions;
	const struct peer_kind *kind = asker->entrant->kind;
	uint8_t *out = allocate((size_t)questions->keys_each * MEASURE_ROW_BYTES);
	const uint64_t end = now_ns() + TURN_NS;
	for (uint64_t after = 0; after < end; asker->asked++) {
		const size_t request = asker->next_request++;
		const uint64_t before = now_ns();
		kind->fetch(asker->peer, request, out);
		after = now_ns();
		if (asker->samples != NULL) {
			samples_add(asker->samples, after - before);
		}
		const uint32_t probe = (uint32_t)(request % questions->keys_each);
		row_check(kind, questions_at(questions, request)[probe],
			out + (size_t)probe * MEASURE_ROW_BYTES);
	}
	free(out);
	return NULL;
}

static void take_turn(const struct contest *contest, struct entrant *entrant, unsigned threads,
	bool is_counted)
{
	struct asker askers[THREADS];
	const uint64_t start = now_ns();
	uint64_t asked = 0;
	for (unsigned i = 0; i < threads; i++) {
		askers[i] = (struct asker){.contest = contest,
			.entrant = entrant,
			.next_request = entrant->next_request + i * (size_t)(REQUESTS / THREADS)};
		askers[i].samples = is_counted && threads == 1 ? &entrant->samples : NULL;
		askers[i].peer = entrant->peers[i];
		if (pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0) {
			die("no thread");
		}
	}
	for (unsigned i = 0; i < threads; i++) {
		(void)pthread_join(askers[i].thread, NULL);
		asked += askers[i].asked;
	}
	entrant->next_request = askers[0].next_request;
	if (is_counted) {
		samples_add(&entrant->turns[threads - 1], (now_ns() - start) / asked);
	}
}

static void open_peers(const struct contest *contest, struct entrant *entrant, unsigned threads_max)
{
	for (unsigned i = 0; i < threads_max; i++) {
		entrant->peers[i] =
			entrant->kind->open(entrant->address, &contest->questions, contest->rows);
	}
}

static void close_peers(const struct entrant *entrant, unsigned threads_max)
{
	for (unsigned i = 0; i < threads_max; i++) {
		entrant->kind->close(entrant->peers[i]);
	}
}

static void run(struct contest *contest, unsigned threads_max)
{
	for (size_t i = 0; i < contest->count; i++) {
		open_peers(contest, &contest->entrants[i], threads_max);
	}
	for (uint64_t turn = 0; turn < WARM_TURNS + contest->turns; turn++) {
		for (size_t i = 0; i < contest->count; i++) {
			for (unsigned threads = 1; threads <= threads_max; threads++) {
				take_turn(contest, &contest->entrants[i], threads,
					turn >= WARM_TURNS);
			}
		}
	}
	for (size_t i = 0; i < contest->count; i++) {
		struct entrant *entrant = &contest->entrants[i];
		samples_print(&entrant->samples, entrant->kind->name);
		for (unsigned threads = 1; threads_max > 1 && threads <= threads_max; threads++) {
			printf("%s_by_%u %.0f /s\n", entrant->kind->name, threads,
				1e9 / samples_median(&entrant->turns[threads - 1]));
		}
		for (unsigned threads = 1; threads <= threads_max; threads++) {
			samples_fini(&entrant->turns[threads - 1]);
		}
		samples_fini(&entrant->samples);
		close_peers(entrant, threads_max);
	}
}

static int contest(char **args, int count, unsigned threads_max)
{
	struct contest contest = {.rows_count = strtoull(args[0], NULL, 10),
		.turns = strtoull(args[2], NULL, 10) * 1000000000u / TURN_NS};
	const uint32_t keys = (uint32_t)strtoul(args[1], NULL, 10);
	if (contest.rows_count == 0 || contest.rows_count > ROWS_MAX || keys == 0 ||
		contest.turns == 0) {
		die("a number is out of range");
	}
	questions_init(&contest.questions, REQUESTS, keys, contest.rows_count);
	for (int i = 3; i < count; i++) {
		enter(&contest, args[i]);
	}
	run(&contest, threads_max);
	questions_fini(&contest.questions);
	rows_drop(contest.rows, contest.rows_count);
	return 0;
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 6 && strcmp(argv[1], "fetch") == 0) {
		return contest(argv + 2, argc - 2, 1);
	}
	if (argc >= 6 && strcmp(argv[1], "threads") == 0) {
		return contest(argv + 2, argc - 2, THREADS);
	}
	if (argc == 8 && strcmp(argv[1], "beside") == 0) {
		return local_beside(argv + 2);
	}
	if (argc == 3 && strcmp(argv[1], "follow") == 0) {
		return local_follow(argv[2]);
	}
	(void)fputs(
		"usage: bench_local fetch|threads ROWS KEYS SECONDS NAME... | bench_local beside ROWS "
		"KEYS SECONDS NAME RATES ADDRESS | bench_local follow FOLDER\n",
		stderr);
	return 2;
}
