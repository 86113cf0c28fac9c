/* write.h - puts, deletes and samples on the wire, and along the pipeline of writes.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_WRITE_H
#define CLIENT_WRITE_H

#include "client/client.h"

/* Begins a request whose map has the release and `fields` more entries. */
struct wire_writer *write_begin(struct request *request, const char *method, size_t fields,
	const char *release);

/* Write whole requests. Errors: BAD_REQUEST, TOO_LARGE: what is wrong with the arguments. */
enum status write_put(struct request *request, const char *release,
	const struct rep_put_part *parts, size_t count, struct error *err);
enum status write_delete(struct request *request, const char *release, const char *table,
	const struct rep_keys *keys, struct error *err);
enum status write_observe(struct request *request, const char *release,
	const struct rep_samples *samples, struct error *err);
enum status write_append(struct request *request, const char *release,
	const struct rep_vectors *vectors, struct error *err);

/* Reads the answer to any of them; `out` may be NULL. Errors: PROTOCOL. */
enum status write_read(struct wire_value result, struct rep_written *out, struct error *err);

/* Sends the request that was begun and waits for its answer; `out` may be NULL. */
enum status write_call(rep_client *client, struct rep_written *out, struct error *err);

/* Sends the request that was begun; rep_write_receive gets the answer. */
enum status write_send(rep_client *client, struct error *err);

#endif
