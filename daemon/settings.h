/* settings.h - what an operator may choose, in a file and on the command line.
 *
 * The file is read first. If a value is given twice, the last one holds. Addresses to listen on add
 * up instead, as do those who have a role; but the first on the command line replaces all those of the file.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "daemon/access/rules.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	SETTINGS_LISTEN_MAX = 16,
	SETTINGS_TEXT_BYTES = 1024,
	SETTINGS_CHANGES_MAX = 128,
	SETTINGS_ROLES =
		ROLE_READ | ROLE_WRITE | ROLE_PUBLISH | ROLE_ADMIN, /* that a setting gives */
};

/* A value: it may be copied. */
struct settings {
	char config[SETTINGS_TEXT_BYTES]; /* the file that was read; "": none was */
	char data[SETTINGS_TEXT_BYTES];
	char backup_folder[SETTINGS_TEXT_BYTES]; /* "": there is none */
	char listen[SETTINGS_LISTEN_MAX][SETTINGS_TEXT_BYTES];
	char http_listen[SETTINGS_TEXT_BYTES];     /* "none": there is no port for HTTP */
	char tls_certificate[SETTINGS_TEXT_BYTES]; /* "": none was given; so of those that follow */
	char tls_key[SETTINGS_TEXT_BYTES];
	char tls_authority[SETTINGS_TEXT_BYTES];
	char tls_crl[SETTINGS_TEXT_BYTES];
	char served_file[SETTINGS_TEXT_BYTES];
	size_t connection_reply_bytes;
	size_t load_memory_bytes;
	size_t catalog_bytes;
	size_t index_memory_bytes;
	size_t disk_reserve_bytes;
	size_t log_bytes;
	size_t memtable_bytes;
	size_t merge_rate_bytes;
	size_t request_memory_bytes;
	size_t reply_memory_bytes;
	size_t kept_memory_bytes;
	size_t least_rate_bytes;
	size_t served_bytes;
	size_t served_byte_rate;
	unsigned listen_count;
	unsigned socket_mode;
	unsigned workers;
	unsigned pool;
	unsigned search_threads;
	unsigned search_waiting;
	unsigned max_connections;
	unsigned user_connections;
	unsigned in_flight;
	unsigned request_keys;
	unsigned request_work_ms;
	unsigned queue_ms;
	unsigned idle_timeout_ms;
	unsigned index_time_ms;
	unsigned sync_interval_ms;
	unsigned memtable_rows;
	unsigned merge_age_ms;
	unsigned kept_connections;
	unsigned request_timeout_ms;
	unsigned slow_threshold_ms;
	unsigned stop_grace_ms;
	unsigned spin_us;
	unsigned access_is_default; /* roles whose next entry replaces those that are there */
	unsigned http_socket_mode;
	unsigned ready_resident; /* percent */
	unsigned tls_handshakes;
	unsigned tls_handshake_timeout_ms;
	unsigned served_rate_ppm; /* of a million */
	struct access_rules access;
	bool listen_is_default;    /* the next address replaces what is there */
	bool periodic;             /* durability: false is sync */
	bool http_exposes_metrics; /* expose: false is none */
	bool http_hides_page;      /* page: false is on */
	bool served_rows;          /* rows: false is off */
};

enum settings_wish {
	SETTINGS_RUN,
	SETTINGS_CHECK,
	SETTINGS_VERIFY,
	SETTINGS_UPGRADE,
	SETTINGS_HELP,
	SETTINGS_VERSION,
};

/* Where settings come from, for reading them again. */
struct settings_source {
	const char
		*usual; /* the file that is read if the command line names none, and it is there */
	int argc;
	const char *const *argv;
};

/* A setting that differs in what was read again. */
struct settings_change {
	const char *section;
	const char *key;
	bool taken; /* false: only a restart takes it over */
};

void settings_init(struct settings *settings);

/* Reads what the command line asks for, and which file it names. If it names none, *config is not
 * changed. With SETTINGS_VERIFY and SETTINGS_UPGRADE it is the folder. Errors: BAD_REQUEST  an unknown argument, or one
 * without its value. */
enum status settings_find(int argc, const char *const *argv, enum settings_wish *wish,
	const char **config, struct error *err);

/* Reads an INI file.
 * Errors: NOT_FOUND, IO  the file cannot be read
 *         BAD_REQUEST    an unknown section or key, or a bad value; err begins with `FILE:LINE:` */
enum status settings_read(struct settings *settings, const char *path, struct error *err);

/* The same of a file that is open, and called `path`. */
enum status settings_read_open(struct settings *settings, FILE *file, const char *path,
	struct error *err);

/* Reads the values of a command line for which settings_find returned OK.
 * Errors: BAD_REQUEST  a bad value; err names its argument. */
enum status settings_apply(struct settings *settings, int argc, const char *const *argv,
	struct error *err);

/* All of these: the defaults, the file, the command line. Errors: those of the three. */
enum status settings_load(struct settings *settings, const struct settings_source *source,
	struct error *err);

/* Takes over from `wanted` what may change while the daemon runs. Returns how many settings differ, and which. */
unsigned settings_adopt(struct settings *settings, const struct settings *wanted,
	struct settings_change changes[SETTINGS_CHANGES_MAX]);

/* Prints the usage: one line for each option. */
void settings_print_help(FILE *file);

#endif
