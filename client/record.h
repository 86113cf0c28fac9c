/* record.h - releases, tables and tensors as the daemon describes them.
 *
 * Threads: one at a time.
 */
#ifndef CLIENT_RECORD_H
#define CLIENT_RECORD_H

#include "client/client.h"

/* Reads one description; `out` is of the type that the function's name says. */
typedef enum status record_read(struct wire_value map, void *out, struct error *err);

record_read record_read_release; /* struct rep_release */
record_read record_read_table;   /* struct rep_table */
record_read record_read_tensor;  /* struct rep_tensor */

enum { RECORD_RELEASE_BYTES = 72 };

/* Begins table.show. */
void record_begin_table(rep_client *client, const char *release, const char *table);

/* Calls it. resolved: out, char[RECORD_RELEASE_BYTES], the release's id; may
 * be NULL. */
enum status record_show_table(rep_client *client, const char *release, const char *table,
	struct rep_table *out, char *resolved, struct error *err);

#endif
