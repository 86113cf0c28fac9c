/* format_name.h - which file format the arguments of import and dump mean.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_FORMAT_NAME_H
#define TOOLS_FORMAT_FORMAT_NAME_H

/* The numbers are part of what names a load, so they stay. */
enum format {
	FORMAT_NONE = 0,
	FORMAT_NPY, /* one file a column */
	FORMAT_MSGPACK,
	FORMAT_JSONL,
	FORMAT_NPZ,
	FORMAT_SAFETENSORS,
};
/* Those of one file, for a message about another one. */
#define FORMAT_NAMES "npz, safetensors, msgpack or jsonl"

/* Finds the format by `name` ("npz"), or if that is NULL by the ending of `path`.
 * FORMAT_NONE: unknown. */
enum format format_find(const char *name, const char *path);

#endif
