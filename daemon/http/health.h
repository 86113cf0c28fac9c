/* health.h - whether the daemon lives, and whether it is ready to serve, with the reasons.
 *
 * Threads: any that is registered (grace.h), outside of a snapshot.
 */
#ifndef DAEMON_HTTP_HEALTH_H
#define DAEMON_HTTP_HEALTH_H

#include "daemon/http/text.h"

#include <stdbool.h>

struct http_sources;

/* The loops turn. */
bool health_is_alive(const struct http_sources *sources);

/* Writes a line for each check, `[+]name ok` or `[-]name reason`, and for what is wrong without keeping
 * the daemon from serving, `degraded: reason`. Returns whether all checks are good. */
bool health_write(struct text *text, const struct http_sources *sources);

#endif
