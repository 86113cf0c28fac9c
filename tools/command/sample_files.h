/* sample_files.h - samples from NumPy arrays, for the layer or the table that they belong to.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_SAMPLE_FILES_H
#define TOOLS_COMMAND_SAMPLE_FILES_H

#include "repstore.h"
#include "tools/command/session.h"
#include "tools/format/source.h"

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLE_FILES_BATCH = 4096 }; /* samples of a request, unless told */

/* --position was not given. */
static const uint64_t sample_files_no_position = UINT64_MAX;

/* The arguments of observe and append, and what is made of them. */
struct sample_files {
	const char *release; /* NULL: the live one */
	const char *layer;   /* of an append the table's name */
	bool appends;        /* `users` are its keys then, whoever they are of */
	const char *users;
	const char *items;
	const char *rows;
	const char *times;
	const char *scales;
	struct row_time_rule time;
	const char *source;
	uint64_t position;
	bool first; /* the source may begin at `position` */
	uint64_t batch;
	struct rep_table_spec spec; /* of the tables; the key types stand below */
	enum rep_key_type user_key; /* 0: the layer has no tables of users */
	enum rep_key_type item_key;
	char release_id[80];
};

/* Checks which arguments may stand together. Returns EXIT_DONE; or EXIT_USAGE, after it has said what is
 * wrong. */
int sample_files_check(const struct session *session, struct sample_files *files);

/* Opens the files and sends what is in them; says what was sent, or what went wrong. Returns the exit
 * status. */
int sample_files_send(struct session *session, const struct sample_files *files);

#endif
