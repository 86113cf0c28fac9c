/* load_name.c - makes a name from a hash of what the import reads and writes. */
#include "tools/command/load_name.h"

#include "schema/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Writes what tells this file from another one, and from itself after it was written again. */
static bool describe_file(FILE *out, const char *path)
{
	struct stat info;
	if (path == NULL) {
		return true;
	}
	char *whole = realpath(path, NULL);
	if (whole == NULL || stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
		free(whole);
		return false;
	}
	fprintf(out, "%s %jd %jd.%09ld\n", whole, (intmax_t)info.st_size,
		(intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
	free(whole);
	return true;
}

bool load_name_make(const struct place *place, const struct source_options *source,
	enum format format, char *name)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (out == NULL) {
		return false;
	}
	const char *const files[] = {source->path, source->keys, source->rows, source->times,
		source->scales, source->tags, source->weights};
	fprintf(out, "2 %s/%s %d %u %d %d\n", place->release, place->table, (int)format,
		source->chunk_rows, source->allow_nonfinite, (int)source->time.unit);
	bool same = true;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		same = describe_file(out, files[i]) && same;
	}
	uint64_t number = 0;
	bool named = fclose(out) == 0;
	if (named && same) {
		number = key_hash_bytes(text, len);
	} else if (named) {
		named = getrandom(&number, sizeof number, 0) == (ssize_t)sizeof number;
	}
	free(text);
	snprintf(name, LOAD_NAME_BYTES, "import-%016" PRIx64, number);
	return named;
}
