/* peer_client.h - peers that are asked by librepstore: over a socket, or a folder in this process. */
#ifndef TESTS_BENCH_PEER_PEER_CLIENT_H
#define TESTS_BENCH_PEER_PEER_CLIENT_H

#include "client/include/repstore.h"
#include "tests/bench/peer/peer.h"

/* The client is the peer's. */
struct peer *peer_of_client(rep_client *client, const struct questions *questions);
void peer_client_fetch(struct peer *peer, size_t request, uint8_t *out);
void peer_client_close(struct peer *peer);

#endif
