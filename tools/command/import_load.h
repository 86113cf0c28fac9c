/* import_load.h - an import into an open release: its rows go as the numbered chunks of a load, which
 * a later run can go on with.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_IMPORT_LOAD_H
#define TOOLS_COMMAND_IMPORT_LOAD_H

#include "tools/command/load_name.h"
#include "tools/command/session.h"

#include <stdbool.h>

/* The arguments of an import, and what is known of its table. */
struct import {
	struct place place;
	struct rep_table table;
	struct source_options source;
	enum format format;
	const char *load;   /* given by --load */
	const char *forget; /* given by --forget */
	bool if_newer;
	bool open; /* the release is open; only an open one has loads */
	struct load_name name;
};

/* Sends all rows of the source as a load, and tells what was done. Returns the exit status. A load
 * that cannot become whole is dropped, since it would keep the release from being sealed; one that a
 * later run can go on with stays, and the person is told how. */
int import_load(struct session *session, struct import *import, struct source *source);

/* Drops the load that --forget names. */
int import_forget(struct session *session, struct import *import);

#endif
