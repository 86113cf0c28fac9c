/* test_address.c - addresses to listen on, and sockets bound to them. */
#include "daemon/net/address.h"
#include "daemon/net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void addresses_have_a_normal_form(void **state)
{
	static const struct {
		const char *given;
		const char *text;
	} cases[] = {
		{"unix:/run/x.sock", "unix:/run/x.sock"},
		{"/run/x.sock", "unix:/run/x.sock"},
		{"x.sock", "unix:x.sock"},
		{"./a:b", "unix:./a:b"},
		{"tcp:127.0.0.1:7000", "tcp:127.0.0.1:7000"},
		{"tcp:127.9.8.7:0", "tcp:127.9.8.7:0"},
		{"tcp:localhost:65535", "tcp:127.0.0.1:65535"},
		{"tcp:[::1]:80", "tcp:[::1]:80"},
		{"tcp:::1:80", "tcp:[::1]:80"},
		{"tls:0.0.0.0:7000", "tls:0.0.0.0:7000"},
		{"tls:10.1.2.3:7000", "tls:10.1.2.3:7000"},
		{"tls:[::]:7000", "tls:[::]:7000"},
		{"tls:localhost:7000", "tls:127.0.0.1:7000"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address;
		struct error err;
		assert_int_equal(address_parse(cases[i].given, &address, &err), STATUS_OK);
		assert_string_equal(address.text, cases[i].text);
	}
}

static void wrong_addresses_are_named(void **state)
{
	static const struct {
		const char *given;
		const char *why;
	} cases[] = {
		{"tcp:0.0.0.0:7000",
			"plain TCP listens on loopback alone; peers on other machines need tls:HOST:PORT"},
		{"tcp:10.0.0.1:7000",
			"plain TCP listens on loopback alone; peers on other machines need tls:HOST:PORT"},
		{"tcp:[::]:7000",
			"plain TCP listens on loopback alone; peers on other machines need tls:HOST:PORT"},
		{"tcp:example.org:7000",
			"'example.org' is no address, and names are not looked up"},
		{"tls:example.org:7000",
			"'example.org' is no address, and names are not looked up"},
		{"tls:127.0.0.1", "tls:HOST:PORT is expected"},
		{"tls::7000", "tls:HOST:PORT is expected"},
		{"tls:127.0.0.1:65536", "the port '65536' is not a number from 0 to 65535"},
		{"tcp:127.0.0.1", "tcp:HOST:PORT is expected"},
		{"tcp::7000", "tcp:HOST:PORT is expected"},
		{"tcp:127.0.0.1:", "the port '' is not a number from 0 to 65535"},
		{"tcp:127.0.0.1:65536", "the port '65536' is not a number from 0 to 65535"},
		{"tcp:127.0.0.1:-1", "the port '-1' is not a number from 0 to 65535"},
		{"tcp:127.0.0.1:080000", "the port '080000' is not a number from 0 to 65535"},
		{"", "the path is empty"},
		{"unix:", "the path is empty"},
		{"http://127.0.0.1",
			"unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path is expected"},
		{"127.0.0.1:7000", "unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path is expected"},
		{"[::1]:7000", "unix:PATH, tls:HOST:PORT, tcp:HOST:PORT or a path is expected"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address;
		struct error err;
		char text[ERROR_TEXT_BYTES];
		(void)snprintf(text, sizeof text, "listen '%s': %s", cases[i].given, cases[i].why);
		assert_int_equal(address_parse(cases[i].given, &address, &err), STATUS_BAD_REQUEST);
		assert_string_equal(err.text, text);
	}
}

static void the_longest_path_fits_and_no_longer_one(void **state)
{
	char path[120];
	struct address address;
	struct error err;
	(void)state;
	memset(path, 'p', sizeof path);
	path[107] = '\0';
	assert_int_equal(address_parse(path, &address, &err), STATUS_OK);
	assert_int_equal(strlen(address.text), 5 + 107);
	path[107] = 'p';
	path[108] = '\0';
	assert_int_equal(address_parse(path, &address, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "the path has 108 bytes, 107 are allowed"));
}

struct folder {
	char path[32];
	struct address address; /* of a socket in it */
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof *folder);
	char path[64];
	struct error err;
	assert_non_null(folder);
	(void)snprintf(folder->path, sizeof folder->path, "/tmp/address-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	(void)snprintf(path, sizeof path, "%s/s", folder->path);
	assert_int_equal(address_parse(path, &folder->address, &err), STATUS_OK);
	*state = folder;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	int failed = rmdir(folder->path);
	free(folder);
	return failed;
}

static void a_socket_has_its_mode_and_goes_with_its_listener(void **state)
{
	struct folder *folder = *state;
	const char *path = folder->address.socket.un.sun_path;
	struct listener listener;
	struct listener second;
	struct error err;
	struct stat found;
	assert_int_equal(listener_open(&folder->address, 0620, &listener, &err), STATUS_OK);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0620);
	assert_int_equal(listener_open(&folder->address, 0600, &second, &err), STATUS_EXISTS);
	assert_non_null(strstr(err.text, "another process answers there"));
	listener_close(&listener);
	listener_close(&listener);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_socket_that_nobody_answers_at_is_replaced(void **state)
{
	struct folder *folder = *state;
	struct listener listener;
	struct error err;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, &folder->address.socket.any, folder->address.len), 0);
	close(fd);
	assert_int_equal(listener_open(&folder->address, 0600, &listener, &err), STATUS_OK);
	listener_close(&listener);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct folder *folder = *state;
	const char *path = folder->address.socket.un.sun_path;
	struct listener listener;
	struct error err;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(listener_open(&folder->address, 0600, &listener, &err), STATUS_EXISTS);
	assert_non_null(strstr(err.text, "is no socket"));
	assert_int_equal(unlink(path), 0);
}

