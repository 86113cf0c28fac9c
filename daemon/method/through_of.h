/* through_of.h - the chain of stored layers that a request names: `through: [str]`.
 *
 * Threads: as through.h.
 */
#ifndef DAEMON_METHOD_THROUGH_OF_H
#define DAEMON_METHOD_THROUGH_OF_H

#include "daemon/method/through.h"
#include "schema/wire.h"

/* Errors: BAD_REQUEST  it is none, or as through_begin, through_add, through_end. */
enum status through_of_read(struct wire_value steps, const struct through_place *place,
	struct through **out, struct error *err);

#endif
