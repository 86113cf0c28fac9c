/* repstore_local.h - the embedded reader: a data folder of repstored, read in this process.
 *
 * It comes with repstore.h, whose words on memory, errors and growth are its own too, and in a library of its own,
 * librepstore-local (pkg-config librepstore-local), which needs LMDB. A reader opens the folder beside a daemon, or
 * where none runs, and serves the calls of repstore.h that read: no socket, no hop. It takes no lock, makes no file,
 * and needs to be allowed to read the folder and its files, and nothing else. It follows what the daemon publishes,
 * rolls back and writes. Where tables are searched, a thread of a low priority makes images of the rows that wait for a
 * merge, as the daemon has them, so that searches need not go through all of these.
 *
 *     struct rep_local_options options = {.folder = "/var/lib/repstore"};
 *     rep_local *local = NULL;
 *     rep_client *client = NULL;
 *     if (rep_open_local(&options, &local, &err) != REP_OK || rep_local_client(local, &client, &err) != REP_OK)
 *             errx(1, "%s", err.text);
 *     rep_fetch(client, NULL, &part, 1, &fetched, &err)  ...as over a socket
 *     rep_close(client);
 *     rep_close_local(local);
 *
 * Threads: all threads of a process share a reader. A client of it is a cheap handle, used by one thread at a time.
 */
#ifndef CLIENT_INCLUDE_REPSTORE_LOCAL_H
#define CLIENT_INCLUDE_REPSTORE_LOCAL_H

#include "repstore.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rep_local rep_local;

enum rep_follow {
	REP_FOLLOW_WRITES = 0,  /* a fetch sees each write soon after it was acknowledged */
	REP_FOLLOW_RELEASES = 1 /* only what is merged: less memory, and as old as the last merge */
};

struct rep_local_options {
	const char *folder; /* the daemon's `data`; its owner must be one whom you trust */
	enum rep_follow follow;
	/* Bytes of rows that wait for a merge, and of the images of them; 0: 1 GiB. */
	uint64_t memory_max;
	/* How long opening may take, with all that is in the log; 0: 30,000. */
	unsigned open_timeout_ms;
	/* Calls fail with REP_BUSY where what they would show may be older than this, which counts with has_max_lag. */
	unsigned max_lag_ms;
	bool has_max_lag;
	/* A file that is cut while it is mapped ends the process, by SIGBUS. With this the process gets a handler of
	 * that signal which makes it REP_CORRUPT, and passes on what is not of the reader's files. */
	bool handle_sigbus;
	/* Of the daemon, as in struct rep_options; the files of TLS are those that the environment names. It is told that
	 * this process reads its folder, and counts it (`local_readers`). One that is not there, or refuses, is looked for
	 * again; opening and reading wait for none, and closing for a second at most, or for a resolver of names. NULL: none
	 * is told. After a fork the child tells none; while it lives, the connection of a parent that has ended may count. */
	const char *address;
	/* Asked by a call that takes long, in its thread, each quarter of a second: true ends it with REP_CLOSED, and the
	 * client is as it was before. Opening asks, too: at its beginning, and between tables, writes and indexes. It must neither
	 * call nor close a reader. NULL: none. */
	bool (*interrupted)(void *context);
	void *interrupted_context;
	uint64_t reserved[5];
};

/* Opens a folder, and returns when all is applied that is visible by now. Errors: NOT_FOUND  no folder, or none of
 * repstored; IO  it may not be read, or others may write to it; UNSUPPORTED  it is of a later version, or max_lag_ms is given and
 * no daemon ever said how fresh it is; TIMEOUT  the text says how far it came; CLOSED  interrupted; CORRUPT, NO_MEMORY,
 * BAD_REQUEST. */
REP_API enum rep_status rep_open_local(const struct rep_local_options *options, rep_local **out,
	struct rep_error *err);
/* Its memory and its files go when its clients are closed, too. NULL is fine. */
REP_API void rep_close_local(rep_local *local);

/* A client that asks this reader; rep_close closes it. It takes rep_ping, rep_fetch, rep_fetch_send, rep_fetch_receive,
 * rep_scan_next, rep_retrieve, rep_score, rep_release_list, rep_release_show, rep_table_list, rep_table_show,
 * rep_table_default, rep_tensor_list and rep_tensor_get; any other call is REP_UNSUPPORTED, by its name. A fetch of a
 * pipeline is done when it is received. */
REP_API enum rep_status rep_local_client(rep_local *local, rep_client **out, struct rep_error *err);

/* Later calls of this client wait, within their time-outs, until the write of this sequence is applied
 * (rep_written.sequence, of a put over a socket): then they show it. A client of a socket shows it anyway. */
REP_API void rep_set_min_sequence(rep_client *client, uint64_t sequence);

/* What a reader has done since it was opened. */
struct rep_local_stats {
	uint64_t sequence; /* of the newest write that is applied */
	uint64_t lag_ms;   /* as of struct rep_fetched */
	bool is_alive;     /* a daemon writes to the folder */
	bool is_full; /* memory_max is reached: writes are not followed until a merge, or until images go */
	uint64_t frames; /* of the log, that were applied */
	uint64_t log_bytes;
	uint64_t rows;         /* that wait for a merge, in memory */
	uint64_t memory_bytes; /* of them, and of images of them */
	uint64_t snapshots;    /* how often what is published was read anew */
	uint64_t replays;      /* how often the log was read from its beginning */
	uint64_t retries;      /* how often a file had been superseded before it was opened */
	/* Keys of fetches, by result. */
	uint64_t found;
	uint64_t absent;
	uint64_t expired;
	uint64_t too_old;
	uint64_t corrupt;
	uint64_t defaulted;
	uint64_t images; /* of rows that wait for a merge: how many were made, for searches */
	uint64_t reserved[15];
};
REP_API void rep_local_stats(const rep_local *local, struct rep_local_stats *out);

enum { REP_LOCAL_TIMES = 20 };

/* The calls of one method, as the protocol names it: "fetch". */
struct rep_local_method {
	const char *name; /* for ever */
	uint64_t calls;
	uint64_t errors; /* of these */
	uint64_t ns;     /* that all of them took together */
	/* How many took at most 1 us, more than that and at most 2, then 5, 10, 20, 50 and so on up to 1 s, and longer. */
	uint64_t times[REP_LOCAL_TIMES];
	uint64_t reserved[8];
};
/* Those that were called. out: malloc'ed array; free() it. Errors: NO_MEMORY. */
REP_API enum rep_status rep_local_methods(const rep_local *local, struct rep_local_method **out,
	size_t *count, struct rep_error *err);

/* The keys of fetches in tables of one name, by result, whichever release they were in. They go with the last release that has such
 * a table. */
struct rep_local_table {
	char name[136]; /* NUL-terminated */
	uint64_t found;
	uint64_t absent;
	uint64_t expired;
	uint64_t too_old;
	uint64_t corrupt;
	uint64_t defaulted;
	uint64_t reserved[8];
};
/* Those that were asked. out: malloc'ed array; free() it. Errors: NO_MEMORY. */
REP_API enum rep_status rep_local_tables(const rep_local *local, struct rep_local_table **out,
	size_t *count, struct rep_error *err);

#ifdef __cplusplus
}
#endif

#endif
