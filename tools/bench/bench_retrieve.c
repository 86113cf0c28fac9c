/* bench_retrieve.c - the threads that retrieve, and the queries that are asked twice. */
#include "tools/bench/bench_retrieve.h"

#include "schema/metric.h"
#include "tools/evaluation/seeded_random.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECALL_QUERIES = 100 };

/* One connection. */
struct runner {
	const struct bench_retrieve *bench;
	pthread_t thread;
	bool started;
	struct seeded_random random;
	_Atomic bool *stop;
	rep_client *client; /* owned */
	struct bench_retrieved result;
	struct rep_error err;
	enum rep_status status;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Draws a key and makes a retrieval for it. */
static struct rep_retrieval draw(const struct bench_retrieve *bench, struct seeded_random *random)
{
	const struct bench_table *users = &bench->bench.tables[0];
	assert(users->key_count > 0);
	const uint32_t number = seeded_random_below(random, users->key_count);
	const uint8_t *key = users->keys.data + (size_t)number * 8;
	size_t len = 8;
	if (users->shape.spec.key_type == REP_KEY_BYTES) {
		uint32_t at;
		memcpy(&at, users->at.data + (size_t)number * sizeof at, sizeof at);
		key = users->keys.data + at;
		len = 1 + (size_t)key[0];
	}
	return (struct rep_retrieval){
		.query = {.table = users->name, .keys = {users->shape.spec.key_type, 1, key, len}},
		.in = bench->in,
		.k = (uint32_t)bench->k,
		.metric = bench->metric == NULL ? 0
						: (enum rep_metric)metric_of_name(bench->metric,
							  strlen(bench->metric)),
		.approximate = bench->approximate,
		.has_tags_any = bench->any != NULL,
		.tags_any = bench->tags_any,
		.tags_all = bench->tags_all,
		.tags_none = bench->tags_none,
	};
}

static void *run(void *arg)
{
	struct runner *runner = arg;
	struct bench_retrieved *result = &runner->result;
	while (!atomic_load_explicit(runner->stop, memory_order_relaxed)) {
		const struct rep_retrieval asked = draw(runner->bench, &runner->random);
		struct rep_retrieved found;
		const uint64_t began_ns = now_ns();
		runner->status = rep_retrieve(runner->client, runner->bench->bench.release, &asked,
			&found, &runner->err);
		if (runner->status != REP_OK) {
			break;
		}
		histogram_add(&result->latency_ns, now_ns() - began_ns);
		result->requests++;
		result->compared += found.compared;
		result->exact += found.exact;
		rep_retrieved_free(&found);
	}
	return NULL;
}

static enum rep_status start(const struct bench_retrieve *bench, struct runner *runners,
	_Atomic bool *stop, struct rep_error *err)
{
	for (uint64_t i = 0; i < bench->bench.connections; i++) {
		struct runner *runner = &runners[i];
		runner->bench = bench;
		runner->random.state = i * 7919 + 5;
		runner->stop = stop;
		const enum rep_status status =
			session_connect_more(bench->bench.session, &runner->client, err);
		if (status != REP_OK) {
			return status;
		}
		if (pthread_create(&runner->thread, NULL, run, runner) != 0) {
			*err = (struct rep_error){.status = REP_NO_MEMORY, .text = "no thread"};
			return REP_NO_MEMORY;
		}
		runner->started = true;
	}
	return REP_OK;
}

static enum rep_status finish(struct runner *runner, struct bench_retrieved *out,
	enum rep_status status, struct rep_error *err)
{
	if (runner->started) {
		(void)pthread_join(runner->thread, NULL);
	}
	histogram_merge(&out->latency_ns, &runner->result.latency_ns);
	out->requests += runner->result.requests;
	out->compared += runner->result.compared;
	out->exact += runner->result.exact;
	rep_close(runner->client);
	if (status == REP_OK && runner->status != REP_OK) {
		*err = runner->err;
		return runner->status;
	}
	return status;
}

enum rep_status bench_retrieve_run(const struct bench_retrieve *bench, struct bench_retrieved *out,
	struct rep_error *err)
{
	_Atomic bool stop = false;
	struct runner *runners = calloc(bench->bench.connections + 1, sizeof *runners);
	if (runners == NULL) {
		*err = (struct rep_error){.status = REP_NO_MEMORY, .text = "no memory"};
		return REP_NO_MEMORY;
	}
	const uint64_t began_ns = now_ns();
	enum rep_status status = start(bench, runners, &stop, err);
	const struct timespec pause = {
		.tv_sec = (time_t)(bench->bench.milliseconds / 1000),
		.tv_nsec = (long)(bench->bench.milliseconds % 1000) * 1000000,
	};
	if (status == REP_OK) {
		(void)nanosleep(&pause, NULL);
	}
	atomic_store(&stop, true);
	for (uint64_t i = 0; i < bench->bench.connections; i++) {
		status = finish(&runners[i], out, status, err);
	}
	out->seconds = (double)(now_ns() - began_ns) / 1e9;
	free(runners);
	return status;
}

/* ---- recall ---- */

/* How many keys are in both answers. */
static uint32_t common(const struct rep_hits *a, const struct rep_hits *b)
{
	uint32_t count = 0;
	const uint8_t *x = a->keys.data;
	for (uint32_t i = 0; i < a->n; i++) {
		const size_t len = a->keys.type == REP_KEY_U64 ? 8 : 1 + (size_t)x[0];
		const uint8_t *y = b->keys.data;
		for (uint32_t j = 0; j < b->n; j++) {
			const size_t other = b->keys.type == REP_KEY_U64 ? 8 : 1 + (size_t)y[0];
			if (len == other && memcmp(x, y, len) == 0) {
				count++;
				break;
			}
			y += other;
		}
		x += len;
	}
	return count;
}

enum rep_status bench_retrieve_recall(const struct bench_retrieve *bench, double *out,
	struct rep_error *err)
{
	rep_client *client = bench->bench.session->client;
	struct seeded_random random = {.state = 1};
	uint64_t found = 0;
	uint64_t best = 0;
	for (int i = 0; i < RECALL_QUERIES; i++) {
		struct rep_retrieval asked = draw(bench, &random);
		struct rep_retrieved some;
		struct rep_retrieved all;
		enum rep_status status =
			rep_retrieve(client, bench->bench.release, &asked, &some, err);
		if (status != REP_OK) {
			return status;
		}
		asked.approximate = 0;
		status = rep_retrieve(client, bench->bench.release, &asked, &all, err);
		if (status == REP_OK) {
			found += common(all.parts, some.parts);
			best += all.parts->n;
			rep_retrieved_free(&all);
		}
		rep_retrieved_free(&some);
		if (status != REP_OK) {
			return status;
		}
	}
	*out = best > 0 ? (double)found / (double)best : 1;
	return REP_OK;
}
