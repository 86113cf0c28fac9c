/* repstored.c - main of the daemon: it reads the settings, then runs the process. */
#include "daemon/backup_folder.h"
#include "daemon/journal.h"
#include "daemon/process.h"
#include "daemon/settings.h"
#include "daemon/store/formats.h"
#include "daemon/upgrade_print.h"
#include "daemon/verify_print.h"
#include "schema/protocol.h"

#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int fail_usage(const struct error *err)
{
	(void)fprintf(stderr, "repstored: %s\nrepstored --help says more\n", err->text);
	return PROCESS_USAGE;
}

/* Opens /dev/null for each of the three standard files that is closed. If standard error were
 * closed, the catalog or a peer's socket would get its descriptor, and the journal would be written
 * there. */
static bool hold_standard_files(void)
{
	int fd = STDIN_FILENO;
	while (fd >= 0 && fd <= STDERR_FILENO) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	return fd >= 0 && close(fd) == 0;
}

static void print_version(void)
{
	(void)printf("repstored %s\nprotocol %d\nformats", REPSTORE_VERSION, PROTOCOL_VERSION);
	for (size_t i = 0; i < store_formats_count; i++) {
		(void)printf("%s %s %u", i > 0 ? "," : "", store_formats[i].name,
			store_formats[i].version);
	}
	(void)printf("\nbuild %s, http %s, tls %s\n", REPSTORE_BUILD,
		REPSTORE_HAVE_HTTP ? "yes" : "no", REPSTORE_HAVE_TLS ? "yes" : "no");
}

/* Says whether the daemon would take the settings; it is not started, and no other is disturbed. */
static int check(const struct settings *settings)
{
	struct error err;
	if (process_check(settings, &err) != STATUS_OK ||
		backup_folder_check(settings, &err) != STATUS_OK) {
		const bool has_file = settings->config[0] != '\0';
		(void)fprintf(stderr, "repstored: %s%s%s\n", settings->config, has_file ? ": " : "",
			err.text);
		return PROCESS_FAILED;
	}
	(void)printf("the settings are fine: %s\n",
		settings->config[0] != '\0' ? settings->config : "no file");
	return PROCESS_DONE;
}

static int fail_settings(const struct error *err, enum settings_wish wish)
{
	if (wish == SETTINGS_CHECK) {
		(void)fprintf(stderr, "repstored: %s\n", err->text);
	} else {
		journal_event(JOURNAL_ERROR, "event=start_failed error=\"%s\"", err->text);
	}
	return PROCESS_FAILED;
}

int main(int argc, char **argv)
{
	if (!hold_standard_files()) {
		return PROCESS_FAILED;
	}
	static struct settings settings; /* too large for a stack */
	struct error err;
	enum settings_wish wish;
	const char *config = NULL;
	/* The file at the usual place need not exist. */
	const struct settings_source source = {
		.usual = REPSTORED_CONFIG,
		.argc = argc,
		.argv = (const char *const *)argv,
	};
	settings_init(&settings);

	if (settings_find(argc, source.argv, &wish, &config, &err) != STATUS_OK) {
		return fail_usage(&err);
	}
	if (wish == SETTINGS_HELP) {
		settings_print_help(stdout);
		return PROCESS_DONE;
	}
	if (wish == SETTINGS_VERSION) {
		print_version();
		return PROCESS_DONE;
	}
	if (wish == SETTINGS_VERIFY) {
		return verify_print(config);
	}
	if (wish == SETTINGS_UPGRADE) {
		return upgrade_print(config);
	}
	if (config == NULL && access(source.usual, F_OK) == 0) {
		config = source.usual;
	}
	if (config != NULL && settings_read(&settings, config, &err) != STATUS_OK) {
		return fail_settings(&err, wish);
	}
	if (settings_apply(&settings, argc, source.argv, &err) != STATUS_OK) {
		return fail_usage(&err);
	}
	if (wish == SETTINGS_CHECK) {
		return check(&settings);
	}
	if (backup_folder_check(&settings, &err) != STATUS_OK) {
		journal_event(JOURNAL_WARNING, "event=backup_folder_unusable error=\"%s\"",
			err.text);
	}
	return process_run(&settings, &source);
}
