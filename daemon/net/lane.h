/* lane.h - one queue, and threads that run the requests in it; these requests may block.
 *
 * Most lanes run requests in the order of their arrival. Three lanes differ:
 *
 *   search  The connections that wait take turns.
 *   load    Requests are run in groups. A group ends when no request waits, or when enough bytes
 *           wait for the disk. One sync makes the whole group durable; then all its requests are
 *           answered.
 *   write   A request has a ticket after it has run. The store's commit thread answers it when it
 *           is durable; meanwhile the lane runs the next requests.
 *
 * Threads: any calls lane_push and lane_waiting; one thread starts and stops a lane. Nobody pushes
 * when lane_stop has been called.
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
	LANE_NAME_BYTES = 10,
};

enum lane_order {
	LANE_ARRIVAL, /* one after the other, in the order of their arrival */
	LANE_GROUPS,  /* as LANE_ARRIVAL, with one sync after each group; the lane has one thread */
	LANE_TURNS,   /* connections take turns */
};

struct lane_options {
	const char *name;   /* borrowed; its threads are named so; at most LANE_NAME_BYTES long */
	unsigned threads;   /* 1..LANE_THREADS_MAX */
	size_t waiting_max; /* above 0 */
	enum lane_order order;
};

struct lane {
	struct lane_options options;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct request_queue queue; /* guarded by lock, as are the next two */
	uint64_t turn;              /* of the request that was taken last; it only grows */
	bool stopping;
	unsigned started; /* threads to join */
	pthread_t *threads;
};

/* Errors: NO_MEMORY, IO. */
enum status lane_start(struct lane *lane, const struct lane_options *options);

/* Runs the requests that still wait, then ends the threads. A zeroed lane is fine. */
void lane_stop(struct lane *lane);

/* Hands the request over. False, and the caller keeps it, if waiting_max requests wait. */
bool lane_push(struct lane *lane, struct request *request);

size_t lane_waiting(struct lane *lane);

#endif
