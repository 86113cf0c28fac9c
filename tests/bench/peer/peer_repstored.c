/* peer_repstored.c - repstored through librepstore, into the caller's rows. */
#include "tests/bench/peer/peer_client.h"

#include <stdlib.h>

struct peer {
	const struct questions *questions; /* borrowed */
	rep_client *client;
	uint8_t *found; /* owned */
};

struct peer *peer_of_client(rep_client *client, const struct questions *questions)
{
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	peer->found = allocate((questions->keys_each + 7) / 8);
	peer->client = client;
	return peer;
}

static struct peer *repstored_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	rep_client *client = NULL;
	struct rep_error err;
	const struct rep_options options = {.address = address};
	if (rep_connect(&options, &client, &err) != REP_OK) {
		die("%s", err.text);
	}
	return peer_of_client(client, questions);
}

void peer_client_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const uint32_t count = peer->questions->keys_each;
	struct rep_part part = {.table = "ir",
		.keys = rep_keys_u64(questions_at(peer->questions, request), count),
		.dtype = REP_F32,
		.rows = out,
		.rows_bytes = (size_t)count * MEASURE_ROW_BYTES,
		.found = peer->found};
	struct rep_error err;
	if (rep_fetch(peer->client, NULL, &part, 1, NULL, &err) != REP_OK) {
		die("fetch: %s", err.text);
	}
	if (part.found_count != count) {
		die("fetch: %u of %u rows", part.found_count, count);
	}
}

void peer_client_close(struct peer *peer)
{
	rep_close(peer->client);
	free(peer->found);
	free(peer);
}

const struct peer_kind peer_repstored = {.name = "repstored",
	.open = repstored_open,
	.fetch = peer_client_fetch,
	.close = peer_client_close,
	.rows = PEER_ANSWERS};
