/* fuzz_manifest.c - any bytes as a manifest: refused, or names that lead nowhere else. */
#include "daemon/store/backup/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The checksum is what a fuzzer does not find, so the last line is written here. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct manifest manifest;
	char *text = malloc(len + 64);
	if (text == NULL) {
		return 0;
	}
	memcpy(text, data, len);
	const int end = snprintf(text + len, 64, "end %016llx\n",
		(unsigned long long)XXH3_64bits(data, len));
	if (manifest_parse(text, len + (size_t)end, &manifest, NULL) == STATUS_OK) {
		for (size_t i = 0; i < manifest.count; i++) {
			const char *name = manifest.files[i].name;
			if (name[0] == '/' || strstr(name, "..") == name ||
				strstr(name, "/../") != NULL || strlen(name) > 255 ||
				manifest_find(&manifest, name) != &manifest.files[i]) {
				abort();
			}
		}
		manifest_fini(&manifest);
	}
	free(text);
	return 0;
}
