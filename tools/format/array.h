/* array.h - an array of a file, read piece by piece from its beginning: an npy file, a member of an
 * npz file, or a tensor of a safetensors file.
 *
 * What stands in a file as it is, is mapped and read in place. A deflated member is inflated as it is
 * read, so it takes no more memory than the piece does.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_ARRAY_H
#define TOOLS_FORMAT_ARRAY_H

#include "schema/status.h"
#include "tools/format/buffer.h"
#include "tools/format/npy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inflater;
struct zip_member;

/* A zeroed one is an array that was not given. */
struct array {
	char *name;     /* owned: how errors call it: "keys.npy", "t.npz: keys"; NULL: not given */
	struct npy npy; /* `data` is NULL unless the elements are in memory */
	struct mapping mapping;    /* owned; of an npy file */
	struct inflater *inflater; /* owned; of a deflated member */
	struct buffer piece;
	uint64_t read;     /* bytes of elements that were read; the next ones follow */
	bool has_crc;      /* of a stored member */
	uint32_t crc;      /* that it must have */
	uint32_t crc_read; /* of what was read so far, with the npy header */
};

/* An npy file. Errors: those of the system and of npy_read, naming the path. */
enum status array_open_npy(struct array *array, const char *path, struct error *err);

/* A member of an npz file, which must stay mapped: an npy file too. archive, column: what errors name.
 * Errors: those of npy_read; BAD_REQUEST  the member is damaged; NO_MEMORY. */
enum status array_open_member(struct array *array, const char *archive, const char *column,
	const struct zip_member *member, struct error *err);

/* An array that is in memory and stays there. */
enum status array_open_memory(struct array *array, const char *archive, const char *column,
	const struct npy *npy, struct error *err);

void array_close(struct array *array);

/* Hands out elements [at, at + len), both in bytes, aligned to 8 bytes and valid until the next call.
 * `at` is 0, or where the call before ended.
 * Errors: BAD_REQUEST  the member is damaged, or its file was cut meanwhile; NO_MEMORY. */
enum status array_read(struct array *array, uint64_t at, size_t len, const void **out,
	struct error *err);

#endif
