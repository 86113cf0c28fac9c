/* service.h - what methods use: the store, and the figures of the process.
 *
 * main makes one for the process and hands it down. Methods change only the counters of it.
 *
 * Threads: the counters are atomic, and most are kept by thread; the rest is constant while methods
 * run.
 */
#ifndef DAEMON_METHOD_CALL_SERVICE_H
#define DAEMON_METHOD_CALL_SERVICE_H

#include "daemon/store/read/lookup.h"
#include "daemon/store/system/slot.h"

#include <stdatomic.h>
#include <stdint.h>

struct access;
struct error;
struct served;
struct slow_log;
struct stop;
struct wire_writer;

/* What methods count, for the threads of one slot. Figures of two slots share no line of the cache. */
struct service_slot {
	_Atomic uint64_t fetch_counts[WHY_COUNT];
	struct histogram fetch_keys;        /* of a request; in keys */
	struct histogram fetch_reply_bytes; /* in SERVICE_REPLY_BYTES */
	struct histogram compared_rows;     /* of a retrieve; in SERVICE_COMPARED_ROWS */
	_Atomic uint64_t retrieves_exact;
	_Atomic uint64_t retrieves_approximate;
	uint8_t apart[SLOT_LINE_BYTES];
};

enum {
	SERVICE_REPLY_BYTES = 100,  /* 100 bytes to 100 MB */
	SERVICE_COMPARED_ROWS = 10, /* 10 to 10M rows */
};

/* The figures of all slots together. */
struct service_figures {
	uint64_t fetch_counts[WHY_COUNT];
	struct histogram_figures fetch_keys;
	struct histogram_figures fetch_reply_bytes;
	struct histogram_figures compared_rows;
	uint64_t retrieves_exact;
	uint64_t retrieves_approximate;
	struct histogram_figures seal_times; /* in HISTOGRAM_LONG_NS */
};

/* How the settings were read anew since the start. */
struct config_figures {
	_Atomic uint64_t reloads; /* that succeeded */
	_Atomic uint64_t failed;
	_Atomic int64_t success_ms; /* wall clock: when the settings that hold were read */
	atomic_bool is_good;        /* the last try succeeded */
};

struct service {
	struct store *store;   /* borrowed */
	struct access *access; /* borrowed */
	const char *version;
	int64_t started_ms; /* monotonic clock */
	unsigned workers;
	unsigned pool;
	atomic_uint request_keys;    /* of one request, at most */
	atomic_uint request_work_ms; /* the same: of a thread */
	const char *const *listen;   /* addresses, NULL-terminated */
	/* Writes the entries of `stats` that daemon/net knows. It returns their number, and writes
	 * nothing if `writer` is NULL. */
	size_t (*net_stats)(void *arg, struct wire_writer *writer);
	void *net_stats_arg;
	/* Reads the settings anew, waits until they are in force or refused, and writes which differ: one value.
	 * NULL: there are none. Errors: those of reading them; TIMEOUT, CLOSED; BUSY  the daemon stops. */
	enum status (*reload)(void *arg, const struct stop *stop, struct wire_writer *writer,
		struct error *err);
	void *reload_arg;
	struct slow_log *slow_log;   /* borrowed */
	struct served *served;       /* borrowed; NULL: fetches are not logged */
	struct histogram seal_times; /* of good seals; any thread */
	struct service_slot slots[SLOT_COUNT];
	struct config_figures config;
};

void service_figures(const struct service *service, struct service_figures *out);

/* The word of schema/PROTOCOL.md for the result of a look-up. */
const char *service_why_name(enum why why);

#endif
