/* test_settings.c - the settings file and the command line. */
#include "daemon/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *shipped; /* the file that is installed */

/* Reads some bytes as a file; `err` names it FILE. */
static enum status read_bytes(struct settings *settings, const char *text, size_t len,
	struct error *err)
{
	char path[] = "/tmp/settings-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	enum status status = settings_read(settings, path, err);
	unlink(path);
	if (status != STATUS_OK && strncmp(err->text, path, strlen(path)) == 0) {
		char rest[ERROR_TEXT_BYTES];
		(void)snprintf(rest, sizeof rest, "FILE%s", err->text + strlen(path));
		memcpy(err->text, rest, sizeof rest);
	}
	return status;
}

static enum status read_text(struct settings *settings, const char *text, struct error *err)
{
	return read_bytes(settings, text, strlen(text), err);
}

static void a_file_sets_what_it_names(void **state)
{
	static const char text[] = "# comment\n"
				   "[store]\n"
				   "data = /srv/rep store\n"
				   "  load_memory=1G ; inline\n"
				   "[net]\r\n"
				   "workers: 3\n"
				   "listen = a.sock\n"
				   "listen = tcp:127.0.0.1:1\n"
				   "socket_mode = 0600\n"
				   "request_timeout = 500ms\n"
				   "stop_grace = 2m\n"
				   "[served]\n"
				   "rate = 0.0125\n"
				   "rows = on\n"
				   "[net]\n"
				   "spin_us = 50\n"
				   "reply_memory = 104857600";
	struct settings settings;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(read_text(&settings, text, &err), STATUS_OK);
	assert_string_equal(settings.data, "/srv/rep store");
	assert_int_equal(settings.load_memory_bytes, 1 << 30);
	assert_int_equal(settings.workers, 3);
	assert_int_equal(settings.pool, 2);
	assert_int_equal(settings.listen_count, 2);
	assert_string_equal(settings.listen[0], "a.sock");
	assert_string_equal(settings.listen[1], "tcp:127.0.0.1:1");
	assert_int_equal(settings.socket_mode, 0600);
	assert_int_equal(settings.request_timeout_ms, 500);
	assert_int_equal(settings.stop_grace_ms, 120000);
	assert_int_equal(settings.spin_us, 50);
	assert_int_equal(settings.served_rate_ppm, 12500);
	assert_true(settings.served_rows);
	assert_int_equal(settings.reply_memory_bytes, 100 << 20);
}

static void what_is_wrong_in_a_file_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"[log]\n\nmerges = 3\n",
			"FILE:3: unknown setting 'merges' in section 'log'; its keys are durability, "
			"sync_interval, log_size, memtable_rows, memtable_memory, merge_age, "
			"merge_rate"},
		{"[nte]\nworkers = 3\n",
			"FILE:2: unknown setting 'workers' in section 'nte'; the sections are store, log, "
			"net, access, http, tls, served"},
		{"workers = 3\n",
			"FILE:1: unknown setting 'workers' in section ''; the sections are store, log, net, "
			"access, http, tls, served"},
		{"[served]\nrate = 1.1\n",
			"FILE:2: rate: '1.1' is no share from 0 to 1 with six decimals at most"},
		{"[served]\nrate = 0.0000001\n",
			"FILE:2: rate: '0.0000001' is no share from 0 to 1 with six decimals at most"},
		{"[served]\nrate = 1%\n",
			"FILE:2: rate: '1%' is no share from 0 to 1 with six decimals at most"},
		{"[served]\nrows = yes\n", "FILE:2: rows: 'yes' given, off or on allowed"},
		{"[net]\nworkers = 0\n", "FILE:2: workers: '0' is no number from 1 to 256"},
		{"[net]\nspin_us = 20000\n",
			"FILE:2: spin_us: '20000' is no number from 0 to 10000"},
		{"[net]\nworkers = 3x\n", "FILE:2: workers: '3x' is no number from 1 to 256"},
		{"[net]\nworkers = 99999999999999999999\n",
			"FILE:2: workers: '99999999999999999999' is no number from 1 to 256"},
		{"[net]\nworkers =\n", "FILE:2: workers: '' is no number from 1 to 256"},
		{"[net]\nrequest_memory = 1M\n",
			"FILE:2: request_memory: '1M' is no size from 128M to 1T"},
		{"[net]\nrequest_memory = 16777216T\n",
			"FILE:2: request_memory: '16777216T' is no size from 128M to 1T"},
		{"[net]\nrequest_timeout = 5 days\n",
			"FILE:2: request_timeout: '5 days' is no time from 0 to 24h"},
		{"[net]\nsocket_mode = 668\n",
			"FILE:2: socket_mode: '668' is no octal mode from 0 to 0777"},
		{"[access]\nread = bob\n",
			"FILE:2: read: 'bob': user:NAME, group:NAME, cert:KIND=PATTERN or "
			"tcp:loopback is allowed"},
		{"[access]\n\nadmin = user:0 user:no-such-user\n",
			"FILE:3: admin: 'user:no-such-user': there is no user 'no-such-user' on "
			"this machine; a name or a number is allowed"},
		{"[access]\nnone = user:0\n",
			"FILE:2: unknown setting 'none' in section 'access'; its keys are read, write, "
			"publish, admin"},
		{"[store]\ndata =\n", "FILE:2: data: the value is empty"},
		{"[net]\nworkers\n", "FILE:2: neither [section] nor key = value"},
		{"[net\n", "FILE:1: neither [section] nor key = value"},
		{"[net]\nworkers = 3\n  pool\n", "FILE:3: neither [section] nor key = value"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct settings settings;
		struct error err;
		settings_init(&settings);
		assert_int_equal(read_text(&settings, cases[i].text, &err), STATUS_BAD_REQUEST);
		assert_string_equal(err.text, cases[i].why);
	}
}

