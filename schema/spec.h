/* spec.h - what a table is: entity, kind, shape, dtype, keys, lifetime.
 *
 * On the wire and in the catalog a spec is the same map of names and values
 * (PROTOCOL.md, table.create).
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_SPEC_H
#define SCHEMA_SPEC_H

#include "schema/dtype.h"
#include "schema/key.h"
#include "schema/name.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers are on disk and never reused. */
enum entity { ENTITY_NONE = 0, ENTITY_USER = 1, ENTITY_ITEM = 2 };
/* CR, the aggregated cross representations, comes with its aggregation. */
enum kind { KIND_NONE = 0, KIND_UR = 1, KIND_IR = 2 };

struct table_spec {
	struct table_name name;
	enum entity entity;
	enum kind kind;
	enum dtype dtype;
	enum key_type key_type;
	uint32_t dim;    /* elements of a view, 1..LIMIT_DIM */
	uint32_t views;  /* 1..LIMIT_VIEWS */
	uint64_t ttl_ms; /* 0: rows do not expire */
	bool tags;       /* rows have 64 bits for filters */
};

const char *entity_name(enum entity entity); /* "user", "item" */
const char *kind_name(enum kind kind);       /* "ur", "ir" */

/* Bytes of one row in the table's dtype, without its scale. */
static inline size_t spec_row_bytes(const struct table_spec *spec)
{
	return dtype_row_bytes(spec->dtype, spec->dim, spec->views);
}

/* Reads and checks the fields of a spec from a map: table, entity, kind, dim; and
 * optionally views (1), dtype (f32), key (u64), ttl_ms (0), tags (false).
 * Errors: BAD_REQUEST, naming the field, what was given and what is allowed. */
enum status spec_read(struct wire_value map, struct table_spec *out, struct error *err);

enum { SPEC_FIELDS = 9 };

/* Writes the SPEC_FIELDS entries of a spec (names and values) into a map that the
 * caller has begun. */
void spec_write(struct wire_writer *writer, const struct table_spec *spec);

#endif
