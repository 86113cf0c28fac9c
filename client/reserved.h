/* reserved.h - words of a caller's struct that have no meaning yet.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_RESERVED_H
#define CLIENT_RESERVED_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

/* Words that are not zero are those of a struct that was not zeroed, or of a caller that was built with a
 * later header: to pass over them would be to leave out what was asked. Errors: BAD_REQUEST. */
static inline enum status reserved_check(const char *of, const uint64_t *words, size_t count,
	struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (words[i] != 0) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%s: reserved[%zu] is not 0; zero a struct before you fill it", of,
				i);
		}
	}
	return STATUS_OK;
}

#define RESERVED_CHECK(of, given, err)                                                             \
	reserved_check(of, (given)->reserved, sizeof(given)->reserved / sizeof(uint64_t), err)

#endif
