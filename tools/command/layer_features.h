/* layer_features.h - repstore layer features. */
#ifndef TOOLS_COMMAND_LAYER_FEATURES_H
#define TOOLS_COMMAND_LAYER_FEATURES_H

#include "tools/command/session.h"

int layer_features_run(struct session *session, int argc, char **argv);

#endif
