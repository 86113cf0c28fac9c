/* fetch.h - a fetch on the wire.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_FETCH_H
#define CLIENT_FETCH_H

#include "client/request.h"
#include "client/transport.h"
#include "repstore.h"

/* Writes the whole request. Errors: BAD_REQUEST, TOO_LARGE: what is wrong with the arguments. */
enum status fetch_write(struct request *request, const char *release, const struct rep_part *parts,
	size_t count, struct error *err);

/* An answer: what was parsed, and rows that were received where they belong. */
struct fetch_answer {
	struct wire_value result;
	const struct transport_place *places; /* borrowed; NULL: none */
	size_t places_count;
	uint64_t lag_ms; /* of struct rep_fetched */
};

/* Fills the parts from an answer; `out` may be NULL. Errors: PROTOCOL; TOO_LARGE  there is not the room
 * for some rows: of the parts only shapes are filled, but rows may have been received into their memory. */
enum status fetch_read(const struct fetch_answer *answer, struct rep_part *parts, size_t count,
	struct rep_fetched *out, struct error *err);

#endif
