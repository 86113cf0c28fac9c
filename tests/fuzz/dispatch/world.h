/* world.h - a daemon without its main: a small store in a scratch folder, the real server over it, and its peers.
 *
 * It has the releases `first`, which is live, `second`, which is sealed, and `open`, each with a table of every kind, with
 * tensors that make layers, and, the open one, with a load. Whatever is not as it must be ends the process.
 *
 * Threads: one; the server has its own.
 */
#ifndef TESTS_FUZZ_DISPATCH_WORLD_H
#define TESTS_FUZZ_DISPATCH_WORLD_H

#include "daemon/access/role.h"
#include "schema/dtype.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WORLD_TABLES = 9,
	WORLD_ROWS = 100, /* of a table: the keys from 0 on; of bytes, from "ka" on */
};

/* Of rows that say when they were made. */
#define WORLD_TIME_MS INT64_C(1760000000000)

struct server;
struct service;

struct world_table {
	const char *name;
	const char *entity;
	const char *kind;
	enum dtype dtype;
	unsigned dim;
	unsigned views;
	bool has_byte_keys;
	unsigned history; /* the newest vectors of a key; 0: it has rows */
};
extern const struct world_table world_tables[WORLD_TABLES];

_Noreturn void require_failed(const char *what, const char *file, int line);
#define REQUIRE(holds) ((holds) ? (void)0 : require_failed(#holds, __FILE__, __LINE__))

/* Makes it, if it is not there. */
void world_open(void);

/* Ends it: the server and the store stop without anything left open, the folder verifies, a store opens on it again
 * with all that was there, and no memory has leaked. Then the folder is removed. */
void world_close(void);

/* Notes an input. What was noted since the world was made stands in the file `trail` of its folder, each input with its
 * length, and one more, before it: if the process ends, that is what has led there. */
void world_note(const uint8_t *data, size_t size);

/* From now on the peer has this role. */
void world_give_role(enum role role);

/* Its parts, while it is there. */
struct service *world_service(void);
const struct server *world_server(void);
const char *world_folder(void);

/* Returns when no request runs any more; a notification is one, too. */
void world_settle(void);

/* Nothing has failed by our fault so far. */
void world_check(void);

/* What only a writer or an operator may change. */
struct world_state {
	uint64_t sequence; /* of writes */
	uint64_t releases;
	uint64_t tables;
	uint64_t tensors;
	uint64_t live; /* its number; 0: none */
};
void world_state(struct world_state *out);

#endif
