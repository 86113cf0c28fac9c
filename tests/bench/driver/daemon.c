/* daemon.c - what a repstored says of its writes, and merges. */
#include "tests/bench/driver/daemon.h"

#include "client/include/repstore.h"
#include "schema/wire.h"
#include "tests/bench/driver/measure.h"

#include <stdlib.h>
#include <time.h>

enum { MERGE_WAIT_NS = 20 * 1000 * 1000, MERGE_WAITS_MAX = 60 * 50 };

const char *const write_step_names[WRITE_STEPS] = {"delta", "tier", "range", "base"};

struct daemon {
	rep_client *client;
	void *result; /* owned: what `message` reads */
	struct wire_message *message;
};

struct daemon *daemon_connect(const char *address)
{
	struct daemon *daemon = allocate(sizeof *daemon);
	struct rep_error err;
	const struct rep_options options = {.address = address};
	if (rep_connect(&options, &daemon->client, &err) != REP_OK) {
		die("%s", err.text);
	}
	rep_set_timeout(daemon->client, 0); /* a merge takes as long as it takes */
	return daemon;
}

static void drop_result(struct daemon *daemon)
{
	wire_close(daemon->message);
	free(daemon->result);
	daemon->message = NULL;
	daemon->result = NULL;
}

void daemon_close(struct daemon *daemon)
{
	if (daemon != NULL) {
		rep_close(daemon->client);
		free(daemon);
	}
}

static struct wire_value call(struct daemon *daemon, const char *method)
{
	struct rep_error err;
	size_t len = 0;
	if (rep_call(daemon->client, method, NULL, 0, &daemon->result, &len, &err) != REP_OK) {
		die("%s: %s", method, err.text);
	}
	if (wire_open(daemon->result, len, &daemon->message) != STATUS_OK) {
		die("%s: a result that is none", method);
	}
	return wire_root(daemon->message);
}

static uint64_t uint_of(struct wire_value map, const char *name)
{
	uint64_t value = 0;
	if (!wire_uint(wire_get(map, name), &value)) {
		die("no number '%s' in what the daemon says", name);
	}
	return value;
}

void daemon_stats(struct daemon *daemon, struct write_stats *out)
{
	const struct wire_value stats = call(daemon, "stats");
	const struct wire_value write = wire_get(stats, "write");
	const struct wire_value bytes = wire_get(write, "bytes_by_cause");
	*out = (struct write_stats){.log_bytes = uint_of(bytes, "log"),
		.merge_bytes = uint_of(bytes, "merge"),
		.merges = uint_of(write, "merges"),
		.merge_ms = uint_of(write, "merge_ms"),
		.memtable_bytes = uint_of(write, "memtable_bytes"),
		.table_bytes = uint_of(wire_get(stats, "store"), "bytes")};
	for (size_t i = 0; i < WRITE_STEPS; i++) {
		const struct wire_value step =
			wire_get(wire_get(write, "merge_steps"), write_step_names[i]);
		out->steps[i].count = uint_of(step, "count");
		out->steps[i].bytes = uint_of(step, "bytes");
	}
	if (!wire_bool(wire_get(write, "merge_running"), &out->merge_running)) {
		die("the daemon does not say whether a merge is running");
	}
	drop_result(daemon);
}

void daemon_merge(struct daemon *daemon, struct merge_result *out)
{
	const struct wire_value result = call(daemon, "merge");
	*out = (struct merge_result){.rows = uint_of(result, "rows"),
		.bytes = uint_of(result, "bytes"),
		.elapsed_ms = uint_of(result, "elapsed_ms")};
	drop_result(daemon);
}

void daemon_wait_for_merge(struct daemon *daemon)
{
	const struct timespec moment = {.tv_nsec = MERGE_WAIT_NS};
	struct write_stats stats = {.merge_running = true};
	for (int i = 0; stats.merge_running; i++) {
		if (i == MERGE_WAITS_MAX) {
			die("a merge does not end");
		}
		daemon_stats(daemon, &stats);
		if (stats.merge_running) {
			(void)nanosleep(&moment, NULL);
		}
	}
}
