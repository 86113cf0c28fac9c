/* fuzz_current.c - any bytes as the body of `current`: refused, or a snapshot that is one.
 *
 * An exported release is described by such a file, which may come from anybody. */
#include "daemon/store/catalog/current.h"

#include "daemon/store/catalog/record.h"
#include "daemon/store/system/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const uint8_t magic[8] = {'r', 'e', 'p', 's', 't', 'c', 'u', 'r'};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The head and the checksum are what a fuzzer does not find, so they are written here. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum { HEAD_BYTES = 24, HASH_BYTES = 8 };
	uint8_t *file = calloc(1, HEAD_BYTES + len + HASH_BYTES);
	struct snapshot *snapshot = NULL;
	if (file == NULL) {
		return 0;
	}
	memcpy(file, magic, sizeof magic);
	bytes_put_u32(file + 8, CURRENT_VERSION);
	bytes_put_u32(file + 12, CURRENT_READABLE_FROM);
	bytes_put_u32(file + 16, (uint32_t)len);
	memcpy(file + HEAD_BYTES, data, len);
	const uint64_t hash = XXH3_64bits(file, HEAD_BYTES + len);
	memcpy(file + HEAD_BYTES + len, &hash, HASH_BYTES);
	if (current_parse(file, HEAD_BYTES + len + HASH_BYTES, &snapshot, NULL) == STATUS_OK) {
		if (snapshot->live != NULL &&
			snapshot_find(snapshot, snapshot->live->number) != snapshot->live) {
			abort();
		}
		snapshot_drop(snapshot);
	}
	free(file);
	return 0;
}
