/* file_kind.h - what a file is that holds rows in none of the formats that are read, and the way from
 * there.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_FILE_KIND_H
#define TOOLS_FORMAT_FILE_KIND_H

#include <stddef.h>
#include <stdint.h>

/* The formats that are read, for a message about another one. */
#define FILE_KIND_READ                                                                             \
	"npy (--keys K.npy --rows R.npy), .npz, .safetensors, .msgpack (of a dump) and .jsonl are read"

/* Each says what the file is and how its rows get into a format that is read; NULL: not known. */
const char *file_kind_by_content(const uint8_t *head, size_t len);
const char *file_kind_by_name(const char *path);

/* How many bytes of a file's beginning tell what it is. */
enum { FILE_KIND_BYTES = 16 };

#endif
