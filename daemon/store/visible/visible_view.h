/* visible_view.h - a reader's side of DATA/visible: maps the page, and changes nothing.
 *
 * Threads: one opens and closes; any read meanwhile.
 */
#ifndef DAEMON_STORE_VISIBLE_VISIBLE_VIEW_H
#define DAEMON_STORE_VISIBLE_VISIBLE_VIEW_H

#include "daemon/store/visible/visible.h"

struct visible_view;

/* Errors: NOT_FOUND  there is none, or a daemon has not finished making it; CORRUPT, UNSUPPORTED  as
 * visible_check; IO, NO_MEMORY. */
enum status visible_view_open(const char *folder, struct visible_view **out, struct error *err);

/* What the page says now; false: as visible_load. */
bool visible_view_read(const struct visible_view *view, struct visible *out);

/* Whether the folder has another file by now, or none. To be asked when the page stands still: a daemon
 * goes on in the same file, but the folder may have been put back from a copy. */
bool visible_view_is_replaced(const struct visible_view *view, const char *folder);

void visible_view_close(struct visible_view *view); /* NULL is fine */

#endif
