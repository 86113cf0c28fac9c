/* given_chain.h - the chain of stored layers that a request names: `through: [str]`.
 *
 * Threads: as through.h.
 */
#ifndef DAEMON_METHOD_QUERY_GIVEN_CHAIN_H
#define DAEMON_METHOD_QUERY_GIVEN_CHAIN_H

#include "daemon/search/through.h"
#include "schema/wire.h"

/* Makes the chain. Errors: BAD_REQUEST  `steps` is no array of str; else as through_begin,
 * through_add and through_end. */
enum status given_chain_read(struct wire_value steps, const struct through_place *place,
	struct through **out, struct error *err);

#endif
