/* table_stats.h - `repstore table stats`, a verb of its own file.
 */
#ifndef TOOLS_TABLE_STATS_H
#define TOOLS_TABLE_STATS_H

#include "tools/session.h"

int table_stats_run(struct session *session, int argc, char **argv);

#endif
