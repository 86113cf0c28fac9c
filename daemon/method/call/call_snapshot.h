/* call_snapshot.h - the snapshot of a call that reads.
 *
 * Threads: one at a time: the one that runs the method.
 */
#ifndef DAEMON_METHOD_CALL_CALL_SNAPSHOT_H
#define DAEMON_METHOD_CALL_CALL_SNAPSHOT_H

struct call;
struct params;
struct snapshot;

/* Begins the snapshot of a call that reads the release which its params name as "release". On a loop
 * it is a short one; on a thread that may block, one that nobody waits for (reader.h). snapshot_end
 * ends either. A name that is wrong is no error here: it is told when it is read. NULL: no memory, and
 * call->error says so. */
const struct snapshot *call_snapshot(struct call *call, const struct params *params);

#endif
