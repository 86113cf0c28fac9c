/* place.h - the folder that a request names, below the one that the setting `backup_folder` names.
 *
 * No peer may have the daemon write or read just anywhere: the folder is opened beneath that of the
 * setting, name by name, and no name may be a link (file.h). It does not lie in the data folder.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_BACKUP_PLACE_H
#define DAEMON_STORE_BACKUP_PLACE_H

#include "schema/status.h"

#include <limits.h>
#include <stddef.h>

struct folder;
struct store;

struct place {
	struct folder *folder; /* owned: that of the setting */
	char path[PATH_MAX];   /* of the folder that is named */
};

enum place_need { PLACE_MAKE, PLACE_IS_THERE };

/* Opens the place that `dir` names: a path below `backup_folder`, or one that begins with it. With
 * PLACE_MAKE its last name is made if it is missing, and the folder has to be ours.
 * Errors: UNSUPPORTED  the setting is not set; BAD_REQUEST  the path leads elsewhere; CONFLICT  it lies
 *         in the data folder; NOT_FOUND; IO  a link, or somebody else's folder; DISK_FULL, NO_MEMORY. */
enum status place_open(const struct store *store, const char *dir, size_t len, enum place_need need,
	struct place *out, struct error *err);
void place_close(struct place *place);

#endif
