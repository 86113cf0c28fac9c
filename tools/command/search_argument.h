/* search_argument.h - the arguments that retrieve and score share: the query's table and key, the
 * table of items, the chain of layers, the metric.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_SEARCH_ARGUMENT_H
#define TOOLS_COMMAND_SEARCH_ARGUMENT_H

#include "schema/limits.h"
#include "tools/command/argument.h"
#include "tools/command/key_argument.h"
#include "tools/command/options.h"
#include "tools/format/buffer.h"
#include "tools/format/json_write.h"

struct search_argument {
	/* as given; NULL: not given */
	const char *from; /* TABLE/KEY, RELEASE/TABLE/KEY */
	const char *in;
	const char *release;
	const char *metric;
	const char *through; /* STEP,STEP */
	const char *missing; /* refuse, default */
	/* filled by search_argument_read */
	struct place place; /* of `in` and `release`, which point into it then */
	char table[136];
	struct steps_argument steps;
	struct buffer keys; /* packed, of the query */
	struct rep_query query;
	enum rep_metric of;
	struct rep_table items; /* the description of the table `in` */
};

/* Connects, asks for the tables' key types and reads all arguments. Returns EXIT_DONE; or the exit
 * status, after it has said what is wrong. */
int search_argument_read(struct session *session, struct search_argument *argument);
void search_argument_fini(struct search_argument *argument);

/* A key as it is typed: the number, or the bytes (key_argument_text). */
enum { SEARCH_KEY_BYTES = KEY_ARGUMENT_BYTES };
const char *search_key_text(const struct rep_keys *keys, uint32_t i, char text[SEARCH_KEY_BYTES]);
/* Writes the field `key`: a number, a string, or {"hex": DIGITS} for bytes that are not UTF-8. */
void search_key_json(const struct rep_keys *keys, uint32_t i, struct json_writer *json);

#endif
