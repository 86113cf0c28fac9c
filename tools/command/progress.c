/* progress.c - draws how far long work is. */
#include "tools/command/progress.h"

#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	BAR_CELLS = 30,
	BAR_EVERY_MS = 100,
	LINE_EVERY_MS = 5000,
};

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *what)
{
	*progress = (struct progress){.what = what, .terminal = isatty(STDERR_FILENO) == 1};
	progress->began_ms = now_ms();
	progress->shown_ms = progress->began_ms;
}

/* "1234 rows  56 rows/s", or the same of sizes. */
static void print_rate(const struct progress *progress, uint64_t count, double rate,
	const char *between)
{
	char size[TEXT_BYTES];
	char of_rate[TEXT_BYTES];
	if (progress->unit == PROGRESS_BYTES) {
		fprintf(stderr, "%s%s%s/s", text_size(count, size), between,
			text_size((uint64_t)rate, of_rate));
	} else {
		fprintf(stderr, "%" PRIu64 " rows%s%.0f rows/s", count, between, rate);
	}
}

static void draw_bar(const struct progress *progress, double share, uint64_t count, double rate)
{
	int full = (int)(share * BAR_CELLS);
	fprintf(stderr, "\r%s [", progress->what);
	for (int i = 0; i < BAR_CELLS; i++) {
		putc(i < full ? '#' : ' ', stderr);
	}
	fprintf(stderr, "] %3.0f%%  ", share * 100);
	print_rate(progress, count, rate, "  ");
	fputs("\033[K", stderr);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total, uint64_t count)
{
	int64_t now = now_ms();
	int64_t every = progress->terminal ? BAR_EVERY_MS : LINE_EVERY_MS;
	if (now - progress->shown_ms < every) {
		return;
	}
	progress->shown_ms = now;
	progress->shown = true;
	double rate = (double)count * 1000 / (double)(now - progress->began_ms);
	double share = total > 0 ? (double)done / (double)total : 0;
	if (progress->terminal && total > 0) {
		draw_bar(progress, share > 1 ? 1 : share, count, rate);
	} else {
		char part[16] = ", ";
		if (total > 0) {
			(void)snprintf(part, sizeof part, ", %.0f%%, ", share * 100);
		}
		fprintf(stderr, "%s%s: ", progress->terminal ? "\r" : "", progress->what);
		print_rate(progress, count, rate, part);
		fputs(progress->terminal ? "\033[K" : "\n", stderr);
	}
	fflush(stderr);
}

double progress_end(struct progress *progress)
{
	if (progress->terminal && progress->shown) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	return (double)(now_ms() - progress->began_ms) / 1000;
}
