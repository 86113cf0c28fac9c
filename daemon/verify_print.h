/* verify_print.h - repstored --verify: what is damaged in a folder, for people.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_VERIFY_PRINT_H
#define DAEMON_VERIFY_PRINT_H

/* Verifies the folder, and prints each damage and a last line on standard output. Returns the exit status:
 * PROCESS_DONE if all is sound, else PROCESS_FAILED. */
int verify_print(const char *folder);

#endif
