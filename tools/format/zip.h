/* zip.h - the directory of a zip archive in memory, as np.savez makes one: which members it has, and
 * where their bytes are.
 *
 * Nothing in an archive is trusted: a member is handed out when its bytes are known to lie inside the
 * archive. Nothing is allocated either, whatever the directory claims. Archives of more than 4 GiB
 * (zip64) are read. Archives behind something else, split over several files or encrypted are not.
 *
 * Threads: any; there is no state.
 * Source: pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
#ifndef TOOLS_FORMAT_ZIP_H
#define TOOLS_FORMAT_ZIP_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A walk through the directory. */
struct zip {
	const uint8_t *file; /* borrowed */
	const char *name;    /* borrowed: of the archive, for errors */
	size_t directory_at;
	size_t directory_end;
	size_t at;     /* of the entry that comes next */
	uint64_t left; /* entries that are still to come */
};

/* As the archive numbers them. */
enum zip_method { ZIP_STORED = 0, ZIP_DEFLATED = 8 };

struct zip_member {
	const char *name; /* borrowed: in the archive, without a NUL */
	size_t name_len;
	enum zip_method method;
	uint32_t crc; /* CRC-32 of its bytes */
	uint64_t bytes;
	const uint8_t *packed; /* borrowed: as they stand in the archive */
	size_t packed_bytes;   /* equals `bytes` of one that is stored */
	/* Where in the archive the member is, with its own header. */
	size_t at;
	size_t end;
};

/* Errors: BAD_REQUEST  no archive, or one that is cut or damaged; UNSUPPORTED. */
enum status zip_open(const uint8_t *file, size_t len, const char *name, struct zip *out,
	struct error *err);

/* Reads the next member. False in *more: there is none. */
enum status zip_next(struct zip *zip, struct zip_member *out, bool *more, struct error *err);

#endif
