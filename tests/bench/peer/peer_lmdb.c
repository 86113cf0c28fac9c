/* peer_lmdb.c - LMDB in this process: a look-up a key, and a copy of its row.
 *
 * The table is filled in the order of its keys, so that its pages are full and stand side by side. One read transaction is
 * renewed for each request, which costs no allocation and gives it one snapshot, as a fetch has.
 */
#include "tests/bench/peer/peer.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

enum { FILL_ROWS = 65536 };
static const size_t map_bytes = (size_t)16 << 30;

struct peer {
	const struct questions *questions; /* borrowed */
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *txn; /* owned */
};

static void must(int status, const char *what)
{
	if (status != MDB_SUCCESS) {
		die("lmdb: %s: %s", what, mdb_strerror(status));
	}
}

static MDB_env *open_env(const char *path, unsigned flags)
{
	MDB_env *env = NULL;
	must(mdb_env_create(&env), "create");
	must(mdb_env_set_mapsize(env, map_bytes), "map size");
	must(mdb_env_open(env, path, flags, 0600), path);
	return env;
}

void lmdb_fill(const char *folder, const uint8_t *rows, size_t count)
{
	MDB_dbi dbi = 0;
	MDB_env *env = open_env(folder, MDB_NOSYNC);
	for (size_t first = 0; first < count; first += FILL_ROWS) {
		MDB_txn *txn = NULL;
		must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
		must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi), "open");
		for (uint64_t key = first; key < first + FILL_ROWS && key < count; key++) {
			MDB_val name = {sizeof key, &key};
			MDB_val value = {MEASURE_ROW_BYTES,
				(void *)(rows + key * MEASURE_ROW_BYTES)};
			must(mdb_put(txn, dbi, &name, &value, MDB_APPEND), "put");
		}
		must(mdb_txn_commit(txn), "commit");
	}
	must(mdb_env_sync(env, 1), "sync");
	mdb_env_close(env);
}

/* Touches each row, so that no page of it is mapped later. */
static void map_all(const struct peer *peer)
{
	MDB_cursor *cursor = NULL;
	MDB_val name;
	MDB_val value;
	uint64_t sum = 0;
	int status = mdb_cursor_open(peer->txn, peer->dbi, &cursor);
	must(status, "cursor");
	while ((status = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == MDB_SUCCESS) {
		sum += *(const uint8_t *)value.mv_data;
	}
	mdb_cursor_close(cursor);
	if (status != MDB_NOTFOUND || sum == 0) {
		die("lmdb: the rows cannot be read");
	}
}

static struct peer *lmdb_open(const char *address, const struct questions *questions,
	const uint8_t *rows)
{
	(void)rows;
	struct peer *peer = allocate(sizeof *peer);
	peer->questions = questions;
	peer->env = open_env(address, MDB_RDONLY | MDB_NOTLS);
	must(mdb_txn_begin(peer->env, NULL, MDB_RDONLY, &peer->txn), "begin");
	must(mdb_dbi_open(peer->txn, NULL, MDB_INTEGERKEY, &peer->dbi), "open");
	map_all(peer);
	mdb_txn_reset(peer->txn);
	return peer;
}

static void lmdb_fetch(struct peer *peer, size_t request, uint8_t *out)
{
	const uint64_t *keys = questions_at(peer->questions, request);
	must(mdb_txn_renew(peer->txn), "renew");
	for (uint32_t i = 0; i < peer->questions->keys_each; i++) {
		uint64_t key = keys[i];
		MDB_val name = {sizeof key, &key};
		MDB_val value;
		must(mdb_get(peer->txn, peer->dbi, &name, &value), "get");
		if (value.mv_size != MEASURE_ROW_BYTES) {
			die("lmdb: a value of %zu bytes", value.mv_size);
		}
		memcpy(out + (size_t)i * MEASURE_ROW_BYTES, value.mv_data, MEASURE_ROW_BYTES);
	}
	mdb_txn_reset(peer->txn);
}

static void lmdb_close(struct peer *peer)
{
	mdb_txn_abort(peer->txn);
	mdb_env_close(peer->env);
	free(peer);
}

const struct peer_kind peer_lmdb = {.name = "lmdb",
	.open = lmdb_open,
	.fetch = lmdb_fetch,
	.close = lmdb_close,
	.rows = PEER_ANSWERS};
