/* search.h - searches and scores on the wire.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_SEARCH_H
#define CLIENT_SEARCH_H

#include "client/request.h"
#include "repstore.h"

/* Write whole requests. Errors: BAD_REQUEST, TOO_LARGE: what is wrong with the arguments. */
enum status search_write(struct request *request, const char *release,
	const struct rep_retrieval *asked, struct error *err);
enum status score_write(struct request *request, const char *release,
	const struct rep_scoring *score, struct error *err);

/* Read the answers to what was asked. Errors: PROTOCOL, NO_MEMORY. */
enum status search_read(struct wire_value result, const struct rep_retrieval *asked,
	struct rep_retrieved *out, struct error *err);
enum status score_read(struct wire_value result, const struct rep_scoring *score,
	struct rep_fetched *out, struct error *err);

#endif
