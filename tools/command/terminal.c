/* terminal.c - escapes of a terminal, its keyboard, and the signals that must not leave it behind changed. */
#include "tools/command/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The alternate screen, no cursor; and back. */
static const char enter[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
static const char leave[] = "\x1b[?25h\x1b[?1049l";

enum { COLUMNS = 80, ROWS = 24, INTERRUPTED = 130 };

static struct termios before; /* as it is to be left */
static volatile sig_atomic_t is_taken;
static volatile sig_atomic_t is_changed; /* the window, or the screen */

/* Writes at once, as a handler of a signal may. */
static void say(const char *text)
{
	size_t len = strlen(text);
	while (len > 0) {
		const ssize_t done = write(STDOUT_FILENO, text, len);
		if (done <= 0) {
			return;
		}
		text += done;
		len -= (size_t)done;
	}
}

static void take(void)
{
	struct termios quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
	say(enter);
	is_taken = 1;
}

void terminal_end(void)
{
	if (is_taken) {
		is_taken = 0;
		say(leave);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	}
}

/* ---- signals ---- */

static void on_window(int number)
{
	(void)number;
	is_changed = 1;
}

/* Ends as the signal would have ended the program. */
static void on_end(int number)
{
	terminal_end();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* Who looks at a screen ends it by Ctrl-C: that is no failure. */
static void on_interrupt(int number)
{
	(void)number;
	terminal_end();
	_exit(EXIT_SUCCESS);
}

/* The shell has the screen until the program goes on. */
static void on_stop(int number)
{
	const int kept = errno;
	(void)number;
	terminal_end();
	(void)raise(SIGSTOP);
	take();
	is_changed = 1;
	errno = kept;
}

static void hear(int number, void (*handler)(int))
{
	const struct sigaction action = {.sa_handler = handler};
	(void)sigaction(number, &action, NULL);
}

bool terminal_begin(void)
{
	static const int ends[] = {SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE,
		SIGILL, SIGABRT, SIGALRM, SIGUSR1, SIGUSR2};
	if (isatty(STDOUT_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) != 0) {
		return false;
	}
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		hear(ends[i], on_end);
	}
	hear(SIGINT, on_interrupt);
	hear(SIGTSTP, on_stop);
	hear(SIGWINCH, on_window);
	(void)atexit(terminal_end);
	take();
	return true;
}

/* ---- the keyboard and the screen ---- */

static uint64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum terminal_event terminal_wait(uint64_t milliseconds)
{
	const uint64_t end_ms = now_ms() + milliseconds;
	for (;;) {
		if (is_changed) {
			is_changed = 0;
			return TERMINAL_SIZE;
		}
		const uint64_t at_ms = now_ms();
		if (at_ms >= end_ms) {
			return TERMINAL_TIME;
		}
		struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
		if (poll(&keyboard, 1, (int)(end_ms - at_ms)) <= 0) {
			continue;
		}
		char key = '\0';
		const ssize_t got = read(STDIN_FILENO, &key, 1);
		if (got == 0 || (got < 0 && errno != EINTR) || key == 'q' || key == 'Q') {
			return TERMINAL_QUIT;
		}
	}
}

void terminal_show(const char *text)
{
	struct winsize window = {.ws_row = 0};
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
	const size_t columns = window.ws_col > 0 ? window.ws_col : COLUMNS;
	unsigned rows = window.ws_row > 0 ? window.ws_row : ROWS;
	say("\x1b[H");
	while (*text != '\0' && rows > 0) {
		char line[512];
		const size_t len = strcspn(text, "\n");
		size_t shown = len < columns ? len : columns;
		shown = shown < sizeof line - 8 ? shown : sizeof line - 8;
		/* What was there before is cleared, and the last line begins no other. */
		(void)snprintf(line, sizeof line, "%.*s\x1b[K%s", (int)shown, text,
			rows > 1 ? "\r\n" : "");
		say(line);
		text += len + (text[len] == '\n');
		rows--;
	}
	if (rows > 0) {
		say("\x1b[J");
	}
}
