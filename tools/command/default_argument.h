/* default_argument.h - the default row of a new table, as --default gives it.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_DEFAULT_ARGUMENT_H
#define TOOLS_COMMAND_DEFAULT_ARGUMENT_H

#include "schema/default_row.h"
#include "tools/command/command.h"
#include "tools/format/buffer.h"

struct default_argument {
	enum default_kind kind;
	struct buffer bytes;    /* owned: of the row */
	struct default_row row; /* of DEFAULT_ROW, in the table's dtype */
};

/* Reads zeros, mean, FILE.npy, or numbers with commas between: of as many elements as a row of the
 * table has, whose name plays no part. Returns EXIT_DONE; or EXIT_USAGE or EXIT_REFUSED, after it has
 * said what is wrong. */
int default_argument_read(const struct session *session, const char *text,
	const struct table_spec *spec, struct default_argument *out);
void default_argument_fini(struct default_argument *argument); /* fine for a zeroed one */

#endif
