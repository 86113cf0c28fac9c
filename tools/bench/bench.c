/* bench.c - the threads of a benchmark, and the keys that they draw. */
#include "tools/bench/bench.h"

#include "schema/dtype.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	KEYS_MAX = 1000000,
	SCAN_ROWS = 16384,
	KEY_PACKED_MAX = 256,
};

/* One connection. */
struct runner {
	const struct bench *bench;
	pthread_t thread;
	bool started;
	uint64_t random;
	uint64_t requests; /* how many to send; 0: until the time is over */
	_Atomic bool *stop;
	rep_client *client; /* owned */
	struct rep_part parts[BENCH_PARTS_MAX];
	void *memory[BENCH_PARTS_MAX]; /* owned; keys, rows and found of a part */
	uint32_t *chosen;              /* owned; uint32_t[rows] */
	struct bench_result result;
	struct rep_error err;
	enum rep_status status;
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Source: splitmix64, Steele, Lea and Flood 2014. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number below `limit`. The remainder is biased, but far less than can be measured. */
static uint64_t draw_below(uint64_t *state, uint64_t limit)
{
	return draw(state) % limit;
}

/* ---- keys ---- */

static enum status keep_keys(struct bench_table *table, const struct rep_keys *keys)
{
	uint32_t count = keys->count;
	if (count > KEYS_MAX - table->key_count) {
		count = KEYS_MAX - table->key_count;
	}
	const uint8_t *key = keys->data;
	bool strings = keys->type == REP_KEY_BYTES;
	for (uint32_t i = 0; i < count; i++) {
		size_t len = strings ? 1 + (size_t)key[0] : 8;
		const uint32_t at = (uint32_t)table->keys.len;
		enum status status = buffer_add(&table->keys, key, len);
		if (status == STATUS_OK && strings) {
			status = buffer_add(&table->at, &at, sizeof at);
		}
		if (status != STATUS_OK) {
			return status;
		}
		key += len;
	}
	table->key_count += count;
	return STATUS_OK;
}

static enum rep_status collect_table(const struct bench *bench, struct bench_table *table,
	rep_client *client, struct rep_error *err)
{
	struct rep_scan scan = {0};
	enum rep_status status = REP_OK;
	do {
		status = rep_scan_next(client, bench->release, table->name, REP_DTYPE_TABLE,
			SCAN_ROWS, &scan, err);
		if (status == REP_OK && keep_keys(table, &scan.keys) != STATUS_OK) {
			status = err->status = REP_NO_MEMORY;
			strcpy(err->text, "no memory for the keys");
		}
	} while (status == REP_OK && scan.more && table->key_count < KEYS_MAX);
	rep_scan_free(&scan);
	if (status == REP_OK && table->key_count == 0) {
		status = err->status = REP_NOT_FOUND;
		strcpy(err->text, "the table has no rows; --keys-max N draws numbers below N");
	}
	return status;
}

enum rep_status bench_collect_keys(struct bench *bench, rep_client *client, struct rep_error *err)
{
	for (size_t i = 0; i < bench->table_count; i++) {
		struct bench_table *table = &bench->tables[i];
		if (table->keys_max > 0) {
			continue;
		}
		enum rep_status status = collect_table(bench, table, client, err);
		if (status != REP_OK) {
			return status;
		}
	}
	return REP_OK;
}

void bench_fini(struct bench *bench)
{
	for (size_t i = 0; i < bench->table_count; i++) {
		buffer_fini(&bench->tables[i].keys);
		buffer_fini(&bench->tables[i].at);
	}
}

/* Draws which keys to ask for, and prefetches them: the loop is to wait for the daemon, not for its
 * own memory. */
static void choose(struct runner *runner, const struct bench_table *table, bool strings)
{
	assert(table->key_count > 0);
	for (uint64_t row = 0; row < runner->bench->rows; row++) {
		uint32_t chosen = (uint32_t)draw_below(&runner->random, table->key_count);
		runner->chosen[row] = chosen;
		__builtin_prefetch(strings ? table->at.data + (size_t)chosen * sizeof chosen
					   : table->keys.data + (size_t)chosen * 8);
	}
	for (uint64_t row = 0; row < runner->bench->rows && strings; row++) {
		memcpy(&runner->chosen[row],
			table->at.data + (size_t)runner->chosen[row] * sizeof(uint32_t),
			sizeof(uint32_t));
		__builtin_prefetch(table->keys.data + runner->chosen[row]);
	}
}

static void draw_keys(struct runner *runner, size_t i)
{
	const struct bench_table *table = &runner->bench->tables[i];
	struct rep_part *part = &runner->parts[i];
	uint8_t *target = runner->memory[i];
	bool strings = part->keys.type == REP_KEY_BYTES;
	size_t at = 0;
	if (table->keys_max == 0) {
		choose(runner, table, strings);
	}
	for (uint64_t row = 0; row < runner->bench->rows; row++) {
		size_t len = 8;
		if (table->keys_max > 0) {
			const uint64_t id = draw_below(&runner->random, table->keys_max);
			memcpy(target + at, &id, sizeof id);
		} else if (strings) {
			const uint8_t *key = table->keys.data + runner->chosen[row];
			len = 1 + (size_t)key[0];
			memcpy(target + at, key, len);
		} else {
			memcpy(target + at, table->keys.data + (size_t)runner->chosen[row] * 8, 8);
		}
		at += len;
	}
	assert(at <= runner->bench->rows * (strings ? KEY_PACKED_MAX : 8));
	part->keys.bytes = at;
}

/* ---- a connection ---- */

static bool prepare_part(struct runner *runner, size_t i)
{
	const struct bench *bench = runner->bench;
	const struct bench_table *table = &bench->tables[i];
	const struct rep_table_spec *spec = &table->shape.spec;
	struct rep_part *part = &runner->parts[i];
	enum rep_dtype dtype = bench->dtype != NULL ? (enum rep_dtype)dtype_of_name(bench->dtype,
							      strlen(bench->dtype))
						    : spec->dtype;
	size_t keys_bytes = bench->rows * (spec->key_type == REP_KEY_BYTES ? KEY_PACKED_MAX : 8);
	size_t rows_bytes = bench->rows * rep_row_bytes(dtype, spec->dim, spec->views);
	uint8_t *memory = malloc(keys_bytes + rows_bytes + bench->rows / 8 + 1);
	if (memory == NULL) {
		return false;
	}
	runner->memory[i] = memory;
	*part = (struct rep_part){
		.table = table->name,
		.keys = {spec->key_type, (uint32_t)bench->rows, memory, 0},
		.dtype = dtype,
		.rows = memory + keys_bytes,
		.rows_bytes = rows_bytes,
		.found = memory + keys_bytes + rows_bytes,
	};
	return true;
}

static bool prepare(struct runner *runner)
{
	runner->status =
		session_connect_more(runner->bench->session, &runner->client, &runner->err);
	runner->chosen = malloc(runner->bench->rows * sizeof *runner->chosen);
	for (size_t i = 0; runner->status == REP_OK && i < runner->bench->table_count; i++) {
		if (runner->chosen == NULL || !prepare_part(runner, i)) {
			runner->status = runner->err.status = REP_NO_MEMORY;
			strcpy(runner->err.text, "no memory for the rows of a request");
		}
	}
	return runner->status == REP_OK;
}

/* Sends one request, timed until its rows are in place. */
static bool request(struct runner *runner)
{
	const struct bench *bench = runner->bench;
	struct bench_result *result = &runner->result;
	for (size_t i = 0; i < bench->table_count; i++) {
		draw_keys(runner, i);
	}
	int64_t began = now_ns();
	runner->status = rep_fetch(runner->client, bench->release, runner->parts,
		bench->table_count, NULL, &runner->err);
	if (runner->status != REP_OK) {
		return false;
	}
	histogram_add(&result->latency_ns, (uint64_t)(now_ns() - began));
	result->requests++;
	for (size_t i = 0; i < bench->table_count; i++) {
		result->rows += bench->rows;
		result->found += runner->parts[i].found_count;
		result->row_bytes += bench->rows * runner->parts[i].stride;
	}
	return true;
}

static void *run(void *arg)
{
	struct runner *runner = arg;
	while (!atomic_load_explicit(runner->stop, memory_order_relaxed) &&
		(runner->requests == 0 || runner->result.requests < runner->requests)) {
		if (!request(runner)) {
			atomic_store(runner->stop, true);
		}
	}
	return NULL;
}

/* ---- all of them ---- */

static void wait_for_end(const struct bench *bench, _Atomic bool *stop, int64_t began)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	while (!atomic_load(stop) && now_ns() - began < (int64_t)bench->milliseconds * 1000000) {
		nanosleep(&moment, NULL);
	}
	atomic_store(stop, true);
}

