/* format_name.c - names and endings of file formats. */
#include "tools/format/format_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name; /* its ending, too */
	enum format format;
} formats[] = {
	{"msgpack", FORMAT_MSGPACK},
	{"jsonl", FORMAT_JSONL},
	{"npz", FORMAT_NPZ},
	{"safetensors", FORMAT_SAFETENSORS},
};

static bool ends_in(const char *path, const char *ending)
{
	size_t path_len = strlen(path);
	size_t ending_len = strlen(ending);
	return path_len > ending_len + 1 && strcmp(path + path_len - ending_len, ending) == 0 &&
	       path[path_len - ending_len - 1] == '.';
}

enum format format_find(const char *name, const char *path)
{
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		if (name != NULL ? strcmp(name, formats[i].name) == 0
				 : ends_in(path, formats[i].name)) {
			return formats[i].format;
		}
	}
	return FORMAT_NONE;
}
