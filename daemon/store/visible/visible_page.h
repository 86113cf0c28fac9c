/* visible_page.h - the daemon's side of DATA/visible: makes the file, maps it, writes to it.
 *
 * A start goes on in the file of the one before, so that a reader that has it open sees it.
 *
 * Threads: one at a time. Whoever writes takes no lock and makes no system call.
 */
#ifndef DAEMON_STORE_VISIBLE_VISIBLE_PAGE_H
#define DAEMON_STORE_VISIBLE_VISIBLE_PAGE_H

#include "daemon/store/visible/visible.h"

struct visible_page;

/* Opens the file of a data folder, or makes it: it is written out at once, since a map that grows into a
 * full disk says so by a signal. Errors: DISK_FULL  there is no room for it, and no file; IO, NO_MEMORY. */
enum status visible_page_open(const char *folder, struct visible_page **out, struct error *err);

/* Writes `visible`, `file`, `offset`, `current` and `replayed` of `state`, which is completed: the number of
 * the write, of the start, and the clocks. */
void visible_page_write(struct visible_page *page, const struct visible *state);

/* Whether the map has failed: somebody has cut the file, or the disk has no room to write the page anew.
 * Readers see nothing more of this page. */
bool visible_page_is_lost(const struct visible_page *page);

void visible_page_close(struct visible_page *page); /* NULL is fine */

#endif
