/* local.h - a data folder that is read in the caller's own process, without a socket.
 *
 * It answers the requests that a daemon would get over its socket, by the same methods, from the files: so the answers
 * are the same, byte for byte, and so are the errors. A daemon may run beside it and write. It is not needed, and
 * notices nothing: no file is made, changed or locked, and read permission suffices. catalog.mdb is never opened.
 *
 * What was written is read from the log, up to where DATA/visible says that it is acknowledged, and kept in memtables
 * of this process. A thread follows both, another one checks the files in the background, and a third one makes images of
 * what is in the memtables, for searches: of tables that were searched within the last minute.
 *
 *     local_open             reads the folder, and returns when all that is visible is there
 *     local_handle_open      one for each thread that calls
 *     local_call             a whole request in, a whole answer out
 *
 * After a fork the child reads the folder anew with its first call.
 *
 * Threads: a struct local is shared by all, a handle is used by one at a time. The threads of the caller register
 * nowhere.
 */
#ifndef DAEMON_LOCAL_LOCAL_H
#define DAEMON_LOCAL_LOCAL_H

#include "schema/name.h"
#include "schema/status.h"
#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local;
struct local_handle;

enum local_follow {
	LOCAL_FOLLOW_WRITES, /* publishes, merges and writes */
	LOCAL_FOLLOW_RELEASES, /* no writes: all is as of the last merge of its table, and takes no memory for them */
};

struct local_options {
	const char *folder;
	enum local_follow follow;
	/* Of the memtables with their images: beyond it writes are not followed until a merge, or until images go; 0: no bound. */
	uint64_t memory_max;
	unsigned open_timeout_ms; /* of local_open, with all that is in the log; 0: 30,000 */
	bool has_max_lag; /* a call fails, BUSY, if what it would see is older than the next */
	unsigned max_lag_ms;
	/* Asked four times a second by a call that takes long, and by local_open, in its thread: true ends it, with CLOSED.
	 * NULL: none. */
	bool (*interrupted)(void *context);
	void *interrupted_context;
	bool handle_sigbus; /* a file that is cut while it is mapped is damage, and not the end of the process */
};

/* Errors: NOT_FOUND  no folder, or none of repstore; IO  it may not be read, or not be trusted; UNSUPPORTED  a newer
 * format; CORRUPT; TIMEOUT; CLOSED  interrupted; NO_MEMORY. */
enum status local_open(const struct local_options *options, struct local **out, struct error *err);
void local_close(struct local *local); /* after all its handles; NULL is fine */

enum status local_handle_open(struct local *local, struct local_handle **out, struct error *err);
void local_handle_close(struct local_handle *handle); /* NULL is fine */

/* Runs one request.
 *   request     a whole message
 *   timeout_ms  how long it may take, unless its params say so themselves; 0: any time
 *   response    the whole answer, in the handle's memory until its next call; an error that the daemon would answer
 *               is in it, too. Empty for a notification.
 * Errors: PROTOCOL  it is no message that could be answered; NO_MEMORY; after a fork those of local_open. */
enum status local_call(struct local_handle *handle, const uint8_t *request, size_t len,
	unsigned timeout_ms, struct wire_bytes *response, struct error *err);

/* From now on reads of this handle wait until a write is applied, by its sequence, within their time. */
void local_set_min_sequence(struct local_handle *handle, uint64_t sequence);

/* How far behind the last call of a handle was. */
enum { LOCAL_LAG_UNKNOWN = -1 };
struct local_lag {
	uint64_t sequence; /* the newest write that it could see */
	int64_t lag_ms; /* it saw all that was acknowledged so long ago; LOCAL_LAG_UNKNOWN: no daemon says how far */
};
void local_last_lag(const struct local_handle *handle, struct local_lag *out);

struct local_stats {
	uint64_t sequence;     /* the newest write that is applied */
	int64_t lag_ms;        /* as in struct local_lag */
	bool is_alive;         /* a daemon writes to the folder */
	bool is_full;          /* memory_max is reached */
	uint64_t frames;       /* applied since the beginning */
	uint64_t log_bytes;    /* of them */
	uint64_t rows;         /* in memtables */
	uint64_t memory_bytes; /* of memtables, with their images */
	uint64_t images;       /* made since the beginning */
	uint64_t snapshots;    /* read from DATA/current */
	uint64_t replays;      /* how often the log was read anew */
	uint64_t retries;      /* how often a file that DATA/current named had gone meanwhile */
	uint64_t keys[6];      /* by result: found, absent, expired, too old, corrupt, defaulted */
};
void local_stats(const struct local *local, struct local_stats *out);

/* Of calls, by method: those that were called. */
enum {
	LOCAL_METHODS = 14,
	LOCAL_TIMES = 20,
	LOCAL_TIMES_NS = 1000, /* the unit of times: 1 us to 1 s */
};
struct local_method_stats {
	const char *name;
	uint64_t calls;
	uint64_t errors;             /* of these */
	uint64_t ns;                 /* from requests to their answers, all together */
	uint64_t times[LOCAL_TIMES]; /* the same by the bounds of histogram.h, in LOCAL_TIMES_NS */
};
size_t local_method_stats(const struct local *local, struct local_method_stats out[LOCAL_METHODS]);

/* Of keys, by table: tables of one name in any release, if some key was looked up. */
struct local_table_stats {
	struct table_name name;
	uint64_t keys[6]; /* as above */
};
/* out: malloc'ed. Errors: NO_MEMORY. */
enum status local_table_stats(const struct local *local, struct local_table_stats **out,
	size_t *count);

#endif
