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
/* CR: cross representations of the samples of a layer. The table sums them with decay, or keeps the
 * newest of them (`history`). Which vector a sum gives is decided when it is read (enum reading). */
enum kind { KIND_NONE = 0, KIND_UR = 1, KIND_IR = 2, KIND_CR = 3 };
/* What a read of an aggregated row gives. S is the decayed sum of its samples, W their decayed
 * count. SUM gives S, MEAN gives S / W, and LAYER_NORM gives S minus its mean, divided by its
 * standard deviation. */
enum reading { READING_NONE = 0, READING_SUM = 1, READING_MEAN = 2, READING_LAYER_NORM = 3 };

/* How exactly an aggregated row keeps its sums. F32: S and W in f32, which is enough for some
 * 100,000 samples that count at a time; of more, a sum in f32 stands still. F32X2: each sum in two
 * f32, of which the high one is what is read, and W in f64; 49 bits, enough for 10^11. */
enum state_kind { STATE_NONE = 0, STATE_F32 = 1, STATE_F32X2 = 2 };

/* How searches find the best rows without going through all of them. */
enum index_kind { INDEX_NONE = 0, INDEX_BALLS = 1 };

/* Which row a fetch that asks for it gets for a key that has none: zeros, the mean of the rows that
 * were sealed, or one that was given with the spec (default_row.h). Numbers are those of the client
 * library. */
enum default_kind { DEFAULT_NONE = 0, DEFAULT_ZEROS = 1, DEFAULT_MEAN = 2, DEFAULT_ROW = 3 };

struct table_spec {
	struct table_name name;
	enum entity entity;
	enum kind kind;
	enum dtype dtype;
	enum key_type key_type;
	uint32_t dim;                   /* elements of a view, 1..LIMIT_DIM */
	uint32_t views;                 /* 1..LIMIT_VIEWS */
	uint64_t ttl_ms;                /* 0: rows do not expire */
	bool tags;                      /* rows have 64 bits for filters */
	enum index_kind index;          /* INDEX_NONE for bit, and for more than one view */
	enum default_kind default_kind; /* not DEFAULT_MEAN for bit and KIND_CR */
	/* The row of a key is its newest so many vectors, in the order of their times, and no sum of
	 * them (daemon/aggregate/history.h). 0: it is none. Of ur and cr; of f32, f16 and bf16. */
	uint32_t history;
	/* Only of KIND_CR that sums: */
	double decay_events; /* each sample multiplies the state by it first: (0, 1]; 1: no decay */
	uint64_t half_life_ms; /* the state halves in this time; 0: it does not */
	enum reading reading;
	enum state_kind state;
};

const char *entity_name(enum entity entity);           /* "user", "item" */
const char *kind_name(enum kind kind);                 /* "ur", "ir", "cr" */
const char *index_kind_name(enum index_kind kind);     /* "none", "balls" */
const char *reading_name(enum reading reading);        /* "sum", "mean", "layer_norm" */
const char *state_kind_name(enum state_kind state);    /* "f32", "f32x2" */
const char *default_kind_name(enum default_kind kind); /* "none", "zeros", "mean", "row" */

/* Whether `observe` feeds the table: it sums the samples of its layer, or keeps the newest. */
static inline bool spec_takes_samples(const struct table_spec *spec)
{
	return spec->kind == KIND_CR;
}

/* Whether samples are added to its rows, by whatever method. */
static inline bool spec_folds(const struct table_spec *spec)
{
	return spec->kind == KIND_CR || spec->history != 0;
}

static inline bool spec_aggregates(const struct table_spec *spec)
{
	return spec->kind == KIND_CR && spec->history == 0;
}

/* Vectors of one row as it is read and put: those of all places of a history. At most LIMIT_VIEWS. */
static inline uint32_t spec_row_views(const struct table_spec *spec)
{
	return spec->history == 0 ? spec->views : spec->history * spec->views;
}

/* Elements of one sample, which is one place of a history. */
static inline size_t spec_sample_elements(const struct table_spec *spec)
{
	return (size_t)spec->dim * spec->views;
}

/* Elements of one row as it is read and put. */
static inline size_t spec_elements(const struct table_spec *spec)
{
	return (size_t)spec->dim * spec_row_views(spec);
}

/* Bytes of the weight W behind the sums of an aggregated row. */
static inline size_t spec_weight_bytes(const struct table_spec *spec)
{
	return spec->state == STATE_F32X2 ? sizeof(double) : sizeof(float);
}

/* Bytes of one row as it is stored, without its scale and its low parts: the vectors in the table's
 * dtype; in an aggregating table the sum S, or its high parts, and behind it the weight W; of a
 * history the vectors, up to a multiple of 8 bytes, then i64 times[history], then how many there are,
 * u64. */
static inline size_t spec_row_bytes(const struct table_spec *spec)
{
	const size_t vectors = dtype_row_bytes(spec->dtype, spec->dim, spec_row_views(spec));
	if (spec->history != 0) {
		return (vectors + 7) / 8 * 8 + ((size_t)spec->history + 1) * sizeof(int64_t);
	}
	return vectors + (spec_aggregates(spec) ? spec_weight_bytes(spec) : 0);
}

/* Bytes of the low parts of one row's sums, f32; 0: it has none. */
static inline size_t spec_low_bytes(const struct table_spec *spec)
{
	return spec->state == STATE_F32X2 ? spec_elements(spec) * sizeof(float) : 0;
}

/* Bytes of one row with its low parts behind it, without its scale. */
static inline size_t spec_stored_bytes(const struct table_spec *spec)
{
	return spec_row_bytes(spec) + spec_low_bytes(spec);
}

/* The low parts behind a row; NULL: it has none. */
static inline const uint8_t *spec_low_behind(const struct table_spec *spec, const uint8_t *row)
{
	return spec_low_bytes(spec) == 0 ? NULL : row + spec_row_bytes(spec);
}

/* decay_events of a table for which it was not given. */
double spec_decay_default(uint64_t half_life_ms);

/* Where a spec comes from: from somebody who wants such a table, or from whoever has it. Specs that
 * were written before there was a choice of state say none, and mean f32. */
enum spec_origin { SPEC_WANTED, SPEC_STORED };

/* Reads and checks the fields of a spec from a map. table, entity, kind and dim must be there;
 * views (1), dtype (f32), key (u64), ttl_ms (0), tags (false), index (none), default (none) and
 * history (0) need not; the row of a default is read by default_row_read. A table of
 * kind cr is called name@layer. One that sums is f32, and has decay_events (1; 0.99 without
 * half_life_ms), half_life_ms (0) and read (layer_norm); these defaults are those of the authors of
 * LFM4Ads (arXiv 2508.14948). Its state is f32x2 unless it says another. Errors: BAD_REQUEST, naming the field, what was given and what is allowed. */
enum status spec_read(struct wire_value map, enum spec_origin origin, struct table_spec *out,
	struct error *err);

/* How many entries spec_write writes. */
size_t spec_fields(const struct table_spec *spec);

/* Writes the entries of a spec (names and values) into a map that the caller has begun. */
void spec_write(struct wire_writer *writer, const struct table_spec *spec);

#endif
