/* table_print.h - prints what table.list and table.show answer.
 *
 * Threads: the command has one.
 */
#ifndef TOOLS_COMMAND_TABLE_PRINT_H
#define TOOLS_COMMAND_TABLE_PRINT_H

#include "schema/wire.h"

void table_print_list(struct wire_value result);
void table_print(struct wire_value result);

#endif
