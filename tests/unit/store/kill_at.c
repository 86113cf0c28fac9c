/* kill_at.c - stands before and behind the calls that change the disk. */
#include "tests/unit/store/kill_at.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

struct MDB_txn;
struct MDB_val;

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_mdb_put(struct MDB_txn *txn, unsigned table, struct MDB_val *key, struct MDB_val *value,
	unsigned flags);
int __real_mdb_txn_commit(struct MDB_txn *txn);

int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_mdb_put(struct MDB_txn *txn, unsigned table, struct MDB_val *key, struct MDB_val *value,
	unsigned flags);
int __wrap_mdb_txn_commit(struct MDB_txn *txn);

static atomic_uint left; /* moments until the end; 0: there is none */

void kill_at(unsigned n)
{
	atomic_store(&left, n);
}

static void moment(void)
{
	unsigned now = atomic_load(&left);
	while (now > 0 && !atomic_compare_exchange_weak(&left, &now, now - 1)) {
	}
	if (now == 1) {
		(void)kill(getpid(), SIGKILL);
	}
}

int __wrap_fsync(int fd)
{
	moment();
	const int result = __real_fsync(fd);
	moment();
	return result;
}

int __wrap_fdatasync(int fd)
{
	moment();
	const int result = __real_fdatasync(fd);
	moment();
	return result;
}

int __wrap_rename(const char *from, const char *to)
{
	moment();
	const int result = __real_rename(from, to);
	moment();
	return result;
}

int __wrap_unlink(const char *path)
{
	moment();
	const int result = __real_unlink(path);
	moment();
	return result;
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	moment();
	const int result = __real_unlinkat(dir, path, flags);
	moment();
	return result;
}

int __wrap_mdb_put(struct MDB_txn *txn, unsigned table, struct MDB_val *key, struct MDB_val *value,
	unsigned flags)
{
	moment();
	return __real_mdb_put(txn, table, key, value, flags);
}

int __wrap_mdb_txn_commit(struct MDB_txn *txn)
{
	moment();
	const int result = __real_mdb_txn_commit(txn);
	moment();
	return result;
}
