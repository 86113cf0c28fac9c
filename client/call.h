/* call.h - any method on the wire.
 *
 * Threads: any; there is no state.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include "client/request.h"

/* Whether to ask twice does no harm. */
bool call_changes_nothing(const char *method);

/* Writes the whole request; params: one MessagePack map, NULL: an empty one. Errors: BAD_REQUEST. */
enum status call_write(struct request *request, const char *method, const void *params,
	size_t params_len, struct error *err);

/* Copies the result out of a whole response that is no error. out: malloc'ed. Errors: NO_MEMORY. */
enum status call_read(struct wire_bytes response, void **result, size_t *result_len,
	struct error *err);

#endif
