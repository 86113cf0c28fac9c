/* format_name.h - which file format the arguments of import and dump mean.
 *
 * Threads: any; there is no state.
 */
#ifndef TOOLS_FORMAT_NAME_H
#define TOOLS_FORMAT_NAME_H

enum format { FORMAT_NONE = 0, FORMAT_NPY, FORMAT_MSGPACK, FORMAT_JSONL };

/* By its name ("msgpack", "jsonl"), else by the path's ending. FORMAT_NONE: unknown. */
enum format format_find(const char *name, const char *path);

#endif
