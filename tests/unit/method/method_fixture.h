/* method_fixture.h - a store in a scratch folder, and methods that run on it, one call at a time.
 *
 * The arguments of a call are written one by one, then it is run; what fails fails the test.
 */
#ifndef TESTS_UNIT_METHOD_METHOD_FIXTURE_H
#define TESTS_UNIT_METHOD_METHOD_FIXTURE_H

#include "daemon/access/access.h"
#include "daemon/method/call/service.h"
#include "daemon/method/call/slow_log.h"
#include "daemon/method/methods.h"

#include <stddef.h>
#include <stdint.h>

enum { WORLD_DIM = 4, WORLD_ROWS = 100 };

struct world {
	char folder[64];
	struct service service;
	struct access access;
	struct peer_identity peer; /* who calls: some process over TCP, which may read */
	struct slow_log slow_log;
	size_t arg_count;
	struct wire_writer args;
	struct wire_writer request;
	struct wire_message *params;
	struct wire_writer out;
	struct wire_message *result;
	struct call call;
};

/* Fixtures of cmocka: *state is a struct world with an open store. */
int world_setup(void **state);
int world_teardown(void **state);

/* ---- arguments of the next call ---- */

void world_arg(struct world *world, const char *name); /* its value is written to world->args */
void world_arg_str(struct world *world, const char *name, const char *value);
void world_arg_uint(struct world *world, const char *name, uint64_t value);
void world_arg_flag(struct world *world, const char *name);
void world_arg_bin(struct world *world, const char *name, const void *data, size_t len);
/* Two parts: a as an array of integers with all columns, b packed with f16. */
void world_arg_parts(struct world *world);
/* One part of so many keys, all 0. */
void world_arg_part(struct world *world, const char *table, size_t keys);

/* ---- calls ---- */

/* The arguments since the last call become the params of this one. */
void world_prepare(struct world *world);
enum status world_run_prepared(struct world *world, const char *name);
/* Both; the method must succeed, and its result is one whole value, until the next call. */
struct wire_value world_run(struct world *world, const char *name);
struct wire_value world_run_on(struct world *world, const char *method, const char *release);
/* Both; the method must fail so, with this in the text. */
void world_refuse(struct world *world, const char *name, enum status expected, const char *text);

/* A table of u64 keys with tags; its keys 0 to WORLD_ROWS - 1 as load "l"; the end of that. */
void world_create_table(struct world *world, const char *release, const char *table);
void world_load_rows(struct world *world, const char *release, const char *table);
void world_end_load(struct world *world, const char *release, const char *table);
/* All of these for tables a and b, sealed and published. */
void world_make_release(struct world *world, const char *release);

/* ---- results ---- */

uint64_t world_uint_of(struct wire_value map, const char *name);
struct wire_bytes world_bin_of(struct wire_value map, const char *name);
void world_assert_str(struct wire_value map, const char *name, const char *expected);

#endif
