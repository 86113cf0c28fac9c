/* test_local_failing.c - what a disk that fails made the store take back is never shown by a reader beside it.
 *
 *   test_local_failing [ROUNDS]
 *
 * Writers put one value after another (local_values.h), and know of each whether it was acknowledged. In each round the
 * log's disk fails at some call: it is full amid a write, or a sync fails, and with it what had not been synced
 * may be gone. A full disk has room again at once, so that the next frame stands where the one stood that was taken
 * back. After a failed sync the store starts anew. All that while one reader reads.
 */
#include "tests/unit/local/local_values.h"

#include "daemon/store/merge/merge.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fixture.h"
#include "tests/unit/seed.h"
#include "tests/unit/wait.h"

enum {
	WRITERS = 3,
	PUTS = 12, /* of a writer in a round */
	PUTS_MAX = 1 << 16,
	MERGE_EVERY = 5,
	REOPEN_EVERY = 7, /* rounds */
	FULL_CALLS = 3,
};

static unsigned rounds = 24;

/* ---- the disk ---- */

enum fault {
	FAULT_NONE,
	FAULT_FULL,       /* a write is cut, then ENOSPC */
	FAULT_FULL_LONG,  /* the same, and there is no room for a while */
	FAULT_FULL_SYNC,  /* the same, and what cuts it out of the file cannot be synced */
	FAULT_SYNC,       /* EIO; the frames are there after it */
	FAULT_SYNC_LOSES, /* EIO; the frames are gone */
	FAULT_COUNT,
};

static _Atomic int fault;        /* of this round */
static atomic_int calls_left;    /* of the kind that fails, until it does */
static atomic_bool sync_failed;  /* so do all from then on */
static atomic_bool write_is_cut; /* the next one finds no room */
static atomic_int full_left;     /* times that the store asks in vain whether there is room */
/* Of the log, which one thread writes at a time; the test reads them when the store is closed. */
static char failed_path[PATH_MAX]; /* whose sync failed; valid with `sync_failed` */
static char synced_path
	[PATH_MAX]; /* whose sync was the last that succeeded, and how long it was then */
static off_t synced_bytes;

static bool is_log(int fd, char path[PATH_MAX])
{
	char link[64];
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	const ssize_t len = readlink(link, path, PATH_MAX - 1);
	path[len > 0 ? len : 0] = '\0';
	return strstr(path, "/log/") != NULL;
}

/* Whether this call is the one that fails. */
static bool is_due(int fd, bool is_of_fault)
{
	char path[PATH_MAX];
	return is_of_fault && is_log(fd, path) && atomic_fetch_sub(&calls_left, 1) == 1;
}

ssize_t __real_pwritev64(int fd, const struct iovec *parts, int count, off_t offset);
int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __real_fdatasync(int fd);
ssize_t __wrap_pwritev64(int fd, const struct iovec *parts, int count, off_t offset);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fdatasync(int fd);

ssize_t __wrap_pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
	const int now = atomic_load(&fault);
	char path[PATH_MAX];
	if (is_log(fd, path) && atomic_exchange(&write_is_cut, false)) {
		(void)poll(NULL, 0,
			2); /* the reader sees what is there, if it looks where it must not */
		atomic_store(&sync_failed, now == FAULT_FULL_SYNC);
		atomic_store(&full_left, now == FAULT_FULL_LONG ? FULL_CALLS : 0);
		errno = ENOSPC;
		return -1;
	}
	if (is_due(fd, now == FAULT_FULL || now == FAULT_FULL_LONG || now == FAULT_FULL_SYNC)) {
		atomic_store(&write_is_cut, true);
		/* All but one byte of the last, or the first alone. */
		return count > 1 ? __real_pwritev64(fd, parts, count - 1, offset)
				 : pwrite(fd, parts[0].iov_base, parts[0].iov_len - 1, offset);
	}
	return __real_pwritev64(fd, parts, count, offset);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
	char path[PATH_MAX];
	if (atomic_load(&full_left) > 0 && is_log(fd, path)) {
		atomic_fetch_sub(&full_left, 1);
		errno = ENOSPC;
		return -1;
	}
	return __real_fallocate64(fd, mode, offset, len);
}

