/* top.c - repstore top: what the daemon does now, on one screen. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/terminal.h"
#include "tools/command/top_sample.h"
#include "tools/command/top_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct top {
	struct session *session;
	double seconds;
	bool once;
	const char *address;
	struct top_sample *before; /* owned */
	struct top_sample *now;    /* owned */
	bool has_now;
};

/* The first screen comes soon, whatever the time between two looks. */
enum { FIRST_MS = 500 };

/* Takes one more sample. is_pair: out, whether there is one before it to compare it with. */
static enum rep_status look(struct top *top, bool *is_pair, struct rep_error *err)
{
	struct top_sample *last = top->now;
	const bool had_one = top->has_now;
	top->now = top->before;
	top->before = last;
	const uint64_t seen = had_one ? last->slow_seen : UINT64_MAX;
	const enum rep_status status = top_sample_take(top->session, seen, top->now, err);
	top->has_now = status == REP_OK;
	*is_pair = top->has_now && had_one;
	return status;
}

/* The screen as text: free() it. NULL: no memory. */
static char *text_of(const struct top *top)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (out == NULL) {
		return NULL;
	}
	top_view_write(out, top->address, top->before, top->now);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int no_memory(const struct top *top)
{
	terminal_end();
	return session_refuse_text(top->session, STATUS_NO_MEMORY, "no memory for a screen");
}

/* Shows a screen until its time is over. False: the user has seen enough. */
static bool show(const char *text, uint64_t milliseconds)
{
	enum terminal_event event = TERMINAL_SIZE;
	while (event == TERMINAL_SIZE) {
		terminal_show(text);
		event = terminal_wait(milliseconds);
	}
	return event != TERMINAL_QUIT;
}

/* A daemon that is started again meanwhile is no reason to end. */
static int run_screen(struct top *top)
{
	const uint64_t interval_ms = (uint64_t)(top->seconds * 1e3);
	bool goes_on = true;
	while (goes_on) {
		struct rep_error err;
		bool is_pair;
		const enum rep_status status = look(top, &is_pair, &err);
		if (is_pair) {
			char *text = text_of(top);
			if (text == NULL) {
				return no_memory(top);
			}
			goes_on = show(text, interval_ms);
			free(text);
		} else if (status == REP_OK) {
			goes_on = show("repstore top: looks at the daemon; q ends it\n",
				interval_ms < FIRST_MS ? interval_ms : FIRST_MS);
		} else {
			char text[sizeof err.text + 64];
			(void)snprintf(text, sizeof text,
				"repstore top: %s (%s); it asks again, q ends it\n", err.text,
				rep_status_name(status));
			goes_on = show(text, interval_ms);
		}
	}
	terminal_end();
	return EXIT_DONE;
}

/* Into a pipe or a file: one text or one line of JSON after the other, without an escape. */
static int run_lines(struct top *top)
{
	struct rep_error err;
	bool is_pair;
	if (look(top, &is_pair, &err) != REP_OK) {
		return session_refuse(top->session, &err);
	}
	do {
		const struct timespec pause = {.tv_sec = (time_t)top->seconds,
			.tv_nsec = (int64_t)((top->seconds - (double)(time_t)top->seconds) * 1e9)};
		(void)nanosleep(&pause, NULL);
		if (look(top, &is_pair, &err) != REP_OK) {
			return session_refuse(top->session, &err);
		}
		if (top->session->json) {
			top_view_json(top->before, top->now);
		} else {
			top_view_write(stdout, top->address, top->before, top->now);
		}
		if (fflush(stdout) != 0 || ferror(stdout)) {
			break;
		}
	} while (!top->once);
	return session_finish(top->session, EXIT_DONE);
}

static int begin(struct top *top)
{
	if (!session_connect(top->session)) {
		return EXIT_REFUSED;
	}
	top->before = calloc(1, sizeof *top->before);
	top->now = calloc(1, sizeof *top->now);
	if (top->before == NULL || top->now == NULL) {
		return no_memory(top);
	}
	const bool is_screen = !top->once && !top->session->json && terminal_begin();
	return is_screen ? run_screen(top) : run_lines(top);
}

static int run(struct session *session, int argc, char **argv)
{
	struct top top = {.session = session, .seconds = 2};
	const struct option_row rows[] = {
		{"i", OPTION_NUMBER, &top.seconds},
		{"once", OPTION_FLAG, &top.once},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE && !(top.seconds >= 0.1 && top.seconds <= 3600)) {
		status = session_usage(session, "-i: %g given, 0.1 to 3600 seconds allowed",
			top.seconds);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	top.address = session->address != NULL     ? session->address
		      : getenv("REPSTORE") != NULL ? getenv("REPSTORE")
						   : "";
	status = begin(&top);
	free(top.before);
	free(top.now);
	return status;
}

const struct command cmd_top = {
	.name = "top",
	.summary = "what the daemon does now: rates, times, hits, queues, slow requests",
	.usage = "top [-i SECONDS] [--once]\n",
	.help = "Of the time between two looks: requests a second of each method, with the mean and\n"
		"quantiles of their times as the daemon sees them; keys a second of each table of\n"
		"the live release, and the share that was found; writes, and what waits for a\n"
		"merge; what waits for a thread; releases and their age, since their publish; and\n"
		"the three slowest of the requests over slow_threshold, which takes the role admin.\n"
		"On a terminal the screen is kept up to date, until q or Ctrl-C. Elsewhere, and with\n"
		"--json, it goes on below, a line of JSON each time.\n"
		"  -i      so many seconds between two looks (2)\n"
		"  --once  one look, and then it ends\n",
	.run = run,
};
