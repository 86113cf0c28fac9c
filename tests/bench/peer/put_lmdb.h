/* put_lmdb.h - LMDB in the process: rows of 256 bytes under u64 keys in one environment, a synced
 * transaction a request. The strongest that a program without a daemon has at hand.
 */
#ifndef TESTS_BENCH_PEER_PUT_LMDB_H
#define TESTS_BENCH_PEER_PUT_LMDB_H

#include <stddef.h>
#include <stdint.h>

struct put_request;
struct lmdb_table;

/* Makes it in a new folder below `folder`, with rows of the keys 0 to count - 1. */
struct lmdb_table *lmdb_table_open(const char *folder, const uint8_t *rows, size_t count);
void lmdb_table_close(struct lmdb_table *table);
/* Returns when the rows are on the disk. */
void lmdb_table_put(struct lmdb_table *table, const struct put_request *request);
void lmdb_table_get(struct lmdb_table *table, uint64_t key, uint8_t *row);

#endif
