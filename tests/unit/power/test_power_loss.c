/* test_power_loss.c - a store whose power is cut again and again, and whose disk fails, loses nothing that
 * it has acknowledged, answers nothing wrong, and starts.
 *
 *   test_power_loss [SEEDS]             100 unless told; the first is REPSTORE_SEED, or 1
 *   test_power_loss open FOLDER         what a failed seed has left, once more; it changes the folder
 *
 * A seed decides the work, the calls at which the power goes, and what of the disk is lost (disk.h). In one
 * seed of ten merges run beside the writes, so not all of it comes again.
 */
#include "tests/unit/power/disk.h"
#include "tests/unit/power/disk_calls.h"
#include "tests/unit/power/disk_image.h"
#include "tests/unit/power/life.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	SEEDS = 100,
	LIVES = 4,
	START_CALLS = 30,
	STEPS_MAX = 40,
	CALLS_MAX = 900,
	LIFE_SECONDS = 400
};

static uint64_t first_seed = 1;
static uint64_t seed_count = SEEDS;
static const char *opened; /* what a failed seed has left; NULL: nothing is to be opened */

/* How a life ends, if it is not the last one. */
enum end { END_POWER, END_PROCESS /* its files are as it has seen them */ };

/* What the test has of the disk and the world, and one seed that runs. */
struct run {
	struct scratch *scratch;  /* borrowed */
	struct disk *disk;        /* borrowed */
	struct life_world *world; /* borrowed */
	struct disk_image *image; /* owned */
	unsigned images;          /* written so far */
	unsigned steps;
	unsigned cuts;
	unsigned faults;
	enum end first_end;  /* of the first life */
	uint64_t first_cut;  /* at which call the first life ends */
	uint64_t first_sync; /* or at which sync of that kind */
	enum disk_kind first_kind;
	bool was_cut;  /* the first life was */
	bool is_kept;  /* the image is what the life began with */
	bool is_quiet; /* that a life fails is no failure of the test */
};

static struct life_world *shared_world(void)
{
	static struct life_world *world;
	if (world == NULL) {
		void *memory = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(memory, MAP_FAILED);
		world = memory;
	}
	return world;
}

/* ---- a child ---- */

static struct life child_life;

static void the_life(void **state)
{
	(void)state;
	life_run(&child_life);
}

/* Where the child tells what is wrong. */
static void log_path(const struct run *run, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/log", run->scratch->folder);
}

static void __attribute__((noreturn)) live(const struct run *run)
{
	char path[PATH_MAX];
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_life)};
	log_path(run, path);
	const int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	(void)dup2(log, STDOUT_FILENO);
	(void)dup2(log, STDERR_FILENO);
	(void)alarm(LIFE_SECONDS);
	(void)unsetenv("REPSTORE_CASE");
	cmocka_set_test_filter(NULL);
	disk_calls_begin(run->disk);
	child_life = (struct life){
		.world = run->world,
		.disk = run->disk,
		.scratch = run->scratch,
		.steps = run->steps,
		.verifies = run->disk->cut_at == 0 && run->disk->fault == DISK_SOUND &&
			    !run->world->is_threaded,
	};
	const int failed = cmocka_run_group_tests_name("life", tests, NULL, NULL);
	(void)fflush(NULL);
	_exit(failed == 0 ? 0 : 1);
}

