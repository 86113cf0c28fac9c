/* options.h - what a client was opened with, with everything that was left out filled in.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "client/secure.h"
#include "repstore.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
	char **addresses; /* owned: the first one, and the others that serve the same */
	size_t addresses_count;
	unsigned connect_timeout_ms;
	unsigned timeout_ms;
	bool no_reconnect;
	unsigned spin_us;
	char *client; /* owned: the name that is said in hello; NULL: the library's own */
	bool (*interrupted)(void *context); /* or NULL */
	void *interrupted_context;
	struct secure secure; /* owned */
};

/* given: NULL: nothing was. Errors: BAD_REQUEST, NO_MEMORY; `out` is to be freed after those, too. */
enum status options_read(const struct rep_options *given, struct options *out, struct error *err);
void options_fini(struct options *options); /* zeroed is fine */

#endif
