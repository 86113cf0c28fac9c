/* base_files.h - writes new base files of a table: when one is full, the next one begins.
 *
 * Threads: one at a time. Several threads may each write files of one table; they share
 * `next_file`.
 */
#ifndef DAEMON_STORE_BASE_BASE_FILES_H
#define DAEMON_STORE_BASE_BASE_FILES_H

#include "daemon/store/base/base.h"

#include <stdatomic.h>

/* How large segments and files become (struct store_sizes). */
struct base_sizes {
	uint64_t segment_bytes;
	uint64_t file_bytes;
	uint64_t range_bytes;
	uint64_t range_rows; /* of a table with an index: no range has fewer */
};

/* About what a base has. */
struct base_extent {
	uint64_t bytes;
	uint64_t rows;
	bool is_indexed;
};

/* A table is cut into ranges by the first bits of the hash: how many bits. There are BASE_RANGES at most, unless these would be
 * larger than a file. Where there is an index they have many rows: a search goes into each. */
enum { BASE_RANGE_BITS = 5, BASE_RANGES = 1 << BASE_RANGE_BITS };
uint32_t base_range_bits(const struct base_sizes *sizes, const struct base_extent *extent);
/* Whether two hashes are in one range of so many bits. */
bool base_is_one_range(uint32_t bits, uint64_t a, uint64_t b);
/* What a range of such a table may have, since not all are of one size, and the bytes are a guess. */
uint64_t base_range_expected(uint64_t bytes, uint32_t bits);

struct base_files {
	const char *folder; /* borrowed, as the next two */
	const struct base_owner *owner;
	struct base_sizes sizes;
	uint64_t delta;              /* what the files say (struct base_file_info) */
	_Atomic uint64_t *next_file; /* number of the next base file */
	uint64_t expected_bytes;     /* about as much as all files of a range will have together */
	uint32_t range_bits;         /* no file holds hashes that differ in these first bits */
	struct base_writer *writer;  /* owned: the open file; NULL: none is open */
	uint64_t file_number;        /* of the open file */
	uint64_t file_bytes;         /* of segments, for which the open file has room */
	uint64_t file_prefix;        /* of the first segment in it */
	uint64_t file_deleted;       /* tombstones in the open file */
	uint64_t file_hides;         /* what base_files_hide was told of the open file */
	uint64_t rows;               /* in all segments that were committed, tombstones too */
	size_t file_count;
	struct base_file_info *files; /* owned: those that are finished */
};

/* Gives room for a planned segment, in the open file or in a new one. The caller fills it before
 * base_files_commit. */
enum status base_files_begin(struct base_files *files, const struct segment_plan *plan,
	uint8_t **space, struct error *err);
enum status base_files_commit(struct base_files *files, const struct segment_plan *plan,
	struct error *err);
/* Says how many rows of older levels the segment that was committed last hides; BASE_HIDES_UNKNOWN: nobody knows. */
void base_files_hide(struct base_files *files, uint64_t hides);
/* Finishes the open file. The folder is not synced. */
enum status base_files_finish(struct base_files *files, struct error *err);
/* Removes the open file, if any. */
void base_files_abort(struct base_files *files);
/* Removes the open file and forgets the finished ones; with REMOVE these are removed too. */
enum base_files_end { BASE_FILES_KEEP, BASE_FILES_REMOVE };
void base_files_fini(struct base_files *files, enum base_files_end end);

#endif
