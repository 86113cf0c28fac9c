/* stats.c - repstore stats, info, ping: what the daemon says about itself. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <stdio.h>
#include <time.h>

/* A command without arguments: calls one method and prints its answer as it is. */
static int run_plain(struct session *session, const char *method, int argc, char **argv)
{
	struct rest rest;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	struct answer answer = {0};
	if (!session_connect(session) || !session_call(session, method, NULL, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, text_map);
}

static int run_stats(struct session *session, int argc, char **argv)
{
	return run_plain(session, "stats", argc, argv);
}

static int run_info(struct session *session, int argc, char **argv)
{
	return run_plain(session, "info", argc, argv);
}

static int run_ping(struct session *session, int argc, char **argv)
{
	struct rest rest;
	int status = options_read(session, NULL, 0, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct rep_error err;
	struct timespec before;
	struct timespec after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	if (rep_ping(session->client, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	double us = (double)(after.tv_sec - before.tv_sec) * 1e6 +
		    (double)(after.tv_nsec - before.tv_nsec) / 1e3;
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_fixed(&json, "us", us, 1);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf("answered in %.1f us\n", us);
	}
	return session_finish(session, EXIT_DONE);
}

const struct command cmd_stats = {
	.name = "stats",
	.summary = "counters of the daemon: connections, requests, memory, rows",
	.usage = "stats\n",
	.help = "Counters are since the start of the daemon, the others of now:\n"
		"  memory.*               of requests and of replies, beside the settings that bound it\n"
		"  queues.*               requests that wait for a thread\n"
		"  requests.*.us, times   all time together, and requests by time: at most 10 us, 20, 50,\n"
		"                         100 and so on up to 10 s, and longer\n"
		"  waits.*                the same of the wait for a thread\n"
		"  keys.*                 of each table of the live release: what became of the keys asked for\n"
		"  loops.longest_turn_us  of each thread that answers; above 20,000: tell us\n"
		"  store.segments_damaged above 0: look into the journal\n"
		"  store.files_waiting    of dropped releases and merged tables, that a reader still has\n"
		"  store.readers_pinned   long reads; write.memtable_pinned: memory that they hold\n"
		"  write.sequence         of the newest write that is seen\n"
		"  write.sync_us          of all syncs together; sync_us_max: of the longest\n"
		"  write.log_files, log_bytes            on disk\n"
		"  write.pending_bytes, memtable_rows, memtable_bytes  what no merge has folded yet:\n"
		"                         against log_size, memtable_rows and memtable_memory\n"
		"  write.merges_failed    above 0: the journal says why; merge_ms: of the last\n"
		"  write.read_only        yes: a sync has failed, nothing is written until a restart\n"
		"  write.merge_steps.*    what merges made: deltas, deltas of deltas (tier), ranges of a\n"
		"                         base, whole bases, repairs\n"
		"  write.bytes_by_cause.* what was written to disk\n"
		"  index.builds, images   also those that came with a merge; images are of deltas\n"
		"  index.written_*        images of what was written since the last merge\n"
		"  index.failed           above 0: the journal says why; it is tried again\n",
	.run = run_stats,
};

const struct command cmd_info = {
	.name = "info",
	.summary = "version, process, folders and formats of the daemon",
	.usage = "info\n",
	.help = "",
	.run = run_info,
};

const struct command cmd_ping = {
	.name = "ping",
	.summary = "one round trip to the daemon, timed",
	.usage = "ping\n",
	.help = "",
	.run = run_ping,
};
