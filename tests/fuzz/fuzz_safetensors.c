/* fuzz_safetensors.c - any bytes as a safetensors file: refused, or tensors that take all of its data,
 * each byte once. */
#include "tools/format/columns.h"
#include "tools/format/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_tensors(const struct safetensors *file, const uint8_t *data, size_t len)
{
	const uint8_t *end = file->count > 0 ? file->tensors[0].data : data + len;
	for (size_t i = 0; i < file->count; i++) {
		const struct safetensor *each = &file->tensors[i];
		uint64_t bytes = each->type->bytes;
		for (uint32_t j = 0; j < each->dims; j++) {
			bytes *= each->shape[j];
		}
		if (each->data != end || bytes != each->bytes || strlen(each->name) == 0 ||
			bytes > (size_t)(data + len - end)) {
			abort();
		}
		end += bytes;
	}
	if (end != data + len) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct safetensors file = {0};
	struct error err;
	if (safetensors_read(data, len, "fuzz.safetensors", &file, &err) == STATUS_OK) {
		check_tensors(&file, data, len);
		safetensors_fini(&file);
	}
	for (int byte_keys = 0; byte_keys <= 1; byte_keys++) {
		struct columns columns = {0};
		columns_read_safetensors(data, len, "fuzz.safetensors", byte_keys != 0, &columns,
			&err);
		columns_close(&columns);
	}
	return 0;
}