int __wrap_fdatasync(int fd)
{
	const int now = atomic_load(&fault);
	char path[PATH_MAX];
	struct stat about;
	if (!is_log(fd, path)) {
		return __real_fdatasync(fd);
	}
	if (is_due(fd, now == FAULT_SYNC || now == FAULT_SYNC_LOSES)) {
		(void)poll(NULL, 0, 2);
		memcpy(failed_path, path, sizeof path);
		atomic_store(&sync_failed, true);
	}
	if (atomic_load(&sync_failed)) {
		errno = EIO;
		return -1;
	}
	const int code = __real_fdatasync(fd);
	if (code == 0 && fstat(fd, &about) == 0) {
		memcpy(synced_path, path, sizeof path);
		synced_bytes = about.st_size;
	}
	return code;
}

/* ---- the writers ---- */

enum outcome { PENDING, ACKNOWLEDGED, REFUSED, UNKNOWN };

struct writer {
	struct store *store; /* borrowed */
	unsigned number;
	uint32_t value;        /* the last one that was put */
	uint32_t acknowledged; /* the newest of these */
	_Atomic uint8_t outcomes[PUTS_MAX];
	bool shown[PUTS_MAX]; /* to the reader */
	pthread_t thread;
};

static struct writer writers[WRITERS];

static void *write_values(void *arg)
{
	struct writer *writer = arg;
	struct error err;
	struct merge_result merged;
	grace_register();
	for (unsigned i = 0; i < PUTS; i++) {
		const uint32_t value = ++writer->value;
		const enum status status = values_put(writer->store, writer->number, value, &err);
		if (status == STATUS_OK) {
			writer->acknowledged = value;
		}
		atomic_store(&writer->outcomes[value], status == STATUS_OK          ? ACKNOWLEDGED
						       : status == STATUS_DISK_FULL ? REFUSED
										    : UNKNOWN);
		if (writer->number == 0 && value % MERGE_EVERY == 0) {
			(void)store_merge(writer->store, NULL, &merged, &err);
		}
	}
	grace_unregister();
	return NULL;
}

/* ---- the reader ---- */

static uint32_t seen[WRITERS];
/* What was wrong first: writers may still run then, so that the test fails when they have ended. */
static char wrong[160];

/* Nothing is half, nothing goes back, and nothing is shown that is known to have been taken back. */
static void look(struct pair *pair)
{
	uint32_t values[VALUES_WRITERS_MAX];
	values_read(pair_ask(pair), WRITERS, values);
	for (unsigned i = 0; i < WRITERS; i++) {
		const bool is_refused = atomic_load(&writers[i].outcomes[values[i]]) == REFUSED;
		if ((values[i] < seen[i] || is_refused) && wrong[0] == '\0') {
			(void)snprintf(wrong, sizeof wrong, "writer %u: %u is shown after %u%s", i,
				(unsigned)values[i], (unsigned)seen[i],
				is_refused ? ", and it was refused" : "");
		}
		seen[i] = values[i];
		writers[i].shown[values[i]] = true;
	}
}

static void check_looks(void)
{
	if (wrong[0] != '\0') {
		fail_msg("%s", wrong);
	}
}

static bool has_all(struct pair *pair)
{
	look(pair);
	bool all = true;
	for (unsigned i = 0; i < WRITERS; i++) {
		all = all && seen[i] >= writers[i].acknowledged;
	}
	return all;
}

