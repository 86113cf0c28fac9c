/* served.h - the bytes of a file of served rows: a head, and a frame for each fetch.
 *
 *   file:   "repsserv" | u32 version | u32 0 | i64 Unix ms when it was begun | u64 XXH3-64 of these 24
 *   frame:  u32 bytes of the body | u32 0 | u64 XXH3-64 of the body | body
 *   body:   MessagePack, a map; schema/DISK.md names its fields
 *
 * Numbers are little-endian. Frames stand one behind the other. A file ends behind a whole frame; or it
 * ends in a part of one, if the daemon or the machine ended while it was written.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_SERVED_H
#define SCHEMA_SERVED_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SERVED_VERSION = 1,
	SERVED_HEAD_BYTES = 32,
	SERVED_FRAME_BYTES = 16, /* before the body */
};

void served_write_head(uint8_t out[SERVED_HEAD_BYTES], int64_t begun_ms);
/* Errors: CORRUPT  it is no such file, or its head is damaged or cut; UNSUPPORTED  another version. */
enum status served_read_head(const uint8_t *data, size_t len, int64_t *begun_ms);

/* Writes what stands before a body. */
void served_write_frame(uint8_t out[SERVED_FRAME_BYTES], const uint8_t *body, size_t len);
/* Reads the frame at `data`, of which there are `len` bytes. *body_len: of its body, which stands
 * SERVED_FRAME_BYTES behind. Errors: AGAIN  it is cut; CORRUPT  it is damaged. */
enum status served_read_frame(const uint8_t *data, size_t len, size_t *body_len);

#endif
