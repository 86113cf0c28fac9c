/* table_report.h - prints what the statistics of a table say, for a person or a script.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_TABLE_REPORT_H
#define TOOLS_COMMAND_TABLE_REPORT_H

#include "repstore.h"
#include "tools/statistics/row_summary.h"
#include "tools/statistics/sample_statistics.h"

#include <stdbool.h>
#include <stdint.h>

struct table_report {
	char release[72]; /* the id of the release */
	struct rep_table table;
	struct row_summary rows;
	/* How many stored rows are older than the table's ttl. A scan leaves them out. The number
	 * is not known while rows are pending. */
	bool expired_known;
	uint64_t expired;
	uint64_t sample_rows; /* asked for */
	uint64_t seed;
	enum sample_extent extent;
	struct sample_statistics sample;
};

/* Both print to stdout, and sort the values in the report. */
void table_report_json(struct table_report *report);
void table_report_text(struct table_report *report);

/* Fine for one that is zeroed. */
void table_report_fini(struct table_report *report);

#endif
