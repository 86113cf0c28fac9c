/* table_stats.h - the verb `repstore table stats`. */
#ifndef TOOLS_COMMAND_TABLE_STATS_H
#define TOOLS_COMMAND_TABLE_STATS_H

#include "tools/command/session.h"

int table_stats_run(struct session *session, int argc, char **argv);

#endif
