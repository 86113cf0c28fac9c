/* local_items.c - makes tables of items, writes to them, and asks both for what is best. */
#include "tests/unit/local/local_items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/method/call/reply.h"
#include "schema/rpc.h"
#include "tests/unit/wait.h"

enum {
	QUERIES = 24,
	PUT_ROWS = 500,
	TIMEOUT_MS = 600000, /* the most: the test may be stopped for a while */
};

static uint64_t next_random(struct items *items)
{
	items->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = items->random;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void draw(struct items *items, float *out)
{
	for (uint32_t d = 0; d < ITEMS_DIM; d++) {
		out[d] = (float)(int32_t)next_random(items) * 0x1p-31f;
	}
}

/* ---- writes ---- */

static void name_table(struct world *world, const char *release, const char *table)
{
	world_arg_str(world, "release", release);
	world_arg_str(world, "table", table);
}

static void load(struct items *items, const char *release, const char *table)
{
	static uint64_t keys[ITEMS_LOADED];
	static float rows[ITEMS_LOADED][ITEMS_DIM];
	struct world *world = items->pair->world;
	for (uint32_t i = 0; i < ITEMS_LOADED; i++) {
		keys[i] = i;
		draw(items, rows[i]);
	}
	name_table(world, release, table);
	world_arg_str(world, "entity", "item");
	world_arg_str(world, "kind", "ir");
	world_arg_uint(world, "dim", ITEMS_DIM);
	world_arg_str(world, "index", "balls");
	(void)world_run(world, "table.create");
	name_table(world, release, table);
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunk", 0);
	world_arg_bin(world, "keys", keys, sizeof keys);
	world_arg_bin(world, "rows", rows, sizeof rows);
	(void)world_run(world, "load");
	name_table(world, release, table);
	world_arg_str(world, "load", "l");
	world_arg_uint(world, "chunks", 1);
	world_arg_uint(world, "rows", ITEMS_LOADED);
	(void)world_run(world, "load.end");
}

void items_make_release(struct items *items, const char *release, const char *const *tables)
{
	struct world *world = items->pair->world;
	world_arg_str(world, "model", "m");
	(void)world_run_on(world, "release.create", release);
	for (size_t i = 0; tables[i] != NULL; i++) {
		load(items, release, tables[i]);
	}
	(void)world_run_on(world, "release.seal", release);
	(void)world_run_on(world, "release.publish", release);
}

static uint64_t put(struct items *items, const char *table, const uint64_t *keys, const float *rows,
	uint32_t count)
{
	struct world *world = items->pair->world;
	name_table(world, "items", table);
	world_arg_bin(world, "keys", keys, count * sizeof *keys);
	world_arg_bin(world, "rows", rows, (size_t)count * ITEMS_DIM * sizeof *rows);
	return world_uint_of(world_run(world, "put"), "sequence");
}

uint64_t items_put(struct items *items, const char *table, uint64_t from, uint32_t count,
	const float vector[ITEMS_DIM])
{
	uint64_t keys[PUT_ROWS];
	float rows[PUT_ROWS][ITEMS_DIM];
	assert_true(count <= PUT_ROWS);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = from + i;
		memcpy(rows[i], vector, sizeof rows[i]);
	}
	return put(items, table, keys, rows[0], count);
}

uint64_t items_write(struct items *items, const char *table, uint32_t count, uint64_t from,
	uint64_t some)
{
	struct world *world = items->pair->world;
	uint64_t sequence = 0;
	uint64_t keys[PUT_ROWS];
	float rows[PUT_ROWS][ITEMS_DIM];
	for (uint32_t done = 0; done < count; done += PUT_ROWS) {
		const uint32_t now = count - done < PUT_ROWS ? count - done : PUT_ROWS;
		const uint32_t kept = now - now / 10;
		for (uint32_t i = 0; i < now; i++) {
			keys[i] = from + next_random(items) % some;
			draw(items, rows[i]);
		}
		(void)put(items, table, keys, rows[0], now);
		name_table(world, "items", table);
		world_arg_bin(world, "keys", keys + kept, (now - kept) * sizeof *keys);
		sequence = world_uint_of(world_run(world, "delete"), "sequence");
	}
	return sequence;
}

/* ---- searches ---- */

