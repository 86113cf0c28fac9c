/* search_argument.h - what retrieve and score have in common on a command line: whose query, of
 * which table, through what, by which metric.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_SEARCH_ARGUMENT_H
#define TOOLS_COMMAND_SEARCH_ARGUMENT_H

#include "schema/limits.h"
#include "tools/command/argument.h"
#include "tools/command/options.h"
#include "tools/format/buffer.h"
#include "tools/format/json_write.h"

struct search_argument {
	/* as they were given; NULL: not */
	const char *from; /* TABLE/KEY */
	const char *in;
	const char *release;
	const char *metric;
	const char *through; /* STEP,STEP */
	/* filled */
	char table[136];
	struct steps_argument steps;
	struct buffer keys; /* packed, of the query */
	struct rep_query query;
	enum rep_metric of;
	struct rep_table items; /* what `in` is */
};

/* Connects, asks for the tables' key types and reads everything. EXIT_DONE, or the exit status
 * after saying what is wrong. */
int search_argument_read(struct session *session, struct search_argument *argument);
void search_argument_fini(struct search_argument *argument);

/* A key for a person: the number, or the bytes with what is not printable as \xNN. */
enum { SEARCH_KEY_BYTES = 4 * LIMIT_KEY_BYTES + 1 };
const char *search_key_text(const struct rep_keys *keys, uint32_t i, char text[SEARCH_KEY_BYTES]);
/* Writes the field `key`: a number, a string, or {"hex": DIGITS} for bytes that are not UTF-8. */
void search_key_json(const struct rep_keys *keys, uint32_t i, struct json_writer *json);

#endif
