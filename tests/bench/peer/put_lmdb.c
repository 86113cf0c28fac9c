/* put_lmdb.c - LMDB in the process, a synced transaction a request. */
#include "tests/bench/peer/put_lmdb.h"

#include "tests/bench/driver/put.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILL_ROWS = 65536 };
/* Pages that a transaction writes are new ones: several times the rows. */
static const size_t map_bytes = (size_t)16 << 30;

struct lmdb_table {
	MDB_env *env;
	MDB_dbi dbi;
};

static void must(int status, const char *what)
{
	if (status != MDB_SUCCESS) {
		die("lmdb: %s: %s", what, mdb_strerror(status));
	}
}

static MDB_txn *begin(struct lmdb_table *table, unsigned flags)
{
	MDB_txn *txn = NULL;
	must(mdb_txn_begin(table->env, NULL, flags, &txn), "begin");
	return txn;
}

static void put_row(struct lmdb_table *table, MDB_txn *txn, uint64_t key, const uint8_t *row)
{
	MDB_val name = {sizeof key, &key};
	MDB_val value = {MEASURE_ROW_BYTES, (void *)row};
	must(mdb_put(txn, table->dbi, &name, &value, 0), "put");
}

struct lmdb_table *lmdb_table_open(const char *folder, const uint8_t *rows, size_t count)
{
	char path[4096];
	(void)snprintf(path, sizeof path, "%s/lmdb", folder);
	if (mkdir(path, 0700) != 0) {
		die("'%s': %s", path, strerror(errno));
	}
	struct lmdb_table *table = allocate(sizeof *table);
	must(mdb_env_create(&table->env), "create");
	must(mdb_env_set_mapsize(table->env, map_bytes), "map size");
	must(mdb_env_open(table->env, path, 0, 0600), path);
	for (size_t first = 0; first < count; first += FILL_ROWS) {
		MDB_txn *txn = begin(table, 0);
		if (first == 0) {
			must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &table->dbi), "open");
		}
		for (size_t key = first; key < first + FILL_ROWS && key < count; key++) {
			put_row(table, txn, key, rows + key * MEASURE_ROW_BYTES);
		}
		must(mdb_txn_commit(txn), "commit");
	}
	return table;
}

void lmdb_table_close(struct lmdb_table *table)
{
	if (table != NULL) {
		mdb_env_close(table->env);
		free(table);
	}
}

void lmdb_table_put(struct lmdb_table *table, const struct put_request *request)
{
	MDB_txn *txn = begin(table, 0);
	for (uint32_t i = 0; i < request->rows; i++) {
		uint64_t key;
		memcpy(&key, put_request_key(request, i), sizeof key);
		put_row(table, txn, key, put_request_row(request, i));
	}
	must(mdb_txn_commit(txn), "commit");
}

void lmdb_table_get(struct lmdb_table *table, uint64_t key, uint8_t *row)
{
	MDB_txn *txn = begin(table, MDB_RDONLY);
	MDB_val name = {sizeof key, &key};
	MDB_val value;
	must(mdb_get(txn, table->dbi, &name, &value), "get");
	if (value.mv_size != MEASURE_ROW_BYTES) {
		die("lmdb: a value of %zu bytes", value.mv_size);
	}
	memcpy(row, value.mv_data, MEASURE_ROW_BYTES);
	mdb_txn_abort(txn);
}
