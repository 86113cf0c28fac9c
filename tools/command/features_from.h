/* features_from.h - the tables of a release that samples are added to, and the states that they begin
 * with.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_FEATURES_FROM_H
#define TOOLS_COMMAND_FEATURES_FROM_H

#include "schema/limits.h"
#include "tools/command/session.h"
#include "tools/evaluation/training_set.h"
#include "tools/format/buffer.h"

#include <stddef.h>

enum { FEATURES_FROM_TABLES_MAX = LIMIT_TABLES };

struct features_from {
	struct session *session; /* connected; borrowed */
	char release[72];        /* its id, which stays the same if another is published */
	struct training_table tables[FEATURES_FROM_TABLES_MAX];
	size_t table_count;
	/* owned; of one request */
	struct buffer keys;
	struct buffer sums;
	struct buffer columns;
};

/* Finds the release, and its tables of sums that are called NAME@LAYER of these layers. Returns
 * EXIT_DONE; or EXIT_REFUSED, after it has said why.
 *   layers  NAME, or NAME=... */
int features_from_open(struct session *session, const char *release, const char *const *layers,
	size_t layer_count, struct features_from *out);
void features_from_close(struct features_from *from);

/* Fetches the states of new keys: training_request's `begin`, on a struct features_from. */
enum status features_from_begin(struct features_from *from, size_t table,
	const struct training_keys *keys, struct cr_states *states, struct error *err);

#endif
