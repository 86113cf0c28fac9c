/* latency.c - repstore latency: round trips of ping, again and again, in figures of each second. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/format/json_write.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	PINGS_A_SECOND = 100,
	SAMPLES_MAX = 1 << 16, /* of one span; of a longer one its beginning is kept */
	NS_PER_SECOND = 1000 * 1000 * 1000,
	NS_PER_MS = 1000 * 1000,
};

struct latency {
	struct session *session;
	bool history;
	bool is_live; /* one line that is written over: a person looks at it */
	uint64_t interval_ms;
	uint64_t spans;    /* 0: until it is interrupted */
	uint32_t *samples; /* owned: ns of one span */
	size_t count;      /* of them */
	uint64_t sum_ns;   /* of all pings of the span, as the next */
	uint64_t pings;
};

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
	(void)number;
	is_over = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int by_size(const void *left, const void *right)
{
	const uint32_t a = *(const uint32_t *)left;
	const uint32_t b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

static double us_of(const struct latency *latency, size_t rank)
{
	return (double)latency->samples[rank] / 1e3;
}

static void print(struct latency *latency)
{
	static const char *const names[] = {"min_us", "avg_us", "p50_us", "p99_us", "max_us"};
	enum { FIGURES = sizeof names / sizeof names[0] };
	const size_t count = latency->count;
	qsort(latency->samples, count, sizeof *latency->samples, by_size);
	const double us[FIGURES] = {us_of(latency, 0),
		(double)latency->sum_ns / (double)latency->pings / 1e3, us_of(latency, count / 2),
		us_of(latency, count * 99 / 100), us_of(latency, count - 1)};
	const int64_t time_ms = (int64_t)time(NULL) * 1000;
	if (latency->session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_i64(&json, "time_ms", time_ms);
		json_write_u64(&json, "pings", latency->pings);
		for (size_t i = 0; i < FIGURES; i++) {
			json_write_fixed(&json, names[i], us[i], 1);
		}
		json_write_object_end(&json);
		json_write_line(&json);
		return;
	}
	char when[TEXT_BYTES];
	printf("%s%s  pings %-5" PRIu64
	       " min %8.1f  avg %8.1f  p50 %8.1f  p99 %8.1f  max %8.1f us%s",
		latency->is_live ? "\r" : "", text_time(time_ms, when), latency->pings, us[0],
		us[1], us[2], us[3], us[4], latency->is_live ? "" : "\n");
	(void)fflush(stdout);
}

/* Pings until the span is over, or the user has enough. */
static int run_span(struct latency *latency)
{
	struct rep_error err;
	const uint64_t end_ns = now_ns() + latency->interval_ms * NS_PER_MS;
	latency->count = latency->pings = latency->sum_ns = 0;
	do {
		const uint64_t began_ns = now_ns();
		if (rep_ping(latency->session->client, &err) != REP_OK) {
			return is_over ? EXIT_DONE : session_refuse(latency->session, &err);
		}
		const uint64_t ns = now_ns() - began_ns;
		if (latency->count < SAMPLES_MAX) {
			latency->samples[latency->count++] =
				ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
		}
		latency->sum_ns += ns;
		latency->pings++;
		const struct timespec pause = {.tv_nsec = NS_PER_SECOND / PINGS_A_SECOND};
		(void)nanosleep(&pause, NULL);
	} while (!is_over && now_ns() < end_ns);
	return EXIT_DONE;
}

static int measure(struct latency *latency)
{
	struct sigaction action = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	int status = EXIT_DONE;
	for (uint64_t i = 0;
		status == EXIT_DONE && !is_over && (latency->spans == 0 || i < latency->spans);
		i++) {
		status = run_span(latency);
		if (status == EXIT_DONE && latency->pings > 0) {
			print(latency);
		}
	}
	if (latency->is_live) {
		printf("\n");
	}
	return session_finish(latency->session, status);
}

static int run(struct session *session, int argc, char **argv)
{
	struct latency latency = {.session = session};
	double seconds = 1;
	const struct option_row rows[] = {
		{"history", OPTION_FLAG, &latency.history},
		{"i", OPTION_NUMBER, &seconds},
		{"n", OPTION_COUNT, &latency.spans},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE && !(seconds >= 0.01 && seconds <= 3600)) {
		status = session_usage(session, "-i: %g given, 0.01 to 3600 seconds allowed",
			seconds);
	}
	latency.interval_ms = (uint64_t)(seconds * 1e3);
	if (status != EXIT_DONE) {
		return status;
	}
	latency.is_live = !latency.history && !session->json && isatty(STDOUT_FILENO) == 1;
	latency.samples = calloc(SAMPLES_MAX, sizeof *latency.samples);
	if (latency.samples == NULL) {
		return session_refuse_text(session, STATUS_NO_MEMORY, "no memory for the samples");
	}
	status = session_connect(session) ? measure(&latency) : EXIT_REFUSED;
	free(latency.samples);
	return status;
}

const struct command cmd_latency = {
	.name = "latency",
	.summary = "how long a round trip takes, from here, second by second",
	.usage = "latency [--history] [-i SECONDS] [-n N]\n",
	.help = "Sends a ping, a hundred times a second, until Ctrl-C; and says of each second the\n"
		"shortest, the mean, the median, the 99th of 100, and the longest round trip. It is\n"
		"of the path and of the threads that answer: a slow disk or a slow search does not\n"
		"show (repstore top, repstore slowlog).\n"
		"  --history  a line for each second; else a terminal shows the last one alone\n"
		"  -i         so many seconds have figures of their own (1)\n"
		"  -n         so many times, and then it ends\n",
	.run = run,
};
