/* kill_at.h - kills the process at its n-th call that changes the disk.
 *
 * Works by the linker: the calls that kill_at.c lists pass through it, from whichever thread. The
 * moments just before and just after such a call are counted. So a test that goes through all n
 * kills at each place where what is on the disk differs, and finds the same places again.
 */
#ifndef TESTS_UNIT_STORE_KILL_AT_H
#define TESTS_UNIT_STORE_KILL_AT_H

/* From now on the n-th moment ends the process, by SIGKILL. n: from 1; 0: no moment does. */
void kill_at(unsigned n);

#endif
