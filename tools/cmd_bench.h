/* cmd_bench.h - the subcommand `repstore bench`. */
#ifndef TOOLS_CMD_BENCH_H
#define TOOLS_CMD_BENCH_H

#include "tools/session.h"

extern const struct command cmd_bench;

#endif
