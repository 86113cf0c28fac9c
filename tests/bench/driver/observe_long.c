/* observe_long.c - a stream of samples that goes on while merges have to keep up.
 *
 * Several connections send batch after batch. Beside them, LOOKS_A_SECOND times a second, the
 * daemon is asked what it has written and merged, and the system what memory it has. Prints
 * long_second_N, the samples that were acknowledged in each second, long_merge_N_ms and _bytes of
 * each merge, and the sums.
 */
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/lanes.h"
#include "tests/bench/driver/observe.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKS_A_SECOND = 10 };
static const uint64_t second_ns = 1000000000u;

struct watcher {
	struct entrant *entrant;
	struct daemon *daemon;
	atomic_bool over;
	struct write_stats first;
	struct write_stats last; /* when the last merge had ended */
	uint64_t anon_bytes;     /* at most, as the next */
	uint64_t all_bytes;
	uint64_t memtable_bytes;
};

static uint64_t largest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void read_kib(const char *line, const char *name, uint64_t *kib)
{
	const size_t len = strlen(name);
	if (strncmp(line, name, len) == 0) {
		*kib = strtoull(line + len, NULL, 10);
	}
}

static void look_at_memory(struct watcher *watcher)
{
	char path[64];
	char line[256];
	uint64_t anon_kib = 0;
	uint64_t all_kib = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)watcher->entrant->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		die("'%s' cannot be read", path);
	}
	while (fgets(line, sizeof line, file) != NULL) {
		read_kib(line, "RssAnon:", &anon_kib);
		read_kib(line, "VmRSS:", &all_kib);
	}
	(void)fclose(file);
	watcher->anon_bytes = largest(watcher->anon_bytes, anon_kib * 1024);
	watcher->all_bytes = largest(watcher->all_bytes, all_kib * 1024);
}

static void look(struct watcher *watcher)
{
	struct write_stats stats;
	daemon_stats(watcher->daemon, &stats);
	look_at_memory(watcher);
	watcher->memtable_bytes = largest(watcher->memtable_bytes, stats.memtable_bytes);
	if (stats.merges > watcher->last.merges) {
		const uint64_t number = stats.merges - watcher->first.merges;
		printf("long_merge_%" PRIu64 "_ms %" PRIu64 " ms\n", number, stats.merge_ms);
		/* What the next one has written by now is in it: a tenth of a second's. */
		printf("long_merge_%" PRIu64 "_bytes %" PRIu64 " bytes\n", number,
			stats.merge_bytes - watcher->last.merge_bytes);
		watcher->last = stats;
	}
}

static void *watch(void *arg)
{
	struct watcher *watcher = arg;
	const uint64_t start = now_ns();
	uint64_t observed = atomic_load(&watcher->entrant->observed);
	for (uint64_t i = 1; !atomic_load(&watcher->over); i++) {
		wait_until(start + i * second_ns / LOOKS_A_SECOND);
		look(watcher);
		if (i % LOOKS_A_SECOND == 0) {
			const uint64_t now = atomic_load(&watcher->entrant->observed);
			printf("long_second_%" PRIu64 " %" PRIu64 " samples/s\n",
				i / LOOKS_A_SECOND, now - observed);
			observed = now;
		}
	}
	return NULL;
}

static void print(const struct watcher *watcher, uint64_t observed, uint64_t took_ns)
{
	struct write_stats stats;
	daemon_stats(watcher->daemon, &stats);
	printf("long_together %.0f samples/s\n", (double)observed * 1e9 / (double)took_ns);
	printf("long_merges %" PRIu64 " merges\n", stats.merges - watcher->first.merges);
	printf("long_log_each %.1f bytes\n",
		(double)(stats.log_bytes - watcher->first.log_bytes) / (double)observed);
	printf("long_written_each %.1f bytes\n",
		(double)(stats.merge_bytes - watcher->first.merge_bytes) / (double)observed);
	printf("long_anon %" PRIu64 " bytes\n", watcher->anon_bytes);
	printf("long_rss %" PRIu64 " bytes\n", watcher->all_bytes);
	printf("long_memtable %" PRIu64 " bytes\n", watcher->memtable_bytes);
	printf("long_tables %" PRIu64 " bytes\n", stats.table_bytes);
}

void observe_long(struct entrant *entrant, const struct stream_plan *plan)
{
	struct samples samples = {0};
	struct watcher watcher = {.entrant = entrant, .daemon = daemon_connect(entrant->path)};
	daemon_stats(watcher.daemon, &watcher.first);
	watcher.last = watcher.first;
	struct lanes *lanes = entrant_lanes(entrant, plan->connections, plan->each);
	pthread_t thread;
	if (pthread_create(&thread, NULL, watch, &watcher) != 0) {
		die("no thread");
	}
	const uint64_t before = atomic_load(&entrant->observed);
	const uint64_t daemon_start = process_cpu_ns(entrant->pid);
	const uint64_t client_start = client_cpu_ns();
	const uint64_t start = now_ns();
	(void)lanes_run(lanes, plan->seconds * second_ns, &samples);
	const uint64_t took_ns = now_ns() - start;
	const uint64_t client_ns = client_cpu_ns() - client_start;
	const uint64_t daemon_ns = process_cpu_ns(entrant->pid) - daemon_start;
	atomic_store(&watcher.over, true);
	(void)pthread_join(thread, NULL);
	print(&watcher, atomic_load(&entrant->observed) - before, took_ns);
	printf("long_busy %" PRIu64 " answers\n", lanes_busy(lanes));
	printf("long_daemon %.2f processors\n", (double)daemon_ns / (double)took_ns);
	printf("long_client %.2f processors\n", (double)client_ns / (double)took_ns);
	samples_print(&samples, "long");
	samples_fini(&samples);
	lanes_close(lanes);
	daemon_wait_for_merge(watcher.daemon);
	daemon_close(watcher.daemon);
	entrant_check(entrant);
}