static enum rep_status collect(struct runner *runners, size_t count, struct bench_result *out,
	struct rep_error *err)
{
	enum rep_status status = REP_OK;
	for (size_t i = 0; i < count; i++) {
		struct runner *runner = &runners[i];
		histogram_merge(&out->latency_ns, &runner->result.latency_ns);
		out->requests += runner->result.requests;
		out->rows += runner->result.rows;
		out->found += runner->result.found;
		out->row_bytes += runner->result.row_bytes;
		if (runner->status != REP_OK && status == REP_OK) {
			status = runner->status;
			*err = runner->err;
		}
		for (size_t j = 0; j < BENCH_PARTS_MAX; j++) {
			free(runner->memory[j]);
		}
		free(runner->chosen);
		rep_close(runner->client);
	}
	return status;
}

enum rep_status bench_run(const struct bench *bench, struct bench_result *out,
	struct rep_error *err)
{
	size_t count = bench->connections;
	struct runner *runners = calloc(count, sizeof *runners);
	if (runners == NULL) {
		strcpy(err->text, "no memory for the connections");
		return err->status = REP_NO_MEMORY;
	}
	_Atomic bool stop = false;
	bool ready = true;
	for (size_t i = 0; i < count && ready; i++) {
		runners[i].bench = bench;
		runners[i].stop = &stop;
		runners[i].random = (i + 1) * UINT64_C(0x9e3779b9);
		/* If the requests do not divide evenly, the first connections send one more. */
		runners[i].requests = bench->requests / count + (i < bench->requests % count);
		ready = prepare(&runners[i]);
	}
	int64_t began = now_ns();
	for (size_t i = 0; i < count && ready; i++) {
		ready = pthread_create(&runners[i].thread, NULL, run, &runners[i]) == 0;
		runners[i].started = ready;
		if (!ready) {
			runners[i].status = runners[i].err.status = REP_NO_MEMORY;
			strcpy(runners[i].err.text, "a thread could not be started");
		}
	}
	if (!ready) {
		atomic_store(&stop, true);
	} else if (bench->requests == 0) {
		wait_for_end(bench, &stop, began);
	}
	for (size_t i = 0; i < count; i++) {
		if (runners[i].started) {
			pthread_join(runners[i].thread, NULL);
		}
	}
	out->seconds = (double)(now_ns() - began) / 1e9;
	enum rep_status status = collect(runners, count, out, err);
	free(runners);
	return status;
}
