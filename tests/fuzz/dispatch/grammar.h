/* grammar.h - makes requests of any bytes: mostly ones that a method understands, some that it nearly does, and some
 * that are no requests at all.
 *
 * A byte chooses, and the end of the input is zeros, which are the usual choice: so the input of one byte, the
 * number of a method, is a request of that method which succeeds.
 *
 * Threads: one at a time.
 */
#ifndef TESTS_FUZZ_DISPATCH_GRAMMAR_H
#define TESTS_FUZZ_DISPATCH_GRAMMAR_H

#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is left of an input. */
struct choices {
	const uint8_t *at;
	const uint8_t *end;
};

uint8_t choose(struct choices *choices); /* 0 at the end */
size_t choose_below(struct choices *choices, size_t count);

/* Appends what is sent next: a request with this msgid, or anything. */
void grammar_write(struct choices *choices, uint32_t msgid, struct wire_writer *out);

#endif
