/* old_catalog.h - the catalog as version 0.1 wrote it.
 *
 * Keys, checksums, releases and the state are as today. Tables have no `next_file`, and segments no
 * head.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_STORE_UPGRADE_OLD_CATALOG_H
#define DAEMON_STORE_UPGRADE_OLD_CATALOG_H

#include "daemon/store/catalog/catalog_add.h"

extern const struct catalog_form old_catalog_form;

#endif