/* While the store stands as it does after the fault: what was shown was acknowledged. */
static void check_shown(uint32_t const first[WRITERS])
{
	for (unsigned i = 0; i < WRITERS; i++) {
		for (uint32_t value = first[i]; value <= writers[i].value; value++) {
			if (writers[i].shown[value]) {
				assert_int_equal(atomic_load(&writers[i].outcomes[value]),
					ACKNOWLEDGED);
			}
		}
	}
}

/* A reader that is opened while no store runs shows what a start would find now. */
static void open_beside_none(struct pair *pair)
{
	pair_await_dead(pair);
	pair_close(pair);
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	assert_true(has_all(pair));
	memset(seen, 0, sizeof seen); /* what is lost now may go back */
}

static void start_anew(struct pair *pair, bool is_opened_between)
{
	pair_close_store(pair);
	if (is_opened_between) {
		open_beside_none(pair);
	}
	/* A file whose first sync failed was removed. */
	if (atomic_load(&fault) == FAULT_SYNC_LOSES && strcmp(failed_path, synced_path) == 0) {
		assert_int_equal(truncate(synced_path, synced_bytes), 0);
	}
	atomic_store(&sync_failed, false);
	atomic_store(&fault, FAULT_NONE);
	pair_open_store(pair);
}

/* After a start the store says what has become of what was not known; and the reader shows the same. */
static void check_same(struct pair *pair)
{
	uint32_t values[VALUES_WRITERS_MAX];
	values_read(pair_ask_store(pair), WRITERS, values);
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_true(values[i] >= writers[i].acknowledged);
		assert_int_not_equal(atomic_load(&writers[i].outcomes[values[i]]), REFUSED);
		writers[i].acknowledged = values[i];
	}
	struct wait wait = {0};
	while (memcmp(seen, values, sizeof seen) != 0) {
		memset(seen, 0, sizeof seen);
		wait_a_moment(&wait);
		look(pair);
	}
}

static void run_round(struct pair *pair, enum fault kind, uint64_t random)
{
	uint32_t first[WRITERS];
	struct wait wait = {0};
	/* A writer waits for each of its puts, so there are more calls than that. */
	atomic_store(&calls_left, 1 + (int)((random >> 40) % (PUTS - 1)));
	atomic_store(&fault, kind);
	for (unsigned i = 0; i < WRITERS; i++) {
		first[i] = writers[i].value + 1;
		writers[i].store = pair->world->service.store;
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_values,
					 &writers[i]),
			0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		while (pthread_tryjoin_np(writers[i].thread, NULL) != 0) {
			look(pair);
			wait_a_moment(&wait);
		}
	}
	while (!has_all(pair)) {
		wait_a_moment(&wait);
	}
	check_looks();
	check_shown(first);
	assert_true(kind == FAULT_NONE || atomic_load(&calls_left) <= 0);
	if (atomic_load(&sync_failed)) {
		start_anew(pair, (random >> 60) % 2 == 0);
	}
	atomic_store(&fault, FAULT_NONE);
	check_same(pair);
	check_looks();
}

static void what_was_taken_back_is_never_shown(void **state)
{
	struct pair *pair = *state;
	struct error err;
	uint64_t random = seed_from(20261201);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		assert_int_equal(values_put(pair->world->service.store, i, 0, &err), STATUS_OK);
	}
	pair_open(pair, LOCAL_FOLLOW_WRITES);
	values_request(pair, WRITERS);
	for (unsigned round = 0; round < rounds; round++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		run_round(pair, (enum fault)(round % FAULT_COUNT), random);
		if (round % REOPEN_EVERY == REOPEN_EVERY - 1) {
			pair_close(pair);
			pair_open(pair, LOCAL_FOLLOW_WRITES);
		}
	}
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_taken_back_is_never_shown),
	};
	rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : rounds;
	if (rounds > PUTS_MAX / PUTS - 1) {
		(void)fprintf(stderr, "at most %d rounds\n", PUTS_MAX / PUTS - 1);
		return 2;
	}
	return fixture_run(tests, sizeof tests / sizeof tests[0], pair_setup, pair_teardown);
}
