/* settings.h - what an operator may choose: the file's settings, then the command line's.
 *
 * A value given twice: the last wins, but for addresses to listen on, which add up; those
 * of the command line replace those of the file.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	SETTINGS_LISTEN_MAX = 16,
	SETTINGS_TEXT_BYTES = 1024,
};

/* A value: copy it freely. */
struct settings {
	char config[SETTINGS_TEXT_BYTES]; /* the file that was read; "" for none */
	char data[SETTINGS_TEXT_BYTES];
	char listen[SETTINGS_LISTEN_MAX][SETTINGS_TEXT_BYTES];
	unsigned listen_count;
	bool listen_is_default; /* the next address replaces what is there */
	unsigned socket_mode;
	unsigned workers;
	unsigned pool;
	unsigned search_threads;
	unsigned search_waiting;
	unsigned max_connections;
	size_t load_memory_bytes;
	size_t catalog_bytes;
	bool periodic; /* durability */
	unsigned sync_interval_ms;
	size_t log_bytes;
	unsigned memtable_rows;
	size_t memtable_bytes;
	unsigned merge_age_ms;
	size_t merge_rate_bytes;
	size_t request_memory_bytes;
	size_t reply_memory_bytes;
	unsigned request_timeout_ms;
	unsigned stop_grace_ms;
};

enum settings_wish { SETTINGS_RUN, SETTINGS_HELP, SETTINGS_VERSION };

void settings_init(struct settings *settings);

/* What the command line asks for, and the file that it names; *config is left alone if it
 * names none. Errors: BAD_REQUEST  an unknown argument, or one without its value. */
enum status settings_find(int argc, const char *const *argv, enum settings_wish *wish,
	const char **config, struct error *err);

/* Reads an INI file. Errors: NOT_FOUND, IO  the file; BAD_REQUEST  an unknown section or key,
 * a bad value; the text begins with `FILE:LINE:`. */
enum status settings_read(struct settings *settings, const char *path, struct error *err);

/* Reads a command line that settings_find has passed.
 * Errors: BAD_REQUEST  a bad value, with its argument. */
enum status settings_apply(struct settings *settings, int argc, const char *const *argv,
	struct error *err);

/* One line an option. */
void settings_print_help(FILE *file);

#endif
