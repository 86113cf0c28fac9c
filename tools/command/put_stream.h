/* put_stream.h - a source's rows into a sealed release, as puts, several under way at once.
 *
 * A put that is refused as BUSY is sent again after a pause, and with it those that were
 * under way behind it: rows take effect in the order of the source, and of a key given
 * twice the last wins. Any other error ends the stream.
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
	const char *release; /* an id: another release may become the live one meanwhile */
	const char *table;
	const struct rep_table_spec *spec; /* of the table */
	struct source *source;             /* hands out at most put_stream_rows() at a time */
	bool if_newer;                     /* only rows that are newer than what is there */
	unsigned busy_ms; /* how long no put may get through before BUSY is an error */
};

struct put_outcome {
	uint64_t rows;    /* acknowledged, and none before them is missing */
	uint64_t applied; /* of them: all, unless if_newer */
	uint64_t puts;
	uint64_t sequence; /* of the last one */
	bool input_wrong;  /* the source is no good; all rows before that place are put */
};

/* Rows of a put of about 1 MiB, in any dtype that the table takes. */
uint32_t put_stream_rows(const struct rep_table_spec *spec);

/* Puts all rows. out: filled whatever it returns. Errors: those of the source, those of
 * rep_put_send and rep_write_receive. */
enum rep_status put_stream_run(const struct put_stream *stream, struct put_outcome *out,
	struct rep_error *err);

#endif