static bool live_once(const struct run *run)
{
	int how = 0;
	(void)fflush(NULL);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		live(run);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	/* The child may have been ended in the middle of a call. */
	atomic_flag_clear(&run->disk->lock);
	const bool is_sound =
		WIFEXITED(how) && (WEXITSTATUS(how) == 0 || WEXITSTATUS(how) == DISK_CUT);
	if (!is_sound && !run->is_quiet) {
		print_error("the life has ended with %s %d\n",
			WIFSIGNALED(how) ? "signal" : "status",
			WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
	}
	return is_sound;
}

/* ---- failures ---- */

static void print_log(const struct run *run)
{
	char path[PATH_MAX];
	log_path(run, path);
	const struct scratch_file log = scratch_read(path);
	print_error("%.*s\n", (int)log.len, (const char *)log.data);
	free(log.data);
}

/* Keeps what the failed life began with, the disk and what was known; after an end of the process alone only
 * the seed has it. */
static void keep(const struct run *run, const struct life_world *known)
{
	char folder[] = "/var/tmp/repstore_power_loss.XXXXXX";
	char path[PATH_MAX];
	print_error("REPSTORE_SEED=%" PRIu64
		    " test_power_loss 1    # the seed again; it failed in life %u\n",
		known->seed, known->life);
	if (run->is_kept) {
		assert_non_null(mkdtemp(folder));
		disk_image_write(run->image, NULL, folder);
		(void)snprintf(path, sizeof path, "%s/known", folder);
		scratch_write(path, known, sizeof *known);
		print_error("cp -r %s COPY; test_power_loss open COPY    # its beginning again\n",
			folder);
	}
}

/* Opens what was kept. */
static void what_was_kept_is_sound(void **state)
{
	struct run run = {.scratch = *state, .disk = disk_shared(), .world = shared_world()};
	char path[PATH_MAX];
	(void)snprintf(path, sizeof path, "%s/known", opened);
	const struct scratch_file known = scratch_read(path);
	assert_int_equal(known.len, sizeof *run.world);
	memcpy(run.world, known.data, known.len);
	free(known.data);
	assert_true(strlen(opened) + sizeof "/data" <= sizeof run.scratch->data);
	(void)snprintf(run.scratch->data, sizeof run.scratch->data, "%.60s/data", opened);
	const bool is_sound = live_once(&run);
	print_log(&run);
	assert_true(is_sound);
}

/* ---- a seed ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Gives the next life a disk as the image is, in the place of the one before. */
static void write_image(struct run *run)
{
	char folder[PATH_MAX];
	if (run->images > 0) {
		(void)snprintf(folder, sizeof folder, "%s/%u", run->scratch->folder,
			run->images - 1);
		(void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
	(void)snprintf(folder, sizeof folder, "%s/%u", run->scratch->folder, run->images++);
	assert_int_equal(mkdir(folder, 0750), 0);
	disk_image_write(run->image, run->disk, folder);
	(void)snprintf(run->scratch->data, sizeof run->scratch->data, "%.48s/%u/data",
		run->scratch->folder, run->images - 1);
}

/* Chooses what happens in the next life; nothing may go wrong in the last one. Returns how it ends. */
typedef enum end choose_fn(struct run *run, unsigned life);

static enum end choose_by_seed(struct run *run, unsigned life)
{
	struct disk *disk = run->disk;
	const uint64_t draw = disk_mix(run->world->seed, 1000 + life);
	/* A start makes some 30 calls, which would be met too seldom. */
	static const uint64_t reaches[] = {40, 200, CALLS_MAX, CALLS_MAX};
	const uint64_t reach = reaches[disk_mix(draw, 5) % 4];
	const bool is_last = life + 1 == LIVES;
	run->steps = is_last ? STEPS_MAX / 4 : STEPS_MAX;
	disk->cut_at = is_last ? 0 : disk->calls + 1 + draw % reach;
	disk->fault = is_last || run->world->is_periodic || disk_mix(draw, 6) % 3 != 0
			      ? DISK_SOUND
			      : (enum disk_fault)(1 + disk_mix(draw, 2) % (DISK_FAULTS - 1));
	if (disk->fault != DISK_SOUND && disk_mix(draw, 7) % 2 == 0) {
		disk->cut_at = 0; /* the life ends by itself */
	}
	/* Half of the faults wait for a file of one kind. */
	const uint64_t kind = disk_mix(draw, 9);
	disk->fault_kind = kind % 2 == 0 ? DISK_KINDS : (enum disk_kind)(kind / 2 % DISK_KINDS);
	disk->fault_at = disk->calls + 1 + disk_mix(draw, 3) % reach;
	disk->fault_times = disk->fault == DISK_NO_SPACE ? 1 + disk_mix(draw, 4) % 12
							 : 1 + disk_mix(draw, 4) % 2;
	return disk_mix(draw, 8) % 5 == 0 ? END_PROCESS : END_POWER;
}

/* Runs one seed; false: a life has failed. */
static bool run_seed(struct run *run, uint64_t seed, choose_fn *choose)
{
	static struct life_world known;
	bool is_sound = true;
	run->image = disk_image_open(run->disk);
	life_world_init(run->world, seed);
	run->world->is_threaded = seed % 10 == 0;
	run->world->is_periodic = seed % 10 == 5;
	run->scratch->write.durability =
		run->world->is_periodic ? DURABILITY_PERIODIC : DURABILITY_SYNC;
	run->is_kept = true;
	write_image(run);
	for (unsigned life = 0; is_sound && life < LIVES; life++) {
		run->world->life = life;
		run->disk->salt = disk_mix(seed, life);
		run->disk->faults = 0;
		const enum end end = choose(run, life);
		memcpy(&known, run->world, sizeof known);
		is_sound = live_once(run);
		if (!is_sound && !run->is_quiet) {
			print_log(run);
			keep(run, &known);
		}
		run->faults += run->disk->faults > 0;
		run->was_cut = life == 0 ? run->disk->is_cut : run->was_cut;
		run->disk->is_cut = false;
		run->is_kept = end == END_POWER;
		if (is_sound && life + 1 < LIVES && end == END_POWER) {
			disk_image_cut(run->image, run->disk, disk_mix(seed, 100 + life));
			run->cuts++;
			write_image(run);
		}
	}
	disk_image_close(run->image);
	run->image = NULL;
	return is_sound;
}

static struct run begin(void **state)
{
	return (struct run){
		.scratch = *state,
		.disk = disk_shared(),
		.world = shared_world(),
	};
}

static int setup(void **state)
{
	(void)scratch_setup_small(state);
	struct scratch *scratch = *state;
	scratch->sizes.index_rows_min = 60;
	scratch->sizes.segment_bytes = 4096;
	scratch->sizes.file_bytes = 16384;
	/* Tables have deltas, which are merged with each other and, range by range, into the base. */
	scratch->sizes.range_bytes = 8192;
	scratch->sizes.delta_base_min = 1;
	scratch->sizes.deltas_max = 3;
	scratch->sizes.delta_share = 2000;
	scratch->sizes.deltas_share = 2500;
	scratch->catalog_bytes = 4u << 20;
	return 0;
}

static void what_was_acknowledged_outlives_the_power(void **state)
{
	struct run run = begin(state);
	static const char *const names[LIFE_DOINGS] = {"writes", "samples", "merges", "creations",
		"loads", "seals", "publishes", "rollbacks", "drops", "tensors", "starts"};
	uint64_t done[LIFE_DOINGS] = {0};
	run.disk->deaf = DISK_KINDS;
	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
		if (!run_seed(&run, seed, choose_by_seed)) {
			fail_msg("seed %" PRIu64 " has failed", seed);
		}
		for (unsigned i = 0; i < LIFE_DOINGS; i++) {
			done[i] += run.world->done[i];
		}
	}
	print_message("%" PRIu64 " seeds from %" PRIu64 " on:", seed_count, first_seed);
	for (unsigned i = 0; i < LIFE_DOINGS; i++) {
		print_message(" %" PRIu64 " %s", done[i], names[i]);
		assert_true(done[i] > 0 || seed_count < SEEDS);
	}
	print_message(", %u cuts, %u faults\n", run.cuts, run.faults);
}

/* One life ends with its process, or with the power, at a chosen call. The next start succeeds, and what it finds is
 * acknowledged: it outlives the power, and the disk then loses whatever was not synced. */
static enum end choose_first_end(struct run *run, unsigned life)
{
	/* After a first start that has not ended the next life works, else it only finds. */
	const bool works = run->first_sync == 0 && run->first_cut <= START_CALLS;
	run->steps = life == 0 ? STEPS_MAX : life == 1 && !works ? 0 : STEPS_MAX / 4;
	run->disk->fault = DISK_SOUND;
	run->disk->cut_at = life == 0 ? run->first_cut : 0;
	run->disk->cut_kind = run->first_kind;
	run->disk->cut_at_sync = life == 0 ? run->first_sync : 0;
	run->disk->loses_all = life > 0;
	return life == 0 ? run->first_end : END_POWER;
}

static void a_process_may_end_at_any_call(void **state)
{
	static const enum end ends[] = {END_PROCESS, END_POWER};
	struct run run = begin(state);
	const uint64_t stride = seed_count / 10 < SEEDS ? 40 : 1;
	run.disk->deaf = DISK_KINDS;
	for (unsigned i = 0; i < 2; i++) {
		run.first_end = ends[i];
		run.first_cut = 0;
		do {
			/* Each call of the start, and some of those that follow it. */
			run.first_cut += run.first_cut < START_CALLS ? 1 : stride;
			if (!run_seed(&run, first_seed, choose_first_end)) {
				fail_msg("seed %" PRIu64 ", ended at call %" PRIu64, first_seed,
					run.first_cut);
			}
		} while (run.was_cut);
		assert_true(run.first_cut > START_CALLS);
	}
	run.disk->loses_all = false;
}

/* The same at the first syncs of each kind of files. */
static void a_process_may_end_at_any_sync(void **state)
{
	enum { SYNCS = 3, TRIES = 4 };
	static const enum end ends[] = {END_PROCESS, END_POWER};
	struct run run = begin(state);
	unsigned cuts = 0;
	run.disk->deaf = DISK_KINDS;
	for (unsigned i = 0; i < 2 * DISK_KINDS * SYNCS * TRIES; i++) {
		const uint64_t seed = first_seed + i % TRIES;
		run.first_end = ends[i / TRIES % 2];
		run.first_sync = 1 + i / TRIES / 2 % SYNCS;
		run.first_kind = (enum disk_kind)(i / TRIES / 2 / SYNCS);
		/* After the process one seed is enough: the rest is lost then, whatever the seed. */
		if (run.first_end == END_PROCESS && i % TRIES != 0) {
			continue;
		}
		if (!run_seed(&run, seed, choose_first_end)) {
			fail_msg("seed %" PRIu64 ", ended at sync %" PRIu64 " of kind %d", seed,
				run.first_sync, (int)run.first_kind);
		}
		cuts += run.was_cut;
	}
	assert_true(cuts > DISK_KINDS);
	run.disk->loses_all = false;
}

/* The disk ignores the syncs of one kind of files: that must be noticed, or the test tells nothing. An index
 * that is lost is built again, and `current` is written again, so nobody notices theirs. */
static void a_sync_that_does_nothing_is_noticed(void **state)
{
	enum { SEEDS_MAX = 100 };
	static const enum disk_kind kinds[] = {DISK_LOG, DISK_BASE, DISK_TENSOR, DISK_SPILL,
		DISK_CATALOG, DISK_FOLDER};
	struct run run = begin(state);
	run.is_quiet = true;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		uint64_t seed = first_seed;
		run.disk->deaf = kinds[i];
		while (run_seed(&run, seed, choose_by_seed)) {
			seed++;
			assert_true(seed < first_seed + SEEDS_MAX);
		}
	}
}

int main(int argc, char **argv)
{
	const char *seed = getenv("REPSTORE_SEED");
	first_seed = seed != NULL ? strtoull(seed, NULL, 10) : first_seed;
	if (argc > 2 && strcmp(argv[1], "open") == 0) {
		opened = argv[2];
	} else if (argc > 1) {
		seed_count = strtoull(argv[1], NULL, 10);
	}
	const struct CMUnitTest kept[] = {
		cmocka_unit_test_setup_teardown(what_was_kept_is_sound, setup, scratch_teardown),
	};
	if (opened != NULL) {
		return cmocka_run_group_tests(kept, NULL, NULL);
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_acknowledged_outlives_the_power, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_process_may_end_at_any_call, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_process_may_end_at_any_sync, setup,
			scratch_teardown),
		cmocka_unit_test_setup_teardown(a_sync_that_does_nothing_is_noticed, setup,
			scratch_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
