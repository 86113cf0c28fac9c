/* lane.h - requests that wait, and threads that run them; these requests may block.
 *
 * Users take turns, and the connections of each do, by what their requests cost (turns.h); the
 * requests of one connection are taken in the order in which they came. Two lanes differ in how they
 * answer:
 *
 *   load   Requests are run in groups. A group ends when no request waits, or when enough bytes
 *          wait for the disk. One sync makes the whole group durable; then all its requests are
 *          answered.
 *   write  A request has a ticket after it has run. The store's commit thread answers it when it
 *          is durable; meanwhile the lane runs the next requests.
 *
 * A lane runs as many requests at once as it has threads. Besides, it has spare threads: when all
 * its threads are in use, a request that has run for longer than a slice makes way for one of a
 * connection of which none runs. It goes on beside that one, and the kernel shares the processors
 * among them, with less for those that made way. So long requests of some connections keep nobody
 * else waiting, until as many spare threads are in use as there may be. One user has half of them at
 * most, beside the lane's own; its other connections wait then, and the rest is kept for other users.
 *
 * Threads: any calls lane_push, lane_withdraw and lane_waiting; one thread starts and stops a lane.
 * Nobody pushes when lane_stop has been called.
 */
#ifndef DAEMON_NET_LANE_H
#define DAEMON_NET_LANE_H

#include "daemon/net/request.h"
#include "daemon/net/turns.h"
#include "daemon/store/system/histogram.h"
#include "daemon/store/system/lock.h"
#include "schema/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	LANE_THREADS_MAX = 256,
	LANE_NAME_BYTES = 10,
	/* How long a request runs before it makes way. */
	LANE_SLICE_MS = 20,
	/* The niceness of threads that give way to the loops; and of those whose request has made way. A
	 * thread at LANE_LONG_NICE that is always busy gets about a ninth of what one at LANE_NICE gets,
	 * and a 28th of what one at 0 gets. */
	LANE_NICE = 5,
	LANE_LONG_NICE = 15,
};

enum lane_number {
	LANE_POOL,
	LANE_COLD,
	LANE_SEARCH,
	LANE_OPERATOR,
	LANE_ADMIN,
	LANE_PUBLISH,
	LANE_SEAL,
	LANE_MERGE,
	LANE_BACKUP,
	LANE_VERIFY,
	LANE_LOAD,
	LANE_WRITE,
	LANE_COUNT,
};

struct lane_options {
	const char *name;   /* borrowed; its threads are named so; at most LANE_NAME_BYTES long */
	unsigned threads;   /* 1..LANE_THREADS_MAX */
	unsigned spare;     /* threads besides */
	size_t waiting_max; /* above 0 */
	bool groups; /* one sync after each group; the lane has one thread, and no spare one */
	bool nice;   /* its threads give way to the loops, whose requests are short */
	bool quick;  /* its requests are short; its threads are to run soon after they wake */
	/* A request that makes way has less of the processors from then on, if the system lets its
	 * thread rise again. */
	bool lowers;
};

/* A thread of a lane. */
struct lane_runner {
	struct lane *lane; /* borrowed */
	bool is_spare;
	bool is_asleep;        /* guarded by lane->lock */
	struct condition wake; /* of a spare thread */
	pthread_t thread;
	id_t tid; /* constant while it runs something */
	int nice; /* the same; what it has while it is not lowered */
	/* Becomes true under lane->lock, while it runs something; false by the thread itself. */
	atomic_bool is_lowered;
	uint64_t began_ns; /* guarded by lane->lock; 0: it runs nothing */
};

struct lane {
	struct lane_options options;
	enum lane_number number;
	struct lock lock;
	struct condition more; /* for threads that are not spare */
	struct turns turns;    /* guarded by lock, as are the next three */
	unsigned running;      /* requests */
	bool watched;          /* a spare thread waits for the end of a slice */
	bool stopping;
	unsigned started; /* threads to join */
	struct lane_runner *runners;
	/* How long requests have waited; in HISTOGRAM_SHORT_NS; changed under the lock. */
	struct histogram waits;
};

/* Errors: NO_MEMORY, IO. */
enum status lane_start(struct lane *lane, enum lane_number number,
	const struct lane_options *options, struct error *err);

/* Runs the requests that still wait, then ends the threads. A zeroed lane is fine. */
void lane_stop(struct lane *lane);

/* Hands the request over. False, and the caller keeps it, if too many wait (turns_push). */
bool lane_push(struct lane *lane, struct request *request);

/* Takes back a request. False: it runs, has run, or is no request of this lane. */
bool lane_withdraw(struct lane *lane, struct request *request);

size_t lane_waiting(struct lane *lane);

#endif
