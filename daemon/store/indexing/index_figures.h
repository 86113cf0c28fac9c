/* index_figures.h - what the building of indexes and images has done since the start. */
#ifndef DAEMON_STORE_INDEXING_INDEX_FIGURES_H
#define DAEMON_STORE_INDEXING_INDEX_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

struct index_figures {
	uint64_t builds;       /* since the start, by the indexer and by merges */
	uint64_t bytes;        /* of the files of `builds` */
	uint64_t images;       /* the same of images of deltas */
	uint64_t image_bytes;  /* of the files of `images` */
	uint64_t failed;       /* by the indexer, of both */
	bool running;          /* the indexer builds one of them */
	uint64_t written;      /* images of what was written, by the follower */
	uint64_t written_rows; /* in these, of each time that they were in a new one */
	uint64_t written_ns;   /* that it took */
};

#endif
