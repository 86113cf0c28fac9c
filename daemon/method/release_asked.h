/* release_asked.h - the release that a call asks about, for methods whose params have `release` and nothing else.
 *
 * Threads: the one that runs the method.
 */
#ifndef DAEMON_METHOD_RELEASE_ASKED_H
#define DAEMON_METHOD_RELEASE_ASKED_H

#include "daemon/method/call/call.h"

struct release;
struct snapshot;

/* Reads the params, begins a short snapshot, and finds the release that they name in it, or the live one. The caller ends
 * with snapshot_end, unless it fails. Errors: those of params; NOT_FOUND. */
enum status release_asked(struct call *call, const struct snapshot **snapshot,
	const struct release **release);

#endif
