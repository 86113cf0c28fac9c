/* observe_ahead.h - the states that a batch of samples needs, to be read before the batch has the writer's lock.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_OBSERVE_OBSERVE_AHEAD_H
#define DAEMON_STORE_OBSERVE_OBSERVE_AHEAD_H

#include "daemon/store/write/write_ahead.h"

struct observation;

/* Borrows the batch. */
struct write_ahead observe_ahead(const struct observation *given);

#endif
