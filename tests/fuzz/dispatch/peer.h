/* peer.h - the one connection to the server of the world, and what must be true of every answer.
 *
 * Threads: one.
 */
#ifndef TESTS_FUZZ_DISPATCH_PEER_H
#define TESTS_FUZZ_DISPATCH_PEER_H

#include "schema/status.h"
#include "schema/wire.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct service;

/* Where the server listens. */
void peer_aim(const struct sockaddr_in *at);

/* Closes the connection, if there is one. */
void peer_end(void);

/* What the peer may do, as world_give_role has it: a method that wants another role must be denied. */
void peer_has_roles(unsigned roles);

/* Sends bytes, and takes every answer that there is to be: all are well formed, none goes to what was not asked, and a
 * method that the role may not call is denied. If the bytes do not end with a message, or cannot be understood, the
 * connection is closed, and another one opened the next time. */
void peer_exchange(const uint8_t *data, size_t len);

/* Runs one message on this thread, if it is a request that may be run (direct.h), and judges its answer. No other request
 * runs. */
void peer_run(struct service *service, const uint8_t *data, size_t len);

/* Sends one request, and returns what it was answered with. */
enum status peer_ask(const struct wire_writer *request);

#endif
