/* certificates.h - what the daemon shows at tls: addresses, and whom it lets in there, by its settings.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_CERTIFICATES_H
#define DAEMON_CERTIFICATES_H

#include "schema/status.h"
#include "tls/tls.h"

struct settings;

/* Reads the files that the settings name. Errors: BAD_REQUEST  one is not set; those of tls_context_open. */
enum status certificates_open(const struct settings *settings, struct tls_context **out,
	struct error *err);

/* Writes into the journal how long they hold; a warning while there is little time left. */
void certificates_announce(const struct tls_context *context);

#endif
