/* life.h - one life of a store on a disk: it is opened, held against what is known, and worked with.
 *
 * What is known lies in shared memory and holds no pointer: a life may end at any call, and the next one
 * goes on with it. It is what was acknowledged, and what was under way: writes, which have come to the
 * disk up to one of them or not at all, and one change of the catalog, which was made or was not.
 *
 * Threads: one child at a time; the test while there is none.
 */
#ifndef TESTS_UNIT_POWER_LIFE_H
#define TESTS_UNIT_POWER_LIFE_H

#include "tests/unit/power/disk.h"
#include "tests/unit/store/model.h"

enum {
	LIFE_TABLES = 3,
	LIFE_KEYS = 160,
	LIFE_POOL = 120,
	LIFE_QUEUE = 40,
	LIFE_HISTORY_MAX = 64,
	LIFE_SAMPLES_TABLES = 3,
};

enum life_state { LIFE_NONE, LIFE_OPEN, LIFE_SEALED };

struct life_release {
	enum life_state state;
	unsigned tables;
	uint32_t
		chunks[LIFE_TABLES]; /* of a load of the table; counted while the release is open */
	uint32_t rows[LIFE_TABLES];
	bool is_whole[LIFE_TABLES]; /* its end was asked for */
	bool ended[LIFE_TABLES];
	uint32_t tensor; /* its version; 0: there is none */
};

/* What the catalog has, and the loads. */
struct life_catalog {
	struct life_release releases[MODEL_RELEASES];
	struct life_release samples; /* r1, which takes samples */
	int live;                    /* -1: none */
	unsigned history_count;
	int history[LIFE_HISTORY_MAX];
};

enum life_kind { LIFE_PUT, LIFE_DELETE, LIFE_OBSERVE };

/* What is counted when it was done. */
enum life_doing {
	LIFE_WRITE,
	LIFE_SAMPLE,
	LIFE_MERGE,
	LIFE_CREATE,
	LIFE_LOAD,
	LIFE_SEAL,
	LIFE_PUBLISH,
	LIFE_ROLL_BACK,
	LIFE_DROP,
	LIFE_TENSOR,
	LIFE_START,
	LIFE_DOINGS
};

/* A write that is not acknowledged yet. */
struct life_write {
	enum life_kind kind;
	uint64_t sequence;
	bool if_newer;
	size_t count;
	struct model_rows parts[MODEL_PARTS_MAX];
	uint64_t samples; /* that are counted with it */
};

struct life_world {
	uint64_t seed;
	unsigned life; /* its number */
	bool is_threaded; /* merges run beside the writes, and nothing waits for what runs in the background */
	bool is_periodic; /* durability periodic: writes are on the disk after the next merge or close */
	struct model_cells cells;
	struct life_catalog catalogs[2];
	/* Twice the number of the catalog that counts; plus 1: the other one may have come to count. */
	_Atomic unsigned catalog;
	bool has_chunk; /* the change is a chunk of a load, which is: */
	struct model_rows chunk;
	uint64_t samples;             /* counted */
	uint64_t sequence;            /* of the last write that was acknowledged */
	_Atomic unsigned queue_first; /* the queue is what is between these two */
	_Atomic unsigned queue_end;
	struct life_write queue[LIFE_QUEUE];
	enum life_doing doing; /* the change that is under way */
	uint64_t done[LIFE_DOINGS];
};

/* A world in which nothing is known yet. */
void life_world_init(struct life_world *world, uint64_t seed);

struct life {
	struct life_world *world; /* borrowed */
	struct disk *disk;        /* borrowed; calls are noted already */
	struct scratch *scratch;  /* borrowed; where the store is */
	unsigned steps;           /* at most */
	bool verifies;            /* all files, at its end */
	struct model model;
	bool is_over; /* only the next start can tell what the disk has */
};

/* Lives one life, in a child. What is wrong fails the test; what goes wrong with the disk ends the life. */
void life_run(struct life *life);

/* ---- for life_check.c ---- */

/* The store is what is known; what was under way is known from now on. */
void life_check(struct life *life);
/* There are the files that the catalog names, and no others, as soon as nothing runs in the background. */
void life_check_files(struct life *life);
struct life_catalog *life_now(struct life_world *world);
/* The change that was begun was made, or was not. */
void life_change_end(struct life *life, bool was_made);
/* The first write of the queue was made. */
void life_write_made(struct life *life);

#endif
