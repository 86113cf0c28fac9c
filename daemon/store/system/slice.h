/* slice.h - asks the kernel to run a thread soon after it wakes.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_SLICE_H
#define DAEMON_STORE_SYSTEM_SLICE_H

/* The calling thread works in short bursts: where others compute for long it is to be run before they
 * have used up their slices. Linux before 6.12 takes no notice. */
void slice_make_short(void);

#endif
