/* write.h - requests that write: begun, then called or sent along the pipeline of writes.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_WRITE_H
#define CLIENT_WRITE_H

#include "client/client.h"

/* Begins a request whose map has the release and `fields` more entries. */
struct wire_writer *write_begin(rep_client *client, const char *method, size_t fields,
	const char *release);

/* Sends the request that was begun and waits for its answer; `out` may be NULL. */
enum status write_call(rep_client *client, struct rep_written *out, struct error *err);

/* Sends the request that was begun; rep_write_receive gets the answer. */
enum status write_send(rep_client *client, struct error *err);

#endif
