/* shard.h - one of n ranges of the hash: what one of n readers of a table walks through.
 *
 * The hash of a key is as good as random, so the ranges have about as many rows each. They depend on
 * n alone: n readers that take the shards 0 to n - 1 see each row once.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_METHOD_CALL_SHARD_H
#define DAEMON_METHOD_CALL_SHARD_H

#include "daemon/method/call/params.h"

#include <stdint.h>

struct shard {
	uint32_t number; /* below count */
	uint32_t count;  /* 1..LIMIT_SCAN_SHARDS */
};

/* Reads [number, count]; [0, 1], which is the whole table, when it is left out. */
struct shard shard_read(struct params *params, const char *name);

/* The smallest hash of the shard, and the hash behind its largest; 0 stands for 2^64. */
uint64_t shard_first(const struct shard *shard);
uint64_t shard_behind(const struct shard *shard);

#endif
