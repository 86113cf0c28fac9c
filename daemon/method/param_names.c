/* param_names.c - the lists of names that several methods allow in their params. */
#include "daemon/method/methods.h"

const char *const no_names[] = {NULL};
const char *const release_only_names[] = {"release", NULL};
const char *const tensor_names[] = {"release", "tensor", NULL};
const char *const release_table_names[] = {"release", "table", NULL};