void items_request(struct items *items, const char *release, const char *table,
	const float vector[ITEMS_DIM], const char *metric, double recall)
{
	struct world *world = items->pair->world;
	world_arg_str(world, "release", release);
	world_arg(world, "from");
	wire_write_map(&world->args, 2);
	reply_uint(&world->args, "dim", ITEMS_DIM);
	reply_bin(&world->args, "rows", vector, ITEMS_DIM * sizeof *vector);
	world_arg_str(world, "in", table);
	world_arg_uint(world, "k", ITEMS_K);
	world_arg_str(world, "metric", metric);
	world_arg(world, "approximate");
	wire_write_float(&world->args, recall);
	world_arg_uint(world, "timeout_ms", TIMEOUT_MS);
	pair_request(items->pair, "retrieve");
}

bool items_read(struct wire_bytes response, struct items_found *out)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope = {0};
	struct wire_bytes keys = {0};
	struct wire_bytes scores = {0};
	*out = (struct items_found){0};
	bool is_read = wire_open(response.data, response.len, &message) == STATUS_OK &&
		       rpc_read(wire_root(message), &envelope, NULL) == STATUS_OK &&
		       !envelope.failed;
	if (is_read) {
		const struct wire_value part = wire_item(wire_get(envelope.result, "parts"), 0);
		is_read = wire_bin(wire_get(part, "keys"), &keys) &&
			  wire_bin(wire_get(part, "scores"), &scores) &&
			  keys.len <= sizeof out->keys && scores.len <= sizeof out->scores;
	}
	if (is_read) {
		out->count = keys.len / sizeof out->keys[0];
		memcpy(out->keys, keys.data, keys.len);
		memcpy(out->scores, scores.data, scores.len);
	}
	wire_close(message);
	return is_read;
}

void items_search(struct items *items, const char *table)
{
	float vector[ITEMS_DIM];
	struct items_found found;
	draw(items, vector);
	items_request(items, "items", table, vector, "inner_product", 0.9);
	assert_true(items_read(pair_ask(items->pair), &found));
	assert_int_equal(found.count, ITEMS_K);
}

bool items_are_same(const struct items_found *a, const struct items_found *b)
{
	bool is_same = a->count == b->count;
	for (size_t i = 0; is_same && i < a->count; i++) {
		is_same = a->keys[i] == b->keys[i] && a->scores[i] == b->scores[i];
	}
	return is_same;
}

void items_expect(struct items *items, const char *table)
{
	static const char *const metrics[] = {"inner_product", "cosine", "l2"};
	struct pair *pair = items->pair;
	uint32_t shared = 0;
	for (size_t i = 0; i < QUERIES; i++) {
		float vector[ITEMS_DIM];
		struct items_found expected;
		struct items_found found;
		draw(items, vector);
		items_request(items, "items", table, vector, metrics[i % 3], 1);
		assert_true(items_read(pair_ask_store(pair), &expected));
		assert_true(items_read(pair_ask(pair), &found));
		assert_int_equal(expected.count, ITEMS_K);
		assert_true(items_are_same(&found, &expected));
		items_request(items, "items", table, vector, metrics[i % 3], 0.9);
		assert_true(items_read(pair_ask(pair), &found));
		for (size_t j = 0; j < ITEMS_K; j++) {
			for (size_t k = 0; k < ITEMS_K; k++) {
				shared += found.keys[j] == expected.keys[k] &&
					  found.scores[j] == expected.scores[k];
			}
		}
	}
	assert_true(shared >= QUERIES * ITEMS_K * 9 / 10);
}

/* Whether no table of an answer to table.list waits for its index. */
static bool has_indexes(struct wire_bytes response)
{
	return memmem(response.data, response.len, "\xa5ready", 6) != NULL &&
	       memmem(response.data, response.len, "waiting", 7) == NULL &&
	       memmem(response.data, response.len, "building", 8) == NULL;
}

void items_await_indexes(struct items *items, const char *release)
{
	struct pair *pair = items->pair;
	struct wait wait = {0};
	world_arg_str(pair->world, "release", release);
	pair_request(pair, "table.list");
	while (!has_indexes(pair_ask_store(pair)) || !has_indexes(pair_ask(pair))) {
		wait_a_moment(&wait);
	}
}
