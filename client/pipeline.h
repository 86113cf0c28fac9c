/* pipeline.h - requests that are sent one after the other, and received in that order later.
 *
 * A client has a pipeline of fetches and one of writes. Both use the same connection, but each is
 * received by itself.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_PIPELINE_H
#define CLIENT_PIPELINE_H

#include "client/client.h"

/* Sends the request that was begun as the last one of the pipeline. */
enum status pipeline_send(rep_client *client, enum client_pipeline pipeline, struct error *err);

/* Waits for the answer to the oldest request of the pipeline. The request leaves the pipeline,
 * whatever this returns.
 * Errors: those of client_receive; CLOSED  once for each request whose connection was lost;
 *         BAD_REQUEST  none waits to be received. */
enum status pipeline_receive(rep_client *client, enum client_pipeline pipeline, struct reply *out,
	struct error *err);

#endif
