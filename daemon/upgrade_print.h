/* upgrade_print.h - repstored --upgrade: brings a folder to today's formats, and tells people of it.
 *
 * Threads: the main one.
 */
#ifndef DAEMON_UPGRADE_PRINT_H
#define DAEMON_UPGRADE_PRINT_H

/* Upgrades the folder. The journal has how far it is, standard output a last line. Returns the exit status:
 * PROCESS_DONE if the folder is of today now, else PROCESS_FAILED. */
int upgrade_print(const char *folder);

#endif
