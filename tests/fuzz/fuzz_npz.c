/* fuzz_npz.c - any bytes as an npz file: refused, or columns that can be read to their ends. */
#include "tools/format/columns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A small file may inflate to a gigabyte; more than this tells nothing new. */
enum { READ_BYTES_MAX = 1 << 20, PIECE_BYTES = 5000 };

/* What stands in the file as it is lies within it. */
static void check_place(const struct array *array, uint64_t bytes, const uint8_t *data, size_t len)
{
	const uint8_t *at = array->npy.data;
	if (at != NULL && (at < data || at > data + len || bytes > (size_t)(data + len - at))) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct columns columns = {0};
	struct error err;
	enum status status = columns_read_npz(data, len, "fuzz.npz", &columns, &err);
	for (size_t i = 0; i < COLUMNS && status == STATUS_OK; i++) {
		struct array *array = &columns.arrays[i];
		const uint64_t bytes = array->npy.elements * array->npy.item_bytes;
		check_place(array, bytes, data, len);
		for (uint64_t at = 0; at < bytes && at < READ_BYTES_MAX && status == STATUS_OK;) {
			const size_t some = bytes - at < PIECE_BYTES ? (size_t)(bytes - at)
								     : (size_t)PIECE_BYTES;
			const void *piece = NULL;
			status = array_read(array, at, some, &piece, &err);
			if (status == STATUS_OK && (uintptr_t)piece % 8 != 0) {
				abort();
			}
			at += some;
		}
	}
	columns_close(&columns);
	return 0;
}
