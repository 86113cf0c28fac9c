/* peer_local.c - a folder of repstored that is read in this process, by librepstore-local. */
#include "client/include/repstore_local.h"
#include "tests/bench/peer/peer_client.h"

#include "tests/bench/driver/local.h"

/* All peers share it, as the threads of a program do. */
static rep_local *reader;

rep_local *peer_local_reader(const char *folder)
{
	struct rep_error err;
	const struct rep_local_options options = {.folder = folder};
	if (reader == NULL && rep_open_local(&options, &reader, &err) != REP_OK) {
		die("%s", err.text);
	}
	return reader;
}

static struct peer *local_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	rep_client *client = NULL;
	struct rep_error err;
	if (rep_local_client(peer_local_reader(address), &client, &err) != REP_OK) {
		die("%s", err.text);
	}
	return peer_of_client(client, questions);
}

const struct peer_kind peer_local = {.name = "local",
	.open = local_open,
	.fetch = peer_client_fetch,
	.close = peer_client_close,
	.rows = PEER_ANSWERS};
