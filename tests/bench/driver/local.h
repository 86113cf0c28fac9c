/* local.h - what the files of bench_local.c share. */
#ifndef TESTS_BENCH_DRIVER_LOCAL_H
#define TESTS_BENCH_DRIVER_LOCAL_H

#include "client/include/repstore_local.h"
#include "tests/bench/peer/peer.h"

/* NAME or NAME=ADDRESS; dies if it is none. */
void kind_named(const char *arg, const struct peer_kind **kind, const char **address);
void row_check(const struct peer_kind *kind, uint64_t key, const uint8_t *row);
/* The reader that all of peer_local ask. */
rep_local *peer_local_reader(const char *folder);

/* local_beside.c: what main runs; the exit code. */
int local_beside(char **args);
int local_follow(const char *folder);

#endif
