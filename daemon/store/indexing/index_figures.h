/* index_figures.h - what the building of indexes has done since the start. */
#ifndef DAEMON_STORE_INDEXING_INDEX_FIGURES_H
#define DAEMON_STORE_INDEXING_INDEX_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

struct index_figures {
	uint64_t builds; /* since the start, those of merges too */
	uint64_t failed; /* in the background, as is the one that is running */
	uint64_t bytes;  /* of the files of `builds` */
	bool running;
};

#endif
