/* tensor.h - a tensor of a release: an immutable LMDB file with one value.
 *
 * tensor_create writes and syncs the file; then the catalog names it. It is opened when it is first
 * used: its size, the bytes outside the data, and the data are compared with what the catalog says.
 * From then on it stays mapped read-only.
 *
 * Threads: any may call tensor_use and what follows it, in a snapshot that holds the tensor. For
 * the rest snapshot.h says it.
 */
#ifndef DAEMON_STORE_TENSOR_TENSOR_H
#define DAEMON_STORE_TENSOR_TENSOR_H

#include "daemon/store/base/base.h"
#include "daemon/store/system/lock.h"
#include "schema/status.h"
#include "schema/tensor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lmdb_file;
struct mapfault;
struct release;
struct store;

enum tensor_state {
	TENSOR_CLOSED = 0,  /* nobody has used it since the start */
	TENSOR_READY = 1,   /* mapped, and checked */
	TENSOR_DAMAGED = 2, /* for good */
};

struct tensor {
	struct tensor_spec spec;
	uint64_t number;            /* never used again within the release */
	struct base_file_info file; /* owned; its one segment is the data */
	const uint8_t *data;    /* tensor_bytes(&spec), aligned to 64, while the state is READY */
	struct lmdb_file *lmdb; /* owned */
	struct mapfault *watch; /* owned */
	struct lock lock;       /* of who opens it */
	_Atomic unsigned char state; /* enum tensor_state; it never goes back */
	unsigned refs;               /* releases that hold it; guarded by the admin lock */
};

/* A tensor that has no file yet. NULL: no memory. */
struct tensor *tensor_new(const struct tensor_spec *spec, uint64_t number);
void tensor_drop(struct tensor *tensor); /* NULL is fine */

/* Writes the name of a tensor's file: tensor-<number>.mdb */
void tensor_file_name(char *out, size_t size, uint64_t number);

/* Writes and syncs the file in `folder`, and reads it back. A leftover of that name is replaced.
 * The folder is not synced. After a failure no file is left. Errors: DISK_FULL, IO, CORRUPT,
 * NO_MEMORY. */
enum status tensor_create(struct tensor *tensor, const char *folder, const uint8_t *data,
	struct error *err);

/* Makes tensor->data readable. Errors: CORRUPT; AGAIN  it is closed and `may_block` is false;
 * NO_MEMORY  also when too many files are open. */
enum status tensor_use(struct tensor *tensor, const char *folder, bool may_block,
	struct error *err);

/* To be asked after the data was read. False: some of it could not be read, and what was read is
 * garbage. */
static inline bool tensor_is_sound(const struct tensor *tensor)
{
	return atomic_load_explicit(&tensor->state, memory_order_acquire) == TENSOR_READY;
}

#endif
