/* index_figures.h - what the building of indexes has done since the start. */
#ifndef DAEMON_STORE_INDEXING_INDEX_FIGURES_H
#define DAEMON_STORE_INDEXING_INDEX_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

struct index_figures {
	uint64_t builds; /* since the start, by the indexer and by merges */
	uint64_t failed; /* by the indexer */
	uint64_t bytes;  /* of the files of `builds` */
	bool running;    /* the indexer builds one */
};

#endif
