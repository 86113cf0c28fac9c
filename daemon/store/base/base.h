/* base.h - base files: immutable LMDB environments that hold a table's segments.
 *
 * A file is written once, segment by segment, and synced. From then on it is mapped read-only, without locks. The
 * catalog holds what must be true of it: its size, the XXH3-64 of all bytes outside its segments, and each segment's
 * place, size and XXH3-64s. Opening a file checks its size, the bytes outside the segments, and the segments' heads. A
 * page of a segment is checked before it is used, and again when it has been read in again: whoever needs a few rows
 * reads their pages (base_pages_read), who needs all of them waits for the segment (base_segment_wait). schema/DISK.md
 * has every byte.
 *
 * Threads: a writer has one user. An open set is read by any; the state of its segments is atomic, all else constant.
 */
#ifndef DAEMON_STORE_BASE_BASE_H
#define DAEMON_STORE_BASE_BASE_H

#include "daemon/store/base/segment.h"
#include "daemon/store/system/lock.h"
#include "schema/spec.h"
#include "schema/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment_plan; /* segment_build.h */

struct base_segment_info {
	uint64_t prefix;
	uint32_t prefix_bits;
	uint32_t rows;
	uint64_t offset; /* in the file */
	uint64_t bytes;
	uint64_t hash;       /* XXH3-64 of the bytes */
	uint64_t head_bytes; /* of its head; 0: it has none (a tensor) */
	uint64_t head_hash;  /* XXH3-64 of that */
};

/* What the catalog says of a file. */
struct base_file_info {
	uint64_t number;
	uint64_t bytes;
	uint64_t outside_hash;
	uint64_t delta;   /* of which delta it is (level.h); 0: of the base */
	uint64_t deleted; /* so many of its rows are tombstones */
	uint64_t hides;   /* so many of its rows and tombstones hide a row of an older level */
	size_t segment_count;
	struct base_segment_info *segments; /* owned, in the order of their prefixes */
};

void base_file_info_fini(struct base_file_info *info);
enum status base_file_info_copy(const struct base_file_info *info, struct base_file_info *out);

/* Whose file it is. */
struct base_owner {
	uint64_t release;
	uint64_t table;
	struct key_seed seed; /* of the release */
	struct table_spec spec;
};

/* ---- write ---- */

struct base_writer;

/* Creates a file with room for `bytes_max` of segments. A file that is there is a leftover, and is replaced. */
enum status base_writer_open(const char *path, uint64_t bytes_max, struct base_writer **out,
	struct error *err);

/* Gives room for one segment, which the caller fills before base_writer_commit. It is aligned to 8 here, and to 64 in
 * the file. The plan that is committed must have the same size. */
enum status base_writer_begin(struct base_writer *writer, uint64_t bytes, uint8_t **space,
	struct error *err);
enum status base_writer_commit(struct base_writer *writer, const struct segment_plan *plan,
	struct error *err);

/* Syncs and closes the file, and says what the catalog must hold of it; the caller fills
 * info->number. The folder is not synced. `writer` is gone, whatever is returned. */
enum status base_writer_finish(struct base_writer *writer, struct base_file_info *info,
	struct error *err);

/* Bytes of the segments that were committed so far. */
uint64_t base_writer_bytes(const struct base_writer *writer);

/* Closes and removes an unfinished file; NULL is fine. */
void base_writer_abort(struct base_writer *writer);

/* ---- read ---- */

enum base_segment_state {
	BASE_UNCHECKED = 0, /* some of its pages were never compared with their checksums */
	BASE_READY = 1,     /* checked, and in memory when last looked at */
	BASE_AWAY = 2,      /* checked, but some of it must be read from the disk again */
	BASE_DAMAGED = 3,   /* some page of it, or all of them, for good */
};

enum base_page_state {
	BASE_PAGE_AWAY = 0, /* it was not compared with its checksum since it was read in */
	BASE_PAGE_GOOD = 1, /* compared, and in memory when last looked at */
	BASE_PAGE_DAMAGED = BASE_DAMAGED,
};

struct base_segment {
	struct segment view;            /* zero when its file could not be opened */
	_Atomic unsigned char state;    /* enum base_segment_state */
	_Atomic uint64_t bytes_present; /* in memory, when base_segment_measure last looked */
	_Atomic uint64_t bytes_checked; /* the same of pages that are GOOD */
	_Atomic bool is_here;           /* the system was told to keep what is used of it */
	const struct base_segment_info *info;
	const uint8_t *data;
	_Atomic unsigned char
		*pages; /* enum base_page_state of each; owned; NULL: all are damaged */
	struct mapfault *watch;
	struct lock lock; /* one base_segment_wait at a time */
};

