/* layer_from.h - reads the states that the evaluation of a layer begins with from a release's
 * tables cr_user@LAYER and cr_item@LAYER.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_LAYER_FROM_H
#define TOOLS_COMMAND_LAYER_FROM_H

#include "schema/spec.h"
#include "tools/command/session.h"
#include "tools/evaluation/cr_layer.h"
#include "tools/evaluation/cr_samples.h"
#include "tools/evaluation/cr_start.h"

struct layer_from {
	struct session *session;       /* connected; borrowed */
	char release[72];              /* its id */
	const struct table_spec *spec; /* the decay that the tables must have; borrowed */
};

/* Walks through both tables and adds the rows of the samples' users and items. context: struct
 * layer_from.
 * Errors: BAD_REQUEST  a table is not of kind cr, or has another dim, key type or decay; CONFLICT
 * rows were updated at the time of the first sample or later, so they may hold samples that are to
 * be evaluated (the text says how many); those of the daemon; NO_MEMORY. */
enum status layer_from_load(void *context, const struct cr_samples *samples,
	const struct cr_layer *layer, struct cr_start *out, struct error *err);

#endif
