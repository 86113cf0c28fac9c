/* fuzz_npy.c - any bytes as a NumPy file: refused, or an array that fits into them. */
#include "tools/format/npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct npy npy = {0};
	struct error err;
	if (npy_read(data, len, "fuzz.npy", &npy, &err) != STATUS_OK) {
		return 0;
	}
	if (npy.header_bytes > len || npy.data != data + npy.header_bytes ||
		npy.elements != (len - npy.header_bytes) / npy.item_bytes ||
		(len - npy.header_bytes) % npy.item_bytes != 0) {
		abort();
	}
	return 0;
}
