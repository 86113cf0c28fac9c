/* load_chunk.h - what a bulk load sends, and how far it has come. */
#ifndef DAEMON_STORE_SPILL_LOAD_CHUNK_H
#define DAEMON_STORE_SPILL_LOAD_CHUNK_H

#include "daemon/store/row/batch.h"
#include "schema/name.h"
#include "schema/spec.h"

#include <stdbool.h>
#include <stdint.h>

struct load_chunk {
	const char *release;
	const char *table;
	struct name load;
	uint64_t chunk;
	struct row_batch batch; /* rows without times get now_ms of the load's first chunk */
	int64_t now_ms;         /* the request's clock */
};

struct load_progress {
	uint64_t next_chunk;
	uint64_t rows;
};

struct load_state {
	struct table_name table;
	struct name load;
	struct load_progress progress;
	bool ended;
};

#endif
