/* old_segment.h - a segment as version 0.1 wrote it: header, directory, columns, and no checksums of pages.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_UPGRADE_OLD_SEGMENT_H
#define DAEMON_STORE_UPGRADE_OLD_SEGMENT_H

#include "daemon/store/base/segment.h"

enum { OLD_SEGMENT_VERSION = 2 };

/* Checks header and directory of `len` bytes at `data` (aligned to 8), and finds the columns. Slots, homes and checksums of
 * pages are not filled in: they are not read. Errors: CORRUPT; UNSUPPORTED  another version. */
enum status old_segment_open(const uint8_t *data, size_t len, const struct table_spec *spec,
	const struct segment_identity *identity, struct segment *out, struct error *err);

#endif
