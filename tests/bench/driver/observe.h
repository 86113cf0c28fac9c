/* observe.h - systems that aggregate samples, and what bench_observe.c has them do.
 *
 * Both hold a crowd's users and items when the samples begin: repstored in the tables cr_user@fm
 * and cr_item@fm, Redis in a string each.
 */
#ifndef TESTS_BENCH_DRIVER_OBSERVE_H
#define TESTS_BENCH_DRIVER_OBSERVE_H

#include "tests/bench/driver/crowd.h"
#include "tests/bench/driver/measure.h"

struct observer {
	const char *name;
	const struct put_kind *kind;
	void (*load)(const char *path, const struct crowd *crowd);
	void *(*open)(const char *path);
	crowd_read_fn *read; /* arg: what `open` returned */
	void (*close)(void *reader);
};
extern const struct observer observer_repstored; /* observe */
extern const struct observer observer_redis;     /* a script that does the same */

/* One that takes part, and what it was given. */
struct entrant {
	const char *name;
	const struct observer *observer;
	const char *path; /* borrowed */
	pid_t pid;
	const struct crowd *crowd;
	struct tally *tally;       /* owned */
	_Atomic uint64_t observed; /* samples that were acknowledged */
};
/* Connections that send the next samples of its crowd, so many a request. */
struct lanes *entrant_lanes(struct entrant *entrant, unsigned connections, unsigned each);
/* Dies unless it has what the samples come to; nothing is under way. */
void entrant_check(const struct entrant *entrant);

/* A stream that goes on; see observe_long.c and observe_fetch.c. */
struct stream_plan {
	unsigned connections;
	unsigned each;
	uint64_t seconds;
};
void observe_long(struct entrant *entrant, const struct stream_plan *plan);

struct fetch_plan {
	unsigned items;       /* rows of cr_item a fetch; one of cr_user comes with them */
	struct numbers rates; /* samples a second beside the fetches; then as many as it takes */
	uint64_t turn_ns;
	uint64_t turns;
};
void observe_fetches(struct entrant *entrant, const struct stream_plan *stream,
	const struct fetch_plan *plan);

#endif
