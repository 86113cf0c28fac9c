/* observe_ahead.h - reads the states that a batch of samples needs from the disk before the batch has the writer's lock.
 *
 * Threads: any registered one (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_STORE_OBSERVE_OBSERVE_AHEAD_H
#define DAEMON_STORE_OBSERVE_OBSERVE_AHEAD_H

struct observation;
struct store;

/* Costs next to nothing where all states are in memory. Whatever is wrong with the batch is told when it is applied. */
void observe_read_ahead(struct store *store, const struct observation *given);

#endif
