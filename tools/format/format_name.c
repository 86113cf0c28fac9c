/* format_name.c - names and endings of file formats. */
#include "tools/format/format_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool ends_in(const char *path, const char *ending)
{
	size_t path_len = strlen(path);
	size_t ending_len = strlen(ending);
	return path_len > ending_len && strcmp(path + path_len - ending_len, ending) == 0;
}

enum format format_find(const char *name, const char *path)
{
	if (name != NULL) {
		if (strcmp(name, "msgpack") == 0) {
			return FORMAT_MSGPACK;
		}
		return strcmp(name, "jsonl") == 0 ? FORMAT_JSONL : FORMAT_NONE;
	}
	if (ends_in(path, ".msgpack")) {
		return FORMAT_MSGPACK;
	}
	return ends_in(path, ".jsonl") ? FORMAT_JSONL : FORMAT_NONE;
}
