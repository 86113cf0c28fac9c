/* lane.h - threads that run requests which may block, fed by one queue.
 *
 * A lane takes requests in the order of their arrival, the search lane in turns of their
 * connections. The load lane takes them in
 * groups: each is run, and when no more waits, or enough does, one sync makes the whole
 * group durable and all of them are answered. What the write lane runs is answered from the
 * store's commit thread, while the lane goes on.
 *
 * Threads: lane_push and lane_waiting from any; start and stop from one.
 */
#ifndef DAEMON_NET_LANE_H
#define DAEMON_NET_LANE_H

#include "daemon/net/request.h"
#include "schema/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	LANE_THREADS_MAX = 256,
};

enum lane_order {
	LANE_ARRIVAL, /* one after the other, as they come */
	LANE_GROUPS,  /* the same, and a sync behind as many as are there; one thread */
	LANE_TURNS,   /* connections take turns */
};

struct lane_options {
	const char *name; /* borrowed; of the threads, at most 10 bytes */
	unsigned threads; /* 1..LANE_THREADS_MAX */
	size_t waiting_max;
	enum lane_order order;
};

struct lane {
	struct lane_options options;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct request_queue queue; /* under the lock, as are the next two */
	uint64_t turn;              /* of the request that was taken last */
	bool stopping;
	unsigned started; /* threads to join */
	pthread_t *threads;
};

/* Errors: NO_MEMORY, IO. A zeroed lane may be stopped. */
enum status lane_start(struct lane *lane, const struct lane_options *options);

/* Runs what still waits, then ends the threads. */
void lane_stop(struct lane *lane);

/* False, and the request stays the caller's, when too many wait. */
bool lane_push(struct lane *lane, struct request *request);

size_t lane_waiting(struct lane *lane);

#endif
