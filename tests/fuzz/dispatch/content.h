/* content.h - what the store of the world has at first, made by requests like anybody's.
 *
 * Threads: one.
 */
#ifndef TESTS_FUZZ_DISPATCH_CONTENT_H
#define TESTS_FUZZ_DISPATCH_CONTENT_H

/* The server of the world listens, and its store is empty. */
void content_make(void);

#endif
