/* formats.h - the formats that this daemon writes, and reads.
 *
 * Threads: any; nothing here changes.
 */
#ifndef DAEMON_STORE_FORMATS_H
#define DAEMON_STORE_FORMATS_H

#include <stddef.h>

struct store_format {
	const char *name;
	unsigned version;
};

/* In the order of schema/DISK.md, which describes them. */
extern const struct store_format store_formats[];
extern const size_t store_formats_count;

#endif
