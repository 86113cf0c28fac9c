/* values.h - values for the params of methods, by their names.
 *
 * A usual value fits the store of world.h: names of its releases and tables, and columns as long as the keys that stand
 * before them in the same map.
 *
 * Threads: one at a time.
 */
#ifndef TESTS_FUZZ_DISPATCH_VALUES_H
#define TESTS_FUZZ_DISPATCH_VALUES_H

#include "schema/dtype.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>

struct choices;

/* What the params so far are about. */
struct subject {
	const char *method;
	bool is_put;      /* or a load: of rows that are written */
	bool is_open;     /* of an open release */
	enum dtype dtype; /* of its rows */
	unsigned dim;     /* dim times views */
	bool has_byte_keys;
	size_t keys;       /* how many the last keys were */
	size_t data_bytes; /* of a tensor of the last shape and dtype */
	size_t element_bytes;
};

void values_begin(struct subject *subject, const char *method);

/* The names of the map `from` of retrieve and score. */
extern const char *const values_query_names[];

/* Whether most requests have the param i of the list. */
bool values_are_usual(const char *const *names, size_t i);

/* Writes a value that such a param may have. */
void values_write(struct choices *choices, const char *name, struct subject *subject,
	struct wire_writer *out);

/* Writes any value, of at most `depth` levels. */
void values_write_any(struct choices *choices, unsigned depth, struct wire_writer *out);

#endif