static void a_line_is_never_cut(void **state)
{
	char comment[300];
	char path[250];
	char text[600];
	struct settings settings;
	struct error err;
	(void)state;
	settings_init(&settings);
	memset(comment, 'c', sizeof comment);
	memset(path, 'p', sizeof path);
	(void)snprintf(text, sizeof text, "[store]\n#%.300s\ndata = /%.20s", comment, path);
	assert_int_equal(read_text(&settings, text, &err), STATUS_OK);
	(void)snprintf(text, sizeof text, "[store]\n#%.300s\ndata = /%.250s", comment, path);
	assert_int_equal(read_text(&settings, text, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "FILE:3: the line is too long");
}

static void a_line_does_not_end_at_a_zero_byte(void **state)
{
	static const char text[] = "[net]\nworkers = 3\0 evil\n";
	struct settings settings;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(read_bytes(&settings, text, sizeof text - 1, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "FILE:2: the line has a byte of value 0");
}

static void a_missing_file_is_an_error(void **state)
{
	struct settings settings;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(settings_read(&settings, "/nowhere/x.conf", &err), STATUS_NOT_FOUND);
	assert_string_equal(err.text, "config '/nowhere/x.conf': No such file or directory");
}

/* Every setting that the installed file shows is known, and shows its default. */
static void the_installed_file_shows_the_defaults(void **state)
{
	struct settings before;
	struct settings after;
	struct error err;
	char line[512];
	char text[32768] = "";
	size_t len = 0;
	(void)state;
	FILE *file = fopen(shipped, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		const char *shown = line[0] == ';' ? line + 1 : line;
		len += (size_t)snprintf(text + len, sizeof text - len, "%s", shown);
		assert_true(len < sizeof text);
	}
	(void)fclose(file);
	settings_init(&before);
	settings_init(&after);
	enum status status = read_text(&after, text, &err);
	if (status != STATUS_OK) {
		print_error("%s\n", err.text);
	}
	assert_int_equal(status, STATUS_OK);
	assert_int_equal(after.workers, 4);
	assert_int_equal(after.search_threads, 4);
	after.workers = before.workers; /* as many as there are processors, as these */
	after.search_threads = before.search_threads;
	assert_string_equal(after.backup_folder, "/var/backups/repstore"); /* by default none */
	memset(after.backup_folder, 0, sizeof after.backup_folder);
	assert_string_equal(after.served_file, "/var/log/repstore/served"); /* by default none */
	memset(after.served_file, 0, sizeof after.served_file);
	assert_string_equal(after.tls_crl, "/etc/repstore/tls/crl.pem"); /* these have no default */
	memset(after.tls_certificate, 0, sizeof after.tls_certificate);
	memset(after.tls_key, 0, sizeof after.tls_key);
	memset(after.tls_authority, 0, sizeof after.tls_authority);
	memset(after.tls_crl, 0, sizeof after.tls_crl);
	memset(after.config, 0, sizeof after.config);
	after.listen_is_default = before.listen_is_default;
	after.access_is_default = before.access_is_default;
	assert_memory_equal(&before, &after, sizeof before);
}

static enum status apply(struct settings *settings, const char *const *argv, const char **config,
	enum settings_wish *wish, struct error *err)
{
	int argc = 0;
	while (argv[argc] != NULL) {
		argc++;
	}
	enum status status = settings_find(argc, argv, wish, config, err);
	if (status == STATUS_OK && *wish == SETTINGS_RUN) {
		status = settings_apply(settings, argc, argv, err);
	}
	return status;
}

static void the_command_line_overrides(void **state)
{
	const char *argv[] = {"repstored", "--data", "/d", "--listen=x=y", "--listen", "z",
		"--workers=7", "--config", "/etc/c", "--reply-memory", "2G", NULL};
	struct settings settings;
	enum settings_wish wish;
	const char *config = NULL;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(read_text(&settings, "[net]\nlisten=f\nlisten=g\nlisten=h\n", &err),
		STATUS_OK);
	assert_int_equal(settings.listen_count, 3);
	assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_OK);
	assert_int_equal(wish, SETTINGS_RUN);
	assert_string_equal(config, "/etc/c");
	assert_string_equal(settings.data, "/d");
	assert_int_equal(settings.listen_count, 2);
	assert_string_equal(settings.listen[0], "x=y");
	assert_string_equal(settings.listen[1], "z");
	assert_int_equal(settings.workers, 7);
	assert_int_equal(settings.reply_memory_bytes, UINT64_C(2) << 30);
}

static unsigned roles_of(const struct settings *settings, uint32_t uid)
{
	const struct peer_identity peer = {.kind = IDENTITY_UNIX, .uid = uid, .gid = uid};
	return access_roles(&settings->access, &peer) & ~(unsigned)ROLE_ANYBODY;
}

static void roles_add_up_and_the_command_line_replaces_them(void **state)
{
	static const char text[] = "[access]\nread = user:1001 user:1002\nread = user:1003\n"
				   "write = user:1004\n";
	const char *argv[] = {"repstored", "--read", "user:1005", "--read=user:1006",
		"--write=", NULL};
	struct settings settings;
	enum settings_wish wish;
	const char *config = NULL;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(roles_of(&settings, 1001), 0);
	assert_int_equal(read_text(&settings, text, &err), STATUS_OK);
	assert_int_equal(roles_of(&settings, 1001), ROLE_READ);
	assert_int_equal(roles_of(&settings, 1003), ROLE_READ);
	assert_int_equal(roles_of(&settings, 1004), ROLE_READ | ROLE_WRITE);
	assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_OK);
	assert_int_equal(roles_of(&settings, 1001), 0);
	assert_int_equal(roles_of(&settings, 1004), 0);
	assert_int_equal(roles_of(&settings, 1005), ROLE_READ);
	assert_int_equal(roles_of(&settings, 1006), ROLE_READ);
}

