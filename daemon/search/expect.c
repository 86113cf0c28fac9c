/* expect.c - multiplies counts by what one of each takes. */
#include "daemon/search/expect.h"

#include "daemon/retrieval/score/scorer.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/snapshot/snapshot.h"

enum {
	MEMTABLE_ROW_NS = 100,  /* a key is looked up in the memtable too */
	AGGREGATE_VALUE_NS = 2, /* a value of a sum becomes one of a mean or of a layer norm */
	SCORE_ROW_NS = 10,      /* a row is chosen, and its scores are compared with the best */
	SCORE_NS = 5,           /* one score, whatever its vectors have */
};

static uint64_t product(uint64_t each, uint64_t rows)
{
	uint64_t all;
	return __builtin_mul_overflow(each, rows, &all) ? UINT64_MAX : all;
}

uint64_t expect_rows_ns(const struct table *table, enum dtype dtype, uint64_t rows)
{
	const struct table_spec *spec = &table->spec;
	uint64_t each = EXPECT_ROW_NS + dtype_row_bytes(dtype, spec->dim, spec_row_views(spec)) / 2;
	if (spec_aggregates(spec)) {
		each += spec_elements(spec) * AGGREGATE_VALUE_NS;
	} else if (spec->dtype != dtype) {
		each += spec_elements(spec);
	}
	if (!memtable_is_empty(table->memtable)) {
		each += MEMTABLE_ROW_NS;
	}
	return product(each, rows);
}

uint64_t expect_scores_ns(const struct table *table, const struct scorer_shape *shape,
	uint64_t rows)
{
	const struct table_spec *spec = &table->spec;
	const uint64_t elements = spec_elements(spec);
	const uint64_t vectors = (uint64_t)shape->queries * shape->parts;
	/* A row is read once for all queries. */
	uint64_t each =
		SCORE_ROW_NS + expect_work_ns(elements) +
		vectors * (SCORE_NS * (uint64_t)spec_row_views(spec) + expect_work_ns(elements));
	if (spec_aggregates(spec)) {
		each += elements * AGGREGATE_VALUE_NS;
	} else if (spec->dtype != DTYPE_F32) {
		each += expect_work_ns(elements);
	}
	return product(each, rows);
}
