/* format_name.h - which file format the arguments of import and dump mean.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_FORMAT_NAME_H
#define TOOLS_FORMAT_FORMAT_NAME_H

enum format { FORMAT_NONE = 0, FORMAT_NPY, FORMAT_MSGPACK, FORMAT_JSONL };

/* Finds the format by `name` ("msgpack", "jsonl"), or if that is NULL by the ending of `path`.
 * FORMAT_NONE: unknown. */
enum format format_find(const char *name, const char *path);

#endif
