/* spec.h - what a table is: entity, kind, shape, dtype, keys, lifetime, decay.
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
/* CR: aggregated cross representations. Samples of the table's layer are summed with decay, and
 * what a row's vector is is decided when it is read. */
enum kind { KIND_NONE = 0, KIND_UR = 1, KIND_IR = 2, KIND_CR = 3 };
/* What a read of an aggregated row gives, S being the decayed sum of its samples and W their
 * decayed count: S, S / W, or S less its mean over its deviation. */
enum reading { READING_NONE = 0, READING_SUM = 1, READING_MEAN = 2, READING_LAYER_NORM = 3 };

/* What finds the rows that are nearest to a query without going through all of them. */
enum index_kind { INDEX_NONE = 0, INDEX_BALLS = 1 };

struct table_spec {
	struct table_name name;
	enum entity entity;
	enum kind kind;
	enum dtype dtype;
	enum key_type key_type;
	uint32_t dim;          /* elements of a view, 1..LIMIT_DIM */
	uint32_t views;        /* 1..LIMIT_VIEWS */
	uint64_t ttl_ms;       /* 0: rows do not expire */
	bool tags;             /* rows have 64 bits for filters */
	enum index_kind index; /* of what is not bit and has one view */
	/* of KIND_CR: */
	double decay_events;   /* factor of what is there at each sample, (0, 1]; 1: none */
	uint64_t half_life_ms; /* time in which what is there halves; 0: for ever */
	enum reading reading;
};

const char *entity_name(enum entity entity);       /* "user", "item" */
const char *kind_name(enum kind kind);             /* "ur", "ir", "cr" */
const char *index_kind_name(enum index_kind kind); /* "none", "balls" */
const char *reading_name(enum reading reading);    /* "sum", "mean", "layer_norm" */

static inline bool spec_aggregates(const struct table_spec *spec)
{
	return spec->kind == KIND_CR;
}

/* Elements of one row. */
static inline size_t spec_elements(const struct table_spec *spec)
{
	return (size_t)spec->dim * spec->views;
}

/* Bytes of one row as it is stored, without its scale: the vector in the table's dtype; of an
 * aggregated one the sum S and behind it the weight W, f32. */
static inline size_t spec_row_bytes(const struct table_spec *spec)
{
	return dtype_row_bytes(spec->dtype, spec->dim, spec->views) +
	       (spec_aggregates(spec) ? sizeof(float) : 0);
}

/* The factor at each event, where none was given. */
double spec_decay_default(uint64_t half_life_ms);

/* Reads and checks the fields of a spec from a map: table, entity, kind, dim; and
 * optionally views (1), dtype (f32), key (u64), ttl_ms (0), tags (false), index (none). A table of
 * kind cr is named name@layer, is f32, and has decay_events (1; 0.99 without half_life_ms),
 * half_life_ms (0) and read (layer_norm): the defaults are what the authors of LFM4Ads use (arXiv
 * 2508.14948). Errors: BAD_REQUEST, naming the field, what was given and what is allowed. */
enum status spec_read(struct wire_value map, struct table_spec *out, struct error *err);

/* Entries that spec_write writes: more for a table that aggregates. */
size_t spec_fields(const struct table_spec *spec);

/* Writes the entries of a spec (names and values) into a map that the caller has begun. */
void spec_write(struct wire_writer *writer, const struct table_spec *spec);

#endif
