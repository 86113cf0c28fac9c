/* test_notify.c - what the service manager is told, and what it gets from its variables. */
#include "daemon/notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};

static int forget_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		unsetenv(variables[i]);
	}
	return 0;
}

static void set_own_pid(const char *name)
{
	char text[32];
	(void)snprintf(text, sizeof text, "%d", (int)getpid());
	setenv(name, text, 1);
}

/* A socket of the manager's; `name` begins with '/' or '@'. */
static int manager_open(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t len = strlen(name);
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	memcpy(address.sun_path, name, len);
	address.sun_path[0] = name[0] == '@' ? '\0' : name[0];
	assert_int_equal(bind(fd, (const struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void expect_told(int manager, const char *text)
{
	char got[64] = {0};
	assert_int_equal(recv(manager, got, sizeof got - 1, 0), strlen(text));
	assert_string_equal(got, text);
}

static void expect_all(int manager)
{
	char more;
	notify_ready();
	notify_alive();
	notify_stopping();
	expect_told(manager, "READY=1");
	expect_told(manager, "WATCHDOG=1");
	expect_told(manager, "STOPPING=1");
	assert_int_equal(recv(manager, &more, 1, 0), -1);
	close(manager);
}

static void the_manager_is_told(void **state)
{
	char name[] = "/tmp/notify-XXXXXX";
	char abstract[sizeof name];
	(void)state;
	assert_non_null(mkdtemp(name));
	memcpy(abstract, name, sizeof name);
	abstract[0] = '@';
	assert_int_equal(rmdir(name), 0);
	expect_all(manager_open(name));
	unlink(name);
	expect_all(manager_open(abstract));
}

/* There is nothing to see but that it returns. */
static void nobody_is_told_where_nobody_is(void **state)
{
	char longest[200];
	const char *const names[] = {"", "/", "x", "/nowhere/at/all", "@nobody-has-bound-this",
		longest};
	(void)state;
	memset(longest, '/', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	notify_ready();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_ready();
	}
}

static void a_watchdog_is_of_one_process(void **state)
{
	(void)state;
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	set_own_pid("WATCHDOG_PID");
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	set_own_pid("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "30s", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "-1", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
}

/* Makes descriptors 3 to 5 as a manager passes them. */
static void pass_three(const char *names)
{
	for (int fd = 3; fd < 6; fd++) {
		assert_int_equal(dup2(STDERR_FILENO, fd), fd);
	}
	set_own_pid("LISTEN_PID");
	setenv("LISTEN_FDS", "3", 1);
	if (names != NULL) {
		setenv("LISTEN_FDNAMES", names, 1);
	}
}

static void sockets_have_their_names(void **state)
{
	struct notify_socket got[NOTIFY_SOCKETS_MAX];
	(void)state;
	pass_three(
		"rpc:http:a-name-that-is-longer-than-the-bytes-that-there-are-for-one-of-them-in-all");
	assert_int_equal(notify_sockets(got), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(got[i].fd, 3 + i);
		assert_int_equal(fcntl(3 + i, F_GETFD), FD_CLOEXEC);
	}
	assert_string_equal(got[0].name, "rpc");
	assert_string_equal(got[1].name, "http");
	assert_int_equal(strlen(got[2].name), NOTIFY_NAME_BYTES - 1);
	/* They are given once. */
	assert_int_equal(notify_sockets(got), 0);
	assert_null(getenv("LISTEN_FDS"));
}

static void sockets_without_names_are_unknown(void **state)
{
	struct notify_socket got[NOTIFY_SOCKETS_MAX];
	(void)state;
	pass_three(NULL);
	assert_int_equal(notify_sockets(got), 3);
	assert_string_equal(got[2].name, "unknown");
	pass_three("rpc:"); /* a name too few */
	assert_int_equal(notify_sockets(got), 3);
	assert_string_equal(got[0].name, "rpc");
	assert_string_equal(got[1].name, "");
	assert_string_equal(got[2].name, "");
}

static void sockets_of_others_are_left_alone(void **state)
{
	struct notify_socket got[NOTIFY_SOCKETS_MAX];
	(void)state;
	assert_int_equal(notify_sockets(got), 0);
	pass_three("rpc:rpc:rpc");
	setenv("LISTEN_PID", "1", 1);
	assert_int_equal(notify_sockets(got), 0);
	assert_int_equal(fcntl(3, F_GETFD), 0);
	pass_three("rpc");
	setenv("LISTEN_FDS", "99999999999", 1);
	assert_int_equal(notify_sockets(got), 0);
}

static void more_sockets_than_there_is_room_for_are_counted(void **state)
{
	struct notify_socket got[NOTIFY_SOCKETS_MAX];
	(void)state;
	pass_three(NULL);
	setenv("LISTEN_FDS", "40", 1);
	assert_int_equal(notify_sockets(got), 40);
	assert_int_equal(got[NOTIFY_SOCKETS_MAX - 1].fd, 3 + NOTIFY_SOCKETS_MAX - 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, forget_all, forget_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_manager_is_told),
		CASE(nobody_is_told_where_nobody_is),
		CASE(a_watchdog_is_of_one_process),
		CASE(sockets_have_their_names),
		CASE(sockets_without_names_are_unknown),
		CASE(sockets_of_others_are_left_alone),
		CASE(more_sockets_than_there_is_room_for_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
