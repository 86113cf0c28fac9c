/* filling.c - lists of what each file of a level has. */
#include "daemon/store/indexing/filling.h"

#include "daemon/store/index/indexes.h"

#include <stdlib.h>
#include <string.h>

bool filling_begin(struct filling *filling, size_t count)
{
	*filling = (struct filling){
		.count = count,
		.of = calloc(count, sizeof(struct index *)),
		.has_failed = calloc(count, sizeof(bool)),
		.is_built = calloc(count, sizeof(bool)),
	};
	return filling->of != NULL && filling->has_failed != NULL && filling->is_built != NULL;
}

struct indexes *filling_take(struct filling *filling, const struct indexes *before)
{
	struct indexes *indexes = indexes_new(filling->of, filling->count, before);
	memset(filling->of, 0, filling->count * sizeof(struct index *));
	return indexes;
}

void filling_end(struct filling *filling)
{
	for (size_t i = 0; filling->of != NULL && i < filling->count; i++) {
		index_close(filling->of[i]);
	}
	free(filling->of);
	free(filling->has_failed);
	free(filling->is_built);
	*filling = (struct filling){0};
}