static void another_process_socket_is_not_unlinked(void **state)
{
	struct folder *folder = *state;
	const char *path = folder->address.socket.un.sun_path;
	struct listener old;
	struct listener new;
	struct error err;
	assert_int_equal(listener_open(&folder->address, 0600, &old, &err), STATUS_OK);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(listener_open(&folder->address, 0600, &new, &err), STATUS_OK);
	listener_close(&old);
	assert_int_equal(access(path, F_OK), 0);
	listener_close(&new);
}

static void a_port_of_zero_becomes_a_real_one(void **state)
{
	struct address address;
	struct listener listener;
	struct listener adopted;
	struct error err;
	(void)state;
	assert_int_equal(address_parse("tcp:127.0.0.1:0", &address, &err), STATUS_OK);
	assert_int_equal(listener_open(&address, 0, &listener, &err), STATUS_OK);
	assert_int_not_equal(ntohs(listener.address.socket.in.sin_port), 0);
	assert_string_not_equal(listener.address.text, "tcp:127.0.0.1:0");
	assert_int_equal(listener_adopt(dup(listener.fd), &adopted, &err), STATUS_OK);
	assert_string_equal(adopted.address.text, listener.address.text);
	listener_close(&adopted);
	listener_close(&listener);
}

static void passed_sockets_are_checked(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct listener listener;
	struct error err;
	(void)state;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(listener_adopt(fd, &listener, &err), STATUS_BAD_REQUEST);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(listener_adopt(fd, &listener, &err), STATUS_BAD_REQUEST);
	assert_non_null(strstr(err.text, "loopback alone"));
	close(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(listener_adopt(fd, &listener, &err), STATUS_BAD_REQUEST);
	close(fd);
	assert_int_equal(listener_adopt(-1, &listener, &err), STATUS_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_a_normal_form),
		cmocka_unit_test(wrong_addresses_are_named),
		cmocka_unit_test(the_longest_path_fits_and_no_longer_one),
		cmocka_unit_test_setup_teardown(a_socket_has_its_mode_and_goes_with_its_listener,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_socket_that_nobody_answers_at_is_replaced,
			make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(another_process_socket_is_not_unlinked, make_folder,
			remove_folder),
		cmocka_unit_test(a_port_of_zero_becomes_a_real_one),
		cmocka_unit_test(passed_sockets_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