static void wrong_arguments_are_named(void **state)
{
	static const struct {
		const char *first;
		const char *second;
		const char *why;
	} cases[] = {
		{"--durable", "sync", "unknown argument '--durable'"},
		{"--durability", "never", "--durability: 'never' given, sync or periodic allowed"},
		{"data", NULL, "unknown argument 'data'"},
		{"--dat", "x", "unknown argument '--dat'"},
		{"--data", NULL, "--data: a value is missing"},
		{"--data=", NULL, "--data: the value is empty"},
		{"--workers", "-1", "--workers: '-1' is no number from 1 to 256"},
		{"--load-memory", "1M", "--load-memory: '1M' is no size from 128M to 1T"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *argv[] = {"repstored", cases[i].first, cases[i].second, NULL};
		struct settings settings;
		enum settings_wish wish;
		const char *config = NULL;
		struct error err;
		settings_init(&settings);
		assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_BAD_REQUEST);
		assert_string_equal(err.text, cases[i].why);
	}
}

static void help_and_version_are_asked_for(void **state)
{
	static const struct {
		const char *argument;
		enum settings_wish wish;
	} rows[] = {{"-h", SETTINGS_HELP}, {"--help", SETTINGS_HELP}, {"-V", SETTINGS_VERSION},
		{"--check-config", SETTINGS_CHECK}, {"--version", SETTINGS_VERSION}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *argv[] = {"repstored", rows[i].argument, NULL};
		struct settings settings;
		enum settings_wish wish;
		const char *config = NULL;
		struct error err;
		settings_init(&settings);
		assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_OK);
		assert_int_equal(wish, rows[i].wish);
	}
}

