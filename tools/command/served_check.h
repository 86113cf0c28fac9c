/* served_check.h - repstore served check. */
#ifndef TOOLS_COMMAND_SERVED_CHECK_H
#define TOOLS_COMMAND_SERVED_CHECK_H

#include "tools/command/session.h"

int served_check_run(struct session *session, int argc, char **argv);

#endif
