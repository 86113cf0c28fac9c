/* upgrade.h - brings a data folder of version 0.1 to today's formats, in place.
 *
 * Of what 0.1 wrote, log files, spill files and tensor files are as they are today, and stay. Segments,
 * the catalog and `current` are not. Each base file is written anew beside the old one, under a number that the
 * table never had, and read back; then a catalog that names the new files takes the place of the old one by one
 * rename. Up to that rename the folder is one of 0.1, whatever ends the process, and the files that its catalog does not
 * name count for nothing; from then on it is one of today. What is left of the old files is removed behind it,
 * or by the next start. Indexes are built anew by the daemon.
 *
 * Formats between 0.1 and today's were in no release. They are refused.
 *
 * Threads: the main one, before there are others.
 */
#ifndef DAEMON_STORE_UPGRADE_UPGRADE_H
#define DAEMON_STORE_UPGRADE_UPGRADE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct upgrade_wish {
	/* Told of each table that is written anew, as `key=value`. */
	void (*on_event)(void *arg, const char *line);
	void *arg;
};

struct upgrade_result {
	bool is_of_today; /* nothing was to be done; the rest is 0 */
	uint64_t releases;
	uint64_t tables;
	uint64_t rows;   /* in base files; those that are in the log alone are not counted */
	uint64_t bytes;  /* of the new base files */
	uint64_t writes; /* that wait in the log */
};

/* Upgrades the folder. A folder of today is left as it is. After an error it is as it was.
 * Errors: NOT_FOUND  it is no data folder; BUSY  a daemon works in it; UNSUPPORTED  its formats are neither of
 *         0.1 nor of today; CORRUPT, naming what is damaged; DISK_FULL  also when less is free than
 *         the upgrade may need, before anything is written; IO; NO_MEMORY. */
enum status upgrade_folder(const char *path, const struct upgrade_wish *wish,
	struct upgrade_result *out, struct error *err);

#endif
