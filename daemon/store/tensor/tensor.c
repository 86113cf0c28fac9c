/* tensor.c - writes, opens and checks the file of a tensor. */
#include "daemon/store/tensor/tensor.h"

#include "daemon/store/base/base_lmdb.h"
#include "daemon/store/base/segment_build.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

struct tensor *tensor_new(const struct tensor_spec *spec, uint64_t number)
{
	struct tensor *tensor = calloc(1, sizeof *tensor);
	if (tensor != NULL) {
		tensor->spec = *spec;
		tensor->number = number;
		tensor->refs = 1;
		lock_init(&tensor->lock);
	}
	return tensor;
}

static void close_file(struct tensor *tensor)
{
	mapfault_forget(tensor->watch);
	lmdb_file_close(tensor->lmdb);
	tensor->watch = NULL;
	tensor->lmdb = NULL;
	tensor->data = NULL;
}

void tensor_drop(struct tensor *tensor)
{
	if (tensor == NULL) {
		return;
	}
	assert(tensor->refs > 0);
	if (--tensor->refs > 0) {
		return;
	}
	close_file(tensor);
	base_file_info_fini(&tensor->file);
	lock_fini(&tensor->lock);
	free(tensor);
}

void tensor_file_name(char *out, size_t size, uint64_t number)
{
	(void)snprintf(out, size, "tensor-%" PRIu64 ".mdb", number);
}

static enum status path_of(const struct tensor *tensor, const char *folder, char *path,
	struct error *err)
{
	char name[64];
	tensor_file_name(name, sizeof name, tensor->number);
	return file_path(path, folder, name, err);
}

/* ---- open ---- */

/* Reads all pages at once, in order; base_segment_wait says why. */
static void read_in(const uint8_t *data, size_t len)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	const size_t before = (uintptr_t)data & mask;
	(void)madvise((void *)(data - before), before + len, MADV_WILLNEED);
}

static enum status map_data(struct tensor *tensor, const char *path, struct error *err)
{
	const struct base_segment_info *info = tensor->file.segments;
	struct lmdb_value value;
	assert(tensor->file.segment_count ==
		1); /* record_read_tensor or tensor_create has seen to it */
	assert(tensor->lmdb == NULL);
	enum status status = base_file_check(path, &tensor->file, err);
	if (status == STATUS_OK) {
		status = lmdb_file_open(path, &tensor->lmdb, err);
	}
	if (status == STATUS_OK) {
		status = lmdb_file_get(tensor->lmdb, 0, &value, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (info->bytes != tensor_bytes(&tensor->spec) ||
		value.len < info->bytes + BASE_VALUE_PADDING ||
		value.offset + BASE_VALUE_PADDING != info->offset) {
		return error_set(err, STATUS_CORRUPT, "'%s': its data is not where it was", path);
	}
	tensor->data = value.data + BASE_VALUE_PADDING;
	return mapfault_watch(tensor->data, info->bytes, &tensor->state, TENSOR_DAMAGED,
		&tensor->watch);
}

/* Opens and checks the file. A damaged one is marked as such for good. */
static enum status open_file(struct tensor *tensor, const char *folder, struct error *err)
{
	char path[PATH_MAX];
	assert(atomic_load(&tensor->state) == TENSOR_CLOSED);
	enum status status = path_of(tensor, folder, path, err);
	if (status == STATUS_OK) {
		status = map_data(tensor, path, err);
	}
	if (status == STATUS_NO_MEMORY) {
		close_file(tensor);
		return status;
	}
	if (status == STATUS_OK) {
		const struct base_segment_info *info = tensor->file.segments;
		read_in(tensor->data, info->bytes);
		unsigned char closed = TENSOR_CLOSED;
		if (XXH3_64bits(tensor->data, info->bytes) != info->hash ||
			!atomic_compare_exchange_strong(&tensor->state, &closed, TENSOR_READY)) {
			status = error_set(err, STATUS_CORRUPT, "'%s': its data is damaged", path);
		}
	}
	if (status != STATUS_OK) {
		atomic_store(&tensor->state, TENSOR_DAMAGED);
	}
	return status == STATUS_OK ? status : STATUS_CORRUPT;
}

enum status tensor_use(struct tensor *tensor, const char *folder, bool may_block, struct error *err)
{
	unsigned char state = atomic_load_explicit(&tensor->state, memory_order_acquire);
	if (state == TENSOR_CLOSED) {
		if (!may_block) {
			return STATUS_AGAIN;
		}
		lock_take(&tensor->lock);
		enum status status = STATUS_OK;
		if (atomic_load(&tensor->state) == TENSOR_CLOSED) {
			status = open_file(tensor, folder, err);
		}
		lock_release(&tensor->lock);
		if (status == STATUS_NO_MEMORY) {
			return error_set(err, status,
				"tensor '%s': no memory, or too many open files",
				tensor->spec.name.text);
		}
		state = atomic_load(&tensor->state);
	}
	/* Only a tensor that was opened is READY. */
	assert(state != TENSOR_READY || tensor->data != NULL);
	/* Where a file was cut within a page, the rest of that page reads as zeros, and no signal
	 * comes. */
	if (state == TENSOR_READY && lmdb_file_size(tensor->lmdb) < tensor->file.bytes) {
		atomic_store(&tensor->state, TENSOR_DAMAGED);
		state = TENSOR_DAMAGED;
	}
	return state == TENSOR_READY
		       ? STATUS_OK
		       : error_set(err, STATUS_CORRUPT, "tensor '%s': its file is damaged",
				 tensor->spec.name.text);
}

/* ---- write ---- */

static enum status write_file(struct tensor *tensor, const char *path, const uint8_t *data,
	struct error *err)
{
	const struct segment_plan plan = {.bytes = tensor_bytes(&tensor->spec)};
	struct base_writer *writer = NULL;
	uint8_t *space = NULL;
	assert(plan.bytes > 0);
	assert(plan.bytes <= LIMIT_TENSOR_BYTES);
	enum status status = base_writer_open(path, plan.bytes, &writer, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = base_writer_begin(writer, plan.bytes, &space, err);
	if (status == STATUS_OK) {
		memcpy(space, data, plan.bytes);
		status = base_writer_commit(writer, &plan, err);
	}
	if (status != STATUS_OK) {
		base_writer_abort(writer);
		return status;
	}
	return base_writer_finish(writer, &tensor->file, err);
}

enum status tensor_create(struct tensor *tensor, const char *folder, const uint8_t *data,
	struct error *err)
{
	char path[PATH_MAX];
	enum status status = path_of(tensor, folder, path, err);
	if (status == STATUS_OK) {
		status = write_file(tensor, path, data, err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(tensor->file.segment_count == 1);
	tensor->file.number = tensor->number;
	status = open_file(tensor, folder, err);
	if (status != STATUS_OK) {
		(void)file_remove(path);
	}
	return status;
}
