/* checksum.c - XXH3-64. */
#include "schema/checksum.h"

#include <xxhash.h>

uint64_t checksum(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
