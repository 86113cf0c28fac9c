/* net_figures.h - what the loops, lanes and acceptors of a server have counted, added up.
 *
 * Threads: any, while the sources live. The figures of different threads are not of the same moment.
 */
#ifndef DAEMON_NET_NET_FIGURES_H
#define DAEMON_NET_NET_FIGURES_H

#include "daemon/net/closing.h"
#include "daemon/net/lane.h"
#include "daemon/store/system/histogram.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

struct acceptor;
struct handshakes;
struct loop;
struct net;

/* All borrowed. */
struct stats_sources {
	struct net *net;
	const struct loop *loops;
	const struct acceptor *acceptors;
	unsigned loop_count;
	unsigned acceptor_count;
	struct handshakes *handshakes; /* NULL: no listener speaks TLS */
};

struct method_figures {
	uint64_t codes[STATUS_COUNT];
	uint64_t away; /* calls that are in lanes now */
	/* From the last byte of a request to the last byte of its reply; in HISTOGRAM_SHORT_NS. */
	struct histogram_figures times;
};

/* Of all loops together. `method` is an index of method_table; method_count stands for requests that
 * name no method that there is. */
void net_figures_method(const struct stats_sources *from, size_t method,
	struct method_figures *out);

struct lane_figures {
	const char *name;
	uint64_t waiting;               /* requests, now */
	struct histogram_figures waits; /* how long requests have waited; in HISTOGRAM_SHORT_NS */
};
void net_figures_lane(const struct stats_sources *from, enum lane_number number,
	struct lane_figures *out);

enum transport { TRANSPORT_UNIX, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_COUNT };

struct net_figures {
	uint64_t open[TRANSPORT_COUNT]; /* connections, now */
	uint64_t local_readers; /* of them, those of processes that read the folder themselves */
	uint64_t accepted[TRANSPORT_COUNT];
	uint64_t refused[TRANSPORT_COUNT];
	uint64_t refused_by
		[REFUSAL_COUNT]; /* of these; peers at TLS that show no certificate are in tls_figures */
	uint64_t closed[CLOSING_COUNT];   /* connections that were closed */
	uint64_t denied[TRANSPORT_COUNT]; /* calls of methods whose role the peer lacked */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t requests_bytes; /* that requests hold, and may; then replies, the same */
	uint64_t requests_limit;
	uint64_t replies_bytes;
	uint64_t replies_limit;
	uint64_t waiting;      /* connections that wait for memory of requests, now */
	uint64_t read_stopped; /* how often a connection was not read for a while */
	uint64_t replies_full; /* requests that were BUSY, since replies fill their memory */
	uint64_t queue_late;   /* reads that were BUSY, since they had waited for queue_time */
	uint64_t lanes_full;   /* requests that were BUSY, since too many waited */
	uint64_t writes_held;  /* writes that waited for those of other users */
};
void net_figures(const struct stats_sources *from, struct net_figures *out);

/* What bounds connections and requests, by the names of the settings. */
enum limit_unit { LIMIT_IN_COUNT, LIMIT_IN_BYTES, LIMIT_IN_MS };
struct limit_figure {
	const char *setting;
	enum limit_unit unit;
	uint64_t value;
};
enum { NET_LIMITS = 13 };
void net_figures_limits(const struct stats_sources *from, struct limit_figure out[NET_LIMITS]);

enum { TLS_REASONS_MAX = 16 };

/* Peers at TLS. */
struct tls_figures {
	uint64_t handshakes; /* under way, now */
	unsigned reasons;    /* why peers were refused, and how many were */
	const char *names[TLS_REASONS_MAX];
	uint64_t refused[TLS_REASONS_MAX];
	int64_t not_after_ms; /* of the daemon's certificate; Unix ms */
	int64_t crl_next_ms; /* when the first list of revoked certificates ends; 0: there is none */
};
/* False: no listener speaks TLS. */
bool net_figures_tls(const struct stats_sources *from, struct tls_figures *out);

/* The word for a transport: unix, tcp, tls. */
const char *transport_name(enum transport transport);

#endif
