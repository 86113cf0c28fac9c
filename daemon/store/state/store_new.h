/* store_new.h - a store that has nothing open yet: its options with their defaults, its locks.
 *
 * Threads: one, which opens or closes the store.
 */
#ifndef DAEMON_STORE_STATE_STORE_NEW_H
#define DAEMON_STORE_STATE_STORE_NEW_H

#include "daemon/store/state/options.h"
#include "schema/status.h"

struct store;

/* Errors: TOO_LARGE  the path of the folder; NO_MEMORY. */
enum status store_new(const struct store_options *options, struct store **out, struct error *err);
/* The last step of closing one. */
void store_free(struct store *store);

/* Puts the defaults in the place of zeros. */
void write_options_complete(struct write_options *options);

#endif
