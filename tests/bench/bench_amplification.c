/* bench_amplification.c - bytes that a repstored writes for bytes that are put;
 * tests/bench/amplification starts it and makes a table of what this prints.
 *
 *   bench_amplification ADDRESS PID ROWS EACH CHANGED...
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). For each number of
 * keys CHANGED, rows are put, EACH a request, until so many different keys have new rows; then they
 * are merged. Once with uniform keys, each different, and once with keys by Zipf's law, among which
 * some come again and again: key k with a probability by (k + 1) to the power of -0.99. No merge
 * may begin by itself. Prints CHANGED_DRAW_...: what the daemon says that it wrote, and what the
 * kernel says of it (write_bytes of /proc/PID/io). In the end rows are read back and checked.
 */
#include "tests/bench/driver/daemon.h"
#include "tests/bench/driver/ledger.h"
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/put.h"
#include "tests/bench/driver/stream.h"
#include "tests/bench/driver/zipf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double zipf_exponent = 0.99;

struct amplification {
	const char *address; /* borrowed */
	const char *pid;     /* borrowed */
	uint64_t rows_count;
	uint32_t each;
	uint8_t *rows;
	struct zipf zipf;
	uint8_t *changed; /* of each key: in this cell */
	uint64_t *keys;   /* of one request */
	uint64_t random;
	struct ledger ledger;
	struct stream stream;
	struct daemon *daemon;
};

/* What is counted of a cell, and before it. */
struct written {
	struct write_stats stats;
	uint64_t device_bytes;
};

static void look(const struct amplification *amplification, struct written *out)
{
	char path[64];
	char line[256];
	(void)snprintf(path, sizeof path, "/proc/%s/io", amplification->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		die("'%s' cannot be read", path);
	}
	static const char name[] = "write_bytes: ";
	*out = (struct written){0};
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, name, sizeof name - 1) == 0) {
			out->device_bytes = strtoull(line + sizeof name - 1, NULL, 10);
		}
	}
	(void)fclose(file);
	daemon_stats(amplification->daemon, &out->stats);
}

/* ---- keys ---- */

static uint64_t draw_zipf(struct amplification *amplification)
{
	return zipf_draw(&amplification->zipf, &amplification->random);
}

static uint64_t draw_uniform(struct amplification *amplification)
{
	uint64_t key;
	do {
		key = next_random(&amplification->random) % amplification->rows_count;
	} while (amplification->changed[key]);
	return key;
}

static const struct draw {
	const char *name;
	uint64_t (*key)(struct amplification *amplification);
} draws[] = {{"uniform", draw_uniform}, {"zipf", draw_zipf}};

/* ---- one cell ---- */

static void put(struct amplification *amplification, uint32_t count)
{
	struct put_request request;
	put_request_init(&request, &put_repstored, count, amplification->rows);
	ledger_send(&amplification->ledger, &request, amplification->keys);
	put_call(&amplification->stream, &request);
	ledger_acknowledge(&amplification->ledger, request.number);
	put_request_fini(&request);
}

/* Puts until `wanted` keys have changed; returns how many rows that took. */
static uint64_t change(struct amplification *amplification, const struct draw *draw,
	uint64_t wanted)
{
	uint64_t rows = 0;
	uint32_t count = 0;
	memset(amplification->changed, 0, amplification->rows_count);
	for (uint64_t changed = 0; changed < wanted;) {
		const uint64_t key = draw->key(amplification);
		changed += !amplification->changed[key];
		amplification->changed[key] = 1;
		amplification->keys[count++] = key;
		rows++;
		if (count == amplification->each || changed == wanted) {
			put(amplification, count);
			count = 0;
		}
	}
	return rows;
}

static void print_uint(const char *cell, const char *name, uint64_t value, const char *unit)
{
	printf("%s_%s %" PRIu64 " %s\n", cell, name, value, unit);
}

static void run(struct amplification *amplification, const struct draw *draw, uint64_t wanted)
{
	struct written before;
	struct written put;
	struct written merged;
	struct merge_result result;
	char cell[64];
	(void)snprintf(cell, sizeof cell, "%" PRIu64 "_%s", wanted, draw->name);
	look(amplification, &before);
	const uint64_t start = now_ns();
	const uint64_t rows = change(amplification, draw, wanted);
	const uint64_t put_ns = now_ns() - start;
	look(amplification, &put);
	daemon_merge(amplification->daemon, &result);
	look(amplification, &merged);
	if (put.stats.merges != before.stats.merges ||
		merged.stats.merges != before.stats.merges + 1) {
		die("a merge began by itself");
	}
	print_uint(cell, "put_rows", rows, "rows");
	print_uint(cell, "put_ms", put_ns / 1000000, "ms");
	print_uint(cell, "log", put.stats.log_bytes - before.stats.log_bytes, "bytes");
	print_uint(cell, "log_device", put.device_bytes - before.device_bytes, "bytes");
	print_uint(cell, "merge", merged.stats.merge_bytes - put.stats.merge_bytes, "bytes");
	print_uint(cell, "merge_device", merged.device_bytes - put.device_bytes, "bytes");
	print_uint(cell, "merge_ms", result.elapsed_ms, "ms");
	print_uint(cell, "table", before.stats.table_bytes, "bytes");
	ledger_check_reader(&amplification->ledger, &peer_repstored, amplification->address);
}

static uint64_t read_changed(const struct amplification *amplification, const char *text)
{
	const uint64_t changed = strtoull(text, NULL, 10);
	/* Uniform keys are drawn until one is new: that must not take for ever. */
	if (changed == 0 || changed > amplification->rows_count / 2) {
		die("'%s': 1 to half of the rows are allowed", text);
	}
	return changed;
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 6) {
		(void)fputs("usage: bench_amplification ADDRESS PID ROWS EACH CHANGED...\n",
			stderr);
		return 2;
	}
	struct amplification amplification = {
		.address = argv[1],
		.pid = argv[2],
		.rows_count = strtoull(argv[3], NULL, 10),
		.each = (uint32_t)strtoul(argv[4], NULL, 10),
		.rows = rows_make(MEASURE_ROWS_MADE),
	};
	if (amplification.rows_count == 0 || amplification.each == 0 ||
		amplification.each > PUT_ROWS_MAX) {
		die("a number is out of range");
	}
	amplification.changed = allocate(amplification.rows_count);
	amplification.keys = allocate(amplification.each * sizeof *amplification.keys);
	zipf_init(&amplification.zipf, amplification.rows_count, zipf_exponent);
	ledger_init(&amplification.ledger, amplification.rows, amplification.rows_count);
	stream_open(&amplification.stream, amplification.address);
	amplification.daemon = daemon_connect(amplification.address);
	for (int i = 5; i < argc; i++) {
		const uint64_t changed = read_changed(&amplification, argv[i]);
		for (size_t j = 0; j < sizeof draws / sizeof draws[0]; j++) {
			run(&amplification, &draws[j], changed);
		}
	}
	daemon_close(amplification.daemon);
	stream_close(&amplification.stream);
	ledger_fini(&amplification.ledger);
	free(amplification.keys);
	free(amplification.changed);
	zipf_fini(&amplification.zipf);
	rows_drop(amplification.rows, MEASURE_ROWS_MADE);
	return 0;
}
