/* balls_lanes.h - sixteen floats at once, in the vector notation of gcc and clang.
 *
 * The compiler uses one, two or four registers for them, by instruction set. Operations that this
 * notation lacks (the larger of two, roots, comparisons as bits) are written for each instruction
 * set.
 */
#ifndef DAEMON_RETRIEVAL_BALLS_BALLS_LANES_H
#define DAEMON_RETRIEVAL_BALLS_BALLS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t lanes_int __attribute__((vector_size(64)));
typedef float lanes_8 __attribute__((vector_size(32)));
typedef float lanes_4 __attribute__((vector_size(16)));
typedef int8_t lanes_byte __attribute__((vector_size(16)));

/* The same at any address. */
typedef float lanes_at __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t lanes_int_at __attribute__((vector_size(64), aligned(4), may_alias));

/* gcc warns that such values are passed in another way on another instruction set. That does not
 * matter: the functions that take them are all inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))

#endif
