/* zip_write.h - a zip archive of stored members, written from its beginning to its end, as np.savez
 * writes one: np.load reads it.
 *
 * All numbers are those of zip64, so that a member may have more than 4 GiB and small archives are
 * written no other way than large ones. The same members give the same bytes.
 *
 * Threads: one at a time.
 * Source: pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
#ifndef TOOLS_FORMAT_ZIP_WRITE_H
#define TOOLS_FORMAT_ZIP_WRITE_H

#include "schema/status.h"
#include "tools/format/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct output;

/* Zeroed but for `output`, it is an archive without members. */
struct zip_writer {
	struct output *output; /* borrowed */
	uint64_t at;           /* bytes that were written */
	uint64_t members;
	struct buffer directory;
};

/* name: as np.savez calls it, "keys.npy". Errors: those of output_write; NO_MEMORY. */
enum status zip_write_member(struct zip_writer *writer, const char *name, const void *data,
	size_t len, struct error *err);
/* The bytes before a member's own. */
size_t zip_write_header_bytes(const char *name);
/* As zip_write_member, of a member whose bytes stand in their place in the file already: as many bytes
 * as its header has behind writer->at. `data` shows them. Errors: IO, too  the file has no places. */
enum status zip_write_placed(struct zip_writer *writer, const char *name, const void *data,
	size_t len, struct error *err);
/* Writes the directory. The output is the caller's to commit. */
enum status zip_write_end(struct zip_writer *writer, struct error *err);
void zip_writer_fini(struct zip_writer *writer);

#endif
