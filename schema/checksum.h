/* checksum.h - the XXH3-64 of bytes: it tells whether they are the same, and is keyed by nothing.
 *
 * Threads: any; there is no state. Source: XXH3, github.com/Cyan4973/xxHash.
 */
#ifndef SCHEMA_CHECKSUM_H
#define SCHEMA_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum(const void *data, size_t len);

#endif
