/* state.h - what the status page shows, as JSON; schema/PROTOCOL.md says what stands in it.
 *
 * Threads: that of the port.
 */
#ifndef DAEMON_HTTP_STATE_H
#define DAEMON_HTTP_STATE_H

#include "daemon/http/text.h"

struct http_sources;
struct series;

/* If memory is refused, text->failed is set. */
void state_write(struct text *text, const struct http_sources *sources,
	const struct series *series);

#endif
