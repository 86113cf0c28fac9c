/* layer_evaluate.h - the verb `repstore layer evaluate`. */
#ifndef TOOLS_COMMAND_LAYER_EVALUATE_H
#define TOOLS_COMMAND_LAYER_EVALUATE_H

#include "tools/command/session.h"

int layer_evaluate_run(struct session *session, int argc, char **argv);

#endif
