/* bytes.h - numbers at fixed places of a head on the disk: little-endian, at any alignment.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_SYSTEM_BYTES_H
#define DAEMON_STORE_SYSTEM_BYTES_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they stand");

static inline uint16_t bytes_get_u16(const uint8_t *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static inline uint32_t bytes_get_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static inline uint64_t bytes_get_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static inline void bytes_put_u16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof value);
}

static inline void bytes_put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof value);
}

static inline void bytes_put_u64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof value);
}

#endif