struct base_file;

/* The files of one level of a table, opened. Sets share files: each is open as long as some set has it. */
struct base_set {
	struct base_owner owner;
	uint32_t depth;      /* the first bits of a hash that lead into the directory */
	uint32_t *directory; /* 1 << depth numbers of segments, or BASE_NO_SEGMENT */
	size_t segment_count;
	struct base_segment **segments; /* of the files, in the order of their prefixes */
	size_t file_count;
	struct base_file **files; /* shared */
	uint64_t bytes;
	_Atomic uint64_t at_hand_at; /* base_set_is_at_hand's own, as the next */
	_Atomic size_t not_at_hand;
};

#define BASE_HIDES_UNKNOWN UINT64_MAX /* as `hides` of a file of a delta: it was not counted */
#define BASE_NO_SEGMENT    UINT32_MAX /* of hashes that a delta has nothing of; a base has all */

/* Compares a file's size and its bytes outside the segments with what the catalog says. Errors:
 * CORRUPT; NO_MEMORY  also when too many files are open. */
enum status base_file_check(const char *path, const struct base_file_info *info, struct error *err);

/* Opens the files of a level in `folder`. A file that is damaged or missing does not fail the call:
 * its segments are BASE_DAMAGED, and err->text says why, though STATUS_OK is returned.
 * Errors: CORRUPT  infos do not cover every hash once, or of a delta one twice; UNSUPPORTED  a newer format; NO_MEMORY. */
enum status base_set_open(const char *folder, const struct base_owner *owner,
	const struct base_file_info *infos, size_t count, struct base_set **out, struct error *err);
/* The same for a level that follows one whose files are open: those that it has, too, are shared. */
enum status base_set_renew(const char *folder, const struct base_set *from,
	const struct base_file_info *infos, size_t count, struct base_set **out, struct error *err);
void base_set_close(struct base_set *set);

static inline uint32_t base_set_find(const struct base_set *set, uint64_t hash)
{
	return set->depth == 0 ? set->directory[0] : set->directory[hash >> (64 - set->depth)];
}

/* The number of the file that has segment i. */
uint64_t base_set_file_of(const struct base_set *set, size_t i);
/* Where the first segment behind a hash begins; 0: there is none. */
uint64_t base_set_next(const struct base_set *set, uint64_t hash);

static inline enum base_segment_state base_segment_state(const struct base_segment *segment)
{
	return (enum base_segment_state)atomic_load_explicit(&segment->state, memory_order_acquire);
}

/* Reads all of segment i in and checks it, unless that is done. Returns READY or DAMAGED. READY is also returned when the
 * system has just taken pages of it again: it was checked, and the reader may block. May block for the disk. */
enum base_segment_state base_segment_wait(struct base_set *set, size_t i);
enum base_segment_state base_segment_wait_for(struct base_segment *segment);

/* What of a segment is read at a time. */
enum base_part {
	BASE_PART_KEYS, /* all that is in front of keys of bytes and rows: with it a row costs one page more */
	BASE_PART_ALL,
};

/* Reads that part of segment i in and checks it, some MiB at a time, where it is AWAY. go_on is asked behind each
 * of these, and told its bytes; false ends the read early. Returns the same. */
bool base_segment_read(struct base_set *set, size_t i, enum base_part part,
	bool (*go_on)(void *arg, uint64_t bytes), void *arg);

/* Compares all pages of segment i with their checksums, also those that were compared before. Returns
 * READY or DAMAGED. */
enum base_segment_state base_segment_check_again(struct base_set *set, size_t i);

/* Marks the segments of files that were cut as DAMAGED. The fault handler alone does not suffice:
 * where a file ends within a page, the rest of that page reads as zeros, and no signal comes. */
void base_set_look(struct base_set *set);

/* Marks the pages of segment i that the system has taken AWAY, and the segment, if it was READY; one that was AWAY and has
 * all its pages again, checked, is READY. Errors: UNSUPPORTED  the system does not say which pages are in memory (errno has the
 * reason), so none is ever AWAY; NO_MEMORY. */
enum status base_segment_look(struct base_set *set, size_t i);
/* Tells the system to take the rows of segment i first when it needs memory. */
void base_segment_let_go(struct base_set *set, size_t i);
/* Looks how much of segment i is in memory, and how much was checked since. Whoever reads the figure waits for no system call. */
void base_segment_measure(struct base_set *set, size_t i);

/* Writes the name of a table's file of this number: base-<table>-<number>.mdb */
void base_file_name(char *out, size_t size, uint64_t table, uint64_t number);

#endif
