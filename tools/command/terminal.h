/* terminal.h - the alternate screen of a terminal, which is left as it was on any way out.
 *
 *   terminal_begin -> terminal_wait, terminal_show ... -> terminal_end
 *
 * On a signal that ends the program, also one of a crash, and at exit, the screen, the cursor and the keyboard are put
 * back first. A stop (Ctrl-Z) gives the screen back until the program goes on.
 *
 * Threads: the main one; there is one terminal.
 */
#ifndef TOOLS_COMMAND_TERMINAL_H
#define TOOLS_COMMAND_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the screen. False: stdin or stdout is no terminal, and nothing was done. */
bool terminal_begin(void);
/* Gives it back. A second call does nothing. */
void terminal_end(void);

enum terminal_event {
	TERMINAL_TIME, /* the time is over */
	TERMINAL_SIZE, /* the window has another size, or the screen was lost meanwhile */
	TERMINAL_QUIT, /* q was typed, or the terminal is gone */
};

/* Waits so long at most. */
enum terminal_event terminal_wait(uint64_t milliseconds);

/* Shows as much of the text as the window has room for: its first lines, cut at the right. */
void terminal_show(const char *text);

#endif
