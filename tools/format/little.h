/* little.h - little-endian numbers in bytes that need not be aligned.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_LITTLE_H
#define TOOLS_FORMAT_LITTLE_H

#include <stddef.h>
#include <stdint.h>

/* bytes: 1 to 8. */
static inline uint64_t little_read(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++) {
		value |= (uint64_t)at[i] << 8 * i;
	}
	return value;
}

static inline void little_write(uint8_t *at, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes; i++) {
		at[i] = (uint8_t)(value >> 8 * i);
	}
}

#endif
