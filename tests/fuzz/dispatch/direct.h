/* direct.h - runs a request on this thread, as a loop and a lane of the server do one after the other.
 *
 * It is for speed: to wake three threads takes far longer than most requests, where others want the processors.
 *
 * Threads: one, after method_thread_begin.
 */
#ifndef TESTS_FUZZ_DISPATCH_DIRECT_H
#define TESTS_FUZZ_DISPATCH_DIRECT_H

#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service;

/* Who asks, and whom. */
struct direct {
	struct service *service;
	unsigned roles;
};

/* Appends the answer to `out`; nothing, if it was a notification. False: it is not one whole request of a method that the
 * roles may call, so that only the server knows what to do with it; nothing has happened. */
bool direct_run(const struct direct *direct, const uint8_t *data, size_t len,
	struct wire_writer *out);

#endif
