/* load_name.c - makes a name from a hash of what the import reads and where to. */
#include "tools/command/load_name.h"

#include "schema/checksum.h"
#include "tools/format/buffer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Hashes a whole file. False: it is none that could be read again, but a pipe. */
static bool hash_file(const char *path, uint64_t *out)
{
	struct mapping mapping = {0};
	if (path == NULL || strcmp(path, "-") == 0 ||
		mapping_open(path, &mapping, NULL) != STATUS_OK) {
		return false;
	}
	*out = checksum(mapping.data != NULL ? (const void *)mapping.data : "", mapping.len);
	mapping_close(&mapping);
	return true;
}

bool load_name_make(const struct place *place, const struct source_options *options,
	enum format format, uint64_t content, struct load_name *out)
{
	char text[512];
	out->again = content != 0 || hash_file(options->path, &content);
	const int len = snprintf(text, sizeof text, "3 %s/%s %d %u %d %d %016" PRIx64,
		place->release, place->table, (int)format, options->chunk_rows,
		options->allow_nonfinite, (int)options->time.unit, content);
	uint64_t number = checksum(text, (size_t)len);
	if (!out->again && getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
		return false;
	}
	snprintf(out->text, sizeof out->text, "import-%016" PRIx64, number);
	return true;
}
