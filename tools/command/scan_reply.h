/* scan_reply.h - the best size of a scan's replies. */
#ifndef TOOLS_COMMAND_SCAN_REPLY_H
#define TOOLS_COMMAND_SCAN_REPLY_H

#include "repstore.h"

#include <stdint.h>

/* How many rows make a reply of about 4 MiB in the spec's dtype; >= 1. */
uint32_t scan_reply_rows(const struct rep_table_spec *spec);

#endif