static void too_many_addresses_are_refused(void **state)
{
	const char *argv[2 * SETTINGS_LISTEN_MAX + 4] = {"repstored"};
	struct settings settings;
	enum settings_wish wish;
	const char *config = NULL;
	struct error err;
	(void)state;
	settings_init(&settings);
	for (unsigned i = 0; i < SETTINGS_LISTEN_MAX; i++) {
		argv[1 + 2 * i] = "--listen";
		argv[2 + 2 * i] = "s";
	}
	assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_OK);
	argv[1 + 2 * SETTINGS_LISTEN_MAX] = "--listen";
	argv[2 + 2 * SETTINGS_LISTEN_MAX] = "s";
	assert_int_equal(apply(&settings, argv, &config, &wish, &err), STATUS_BAD_REQUEST);
	assert_string_equal(err.text, "--listen: more than 16 addresses");
}

static void what_may_change_is_taken_over(void **state)
{
	static struct settings settings;
	static struct settings wanted;
	struct settings_change changes[SETTINGS_CHANGES_MAX];
	struct error err;
	(void)state;
	settings_init(&settings);
	settings_init(&wanted);
	assert_int_equal(settings_adopt(&settings, &wanted, changes), 0);
	assert_int_equal(read_text(&wanted,
				 "[store]\ndata = /other\n[log]\nmerge_rate = 7M\n[net]\n"
				 "listen = x\nworkers = 200\nstop_grace = 9s\n[access]\n"
				 "read = user:7\nadmin = user:8\n",
				 &err),
		STATUS_OK);
	static const struct settings_change expected[] = {{"store", "data", false},
		{"log", "merge_rate", true}, {"net", "listen", false}, {"net", "workers", false},
		{"net", "stop_grace", true}, {"access", "read", true}, {"access", "admin", true}};
	const unsigned count = settings_adopt(&settings, &wanted, changes);
	assert_int_equal(count, sizeof expected / sizeof expected[0]);
	for (unsigned i = 0; i < count; i++) {
		assert_string_equal(changes[i].section, expected[i].section);
		assert_string_equal(changes[i].key, expected[i].key);
		assert_int_equal(changes[i].taken, expected[i].taken);
	}
	assert_string_equal(settings.data, "/var/lib/repstore");
	assert_int_equal(settings.merge_rate_bytes, 7 << 20);
	assert_int_equal(settings.stop_grace_ms, 9000);
	assert_int_equal(roles_of(&settings, 7), ROLE_READ);
	assert_int_equal(settings_adopt(&settings, &wanted, changes), 3);
}

static void help_and_version_are_wishes(void **state)
{
	const char *help[] = {"repstored", "--data", "/d", "--help", NULL};
	const char *version[] = {"repstored", "--version", NULL};
	struct settings settings;
	enum settings_wish wish;
	const char *config = NULL;
	struct error err;
	(void)state;
	settings_init(&settings);
	assert_int_equal(apply(&settings, help, &config, &wish, &err), STATUS_OK);
	assert_int_equal(wish, SETTINGS_HELP);
	assert_int_equal(apply(&settings, version, &config, &wish, &err), STATUS_OK);
	assert_int_equal(wish, SETTINGS_VERSION);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_sets_what_it_names),
		cmocka_unit_test(what_is_wrong_in_a_file_is_named_with_its_line),
		cmocka_unit_test(a_line_is_never_cut),
		cmocka_unit_test(a_line_does_not_end_at_a_zero_byte),
		cmocka_unit_test(a_missing_file_is_an_error),
		cmocka_unit_test(the_installed_file_shows_the_defaults),
		cmocka_unit_test(the_command_line_overrides),
		cmocka_unit_test(roles_add_up_and_the_command_line_replaces_them),
		cmocka_unit_test(wrong_arguments_are_named),
		cmocka_unit_test(help_and_version_are_asked_for),
		cmocka_unit_test(too_many_addresses_are_refused),
		cmocka_unit_test(what_may_change_is_taken_over),
		cmocka_unit_test(help_and_version_are_wishes),
	};
	if (argc != 2) {
		return 2;
	}
	shipped = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
