/* scan_reply.h - how large the replies of a scan are best. */
#ifndef TOOLS_COMMAND_SCAN_REPLY_H
#define TOOLS_COMMAND_SCAN_REPLY_H

#include "repstore.h"

#include <stdint.h>

/* Rows of one reply of about 4 MiB, when they come in the spec's dtype; >= 1. */
uint32_t scan_reply_rows(const struct rep_table_spec *spec);

#endif
