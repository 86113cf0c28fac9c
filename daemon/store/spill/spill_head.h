/* spill_head.h - the heads of a load's file and of its frames, as bytes.
 *
 * The checksum of a frame's head is seeded with the file's salt. Rows are chosen by whoever loads
 * them, and the salt is not known to him: so no row looks like a frame.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_SPILL_SPILL_HEAD_H
#define DAEMON_STORE_SPILL_SPILL_HEAD_H

#include "daemon/store/spill/spill.h"

/* Owner, default time and salt of the spill, in SPILL_HEAD_BYTES. */
void spill_head_write(uint8_t *head, const struct spill *spill);

/* Whether it is a head at all, of whatever version and table. */
bool spill_head_is_whole(const uint8_t *head);

/* Compares a file's head with that of the spill's owner, and takes default time and salt from it.
 * Errors: CORRUPT, UNSUPPORTED. */
enum status spill_head_read(const uint8_t *head, struct spill *spill, const char *name,
	struct error *err);

void spill_frame_write(uint8_t *head, enum spill_frame_kind kind, const struct spill_run *run,
	uint64_t salt);

/* False: it is no whole head of a frame of this file. *kind is any number. body_offset is not set. */
bool spill_frame_read(const uint8_t *head, uint64_t salt, uint32_t *kind, struct spill_run *run);

#endif
