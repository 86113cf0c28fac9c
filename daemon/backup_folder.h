/* backup_folder.h - looks whether backups can be made where the setting backup_folder says.
 *
 * A folder that is gone, since its disk is not there for instance, keeps no daemon from serving: a start tells
 * of it, a check of the settings fails, and each backup is refused until it is back.
 *
 * Threads: one, before the store is open.
 */
#ifndef DAEMON_BACKUP_FOLDER_H
#define DAEMON_BACKUP_FOLDER_H

#include "schema/status.h"

struct settings;

/* OK where the setting is not set. Errors: NOT_FOUND, IO  it is no folder, a link, or not writable; CONFLICT  it
 * lies in the data folder; NO_MEMORY. */
enum status backup_folder_check(const struct settings *settings, struct error *err);

#endif
