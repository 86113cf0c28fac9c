/* inflater.h - the bytes of a deflated member of a zip archive, piece by piece: memory is the same
 * whatever the member inflates to.
 *
 * No more bytes come out than the archive's directory says, and they must have the CRC that it says.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_INFLATER_H
#define TOOLS_FORMAT_INFLATER_H

#include "schema/status.h"
#include "tools/format/zip.h"

#include <stddef.h>
#include <stdint.h>

struct inflater;

/* name: how errors call the member; borrowed, as the member's bytes are. Errors: NO_MEMORY. */
enum status inflater_open(const struct zip_member *member, const char *name, struct inflater **out,
	struct error *err);
void inflater_close(struct inflater *inflater);

/* Begins again at the first byte. */
enum status inflater_rewind(struct inflater *inflater, struct error *err);

/* Fills data[len] with the next bytes; all reads together are at most the member's bytes. What the
 * last of them were read with is checked to be the end, and the CRC to be right.
 * Errors: BAD_REQUEST  the member is damaged, or has another size; NO_MEMORY. */
enum status inflater_read(struct inflater *inflater, void *data, size_t len, struct error *err);

#endif
