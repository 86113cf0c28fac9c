/* local_release.h - release.show of a folder.
 *
 * Threads: any, each with a call of its own.
 */
#ifndef DAEMON_LOCAL_LOCAL_RELEASE_H
#define DAEMON_LOCAL_LOCAL_RELEASE_H

#include "daemon/method/call/call.h"

enum status local_release_show_run(struct call *call);

#endif
