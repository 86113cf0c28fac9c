/* background.h - what the store's own threads have in common: they hold tables by a count, and give way to threads
 * that answer requests.
 *
 * Threads: any that holds no lock.
 */
#ifndef DAEMON_STORE_STATE_BACKGROUND_H
#define DAEMON_STORE_STATE_BACKGROUND_H

struct store;
struct table;

enum { BACKGROUND_NICE = 10 }; /* of threads whose work can wait */

/* Gives up a table that was held by its count. Takes admin_lock. */
void background_let_go(struct store *store, struct table *table);

/* Makes the calling thread so nice: on Linux this concerns it alone. Without the right to be less nice (LimitNICE
 * of the unit) it stays as it is. */
void background_set_nice(struct store *store, int nice);

#endif
