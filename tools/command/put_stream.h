/* put_stream.h - puts a source's rows into a sealed release, several puts under way at once.
 *
 * A put that is refused as BUSY is sent again after a pause, together with the puts that
 * were under way behind it. So rows take effect in the order of the source, and if a key
 * is given twice, the last row wins. Any other error ends the stream.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_PUT_STREAM_H
#define TOOLS_COMMAND_PUT_STREAM_H

#include "repstore.h"

#include <stdbool.h>
#include <stdint.h>

struct source;

/* Everything is borrowed. */
struct put_stream {
	rep_client *client;  /* with no write under way */
	const char *release; /* an id, since another release may become live meanwhile */
	const char *table;
	const struct rep_table_spec *spec; /* of the table */
	struct source *source;             /* hands out at most put_stream_rows() at a time */
	bool if_newer;                     /* rows are written only over older ones */
	unsigned busy_ms;                  /* when no put was taken for so long, BUSY is an error */
};

struct put_outcome {
	uint64_t rows;    /* acknowledged: the first so many of the source */
	uint64_t applied; /* how many of them were written: all, unless if_newer */
	uint64_t puts;
	uint64_t sequence; /* of the last one */
	bool input_wrong;  /* the source is wrong at a place; all rows before it were put */
};

/* How many rows a put has: about 1 MiB in any dtype that the table takes. */
uint32_t put_stream_rows(const struct rep_table_spec *spec);

/* Puts all rows. out: filled whatever this returns. Errors: those of the source, of rep_put_send
 * and of rep_write_receive. */
enum rep_status put_stream_run(const struct put_stream *stream, struct put_outcome *out,
	struct rep_error *err);

#endif
