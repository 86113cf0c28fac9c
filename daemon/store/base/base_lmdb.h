/* base_lmdb.h - the LMDB environment inside a base file: numbered values in one file.
 *
 * LMDB keeps a value that is larger than a page in one piece, which begins 16 bytes into its first
 * page. So BASE_VALUE_PADDING bytes before a segment align it to 64, in the map and in the file.
 *
 * Threads: one at a time; the bytes of a value may be read by any while the file is open.
 */
#ifndef DAEMON_STORE_BASE_BASE_LMDB_H
#define DAEMON_STORE_BASE_BASE_LMDB_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

struct base_file_info;
struct lmdb_file;

enum { BASE_VALUE_PADDING = 48 };

struct lmdb_value {
	const uint8_t *data;
	size_t len;
	uint64_t offset; /* of data in the file */
};

enum status lmdb_file_create(const char *path, uint64_t bytes_max, struct lmdb_file **out,
	struct error *err);
/* Begins a transaction that puts value i of `len` bytes, which the caller fills. A value that is
 * smaller than a page is filled up to a page with zeros: only then it has pages of its own. One
 * transaction is open at a time. */
enum status lmdb_file_reserve(struct lmdb_file *file, uint32_t i, uint64_t len, void **value,
	struct error *err);
/* Commits that transaction, and tells the system to begin to write. */
enum status lmdb_file_commit(struct lmdb_file *file, struct error *err);
enum status lmdb_file_sync(struct lmdb_file *file, struct error *err);

/* Opens a finished file for reading. Its values are valid until lmdb_file_close. */
enum status lmdb_file_open(const char *path, struct lmdb_file **out, struct error *err);
enum status lmdb_file_get(struct lmdb_file *file, uint32_t i, struct lmdb_value *out,
	struct error *err);

/* The size that the file has now; 0 when the system does not tell. */
uint64_t lmdb_file_size(const struct lmdb_file *file);

void lmdb_file_close(struct lmdb_file *file); /* NULL is fine */

/* The first segment that begins at or after `offset`; NULL when there is none. */
const struct base_segment_info *base_next_segment(const struct base_file_info *info,
	uint64_t offset);

/* XXH3-64 of all bytes outside the segments that `info` places. Errors: IO, CORRUPT. */
enum status base_hash_outside(int fd, const struct base_file_info *info, uint64_t *out);

#endif
