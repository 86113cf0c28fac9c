/* bench_command.h - the subcommand `repstore bench`. */
#ifndef TOOLS_BENCH_BENCH_COMMAND_H
#define TOOLS_BENCH_BENCH_COMMAND_H

#include "tools/command/session.h"

extern const struct command cmd_bench;

#endif
