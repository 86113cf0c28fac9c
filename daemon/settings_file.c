/* settings_file.c - reads the INI file: inih splits it, and the table of settings says what is
 * allowed. */
#include "daemon/settings_value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* inih does not tell on which line a value stands, nor that it has cut a line. So the lines are
 * read here and given to inih. */
struct source {
	FILE *file;
	const char *path;
	char *line; /* getline's */
	size_t line_size;
	unsigned number;
	struct settings *settings;
	struct error *err;
	enum status status; /* of the first error */
};

static void fail(struct source *source, enum status status, const char *what, const char *why)
{
	if (source->status != STATUS_OK) {
		return;
	}
	source->status = error_set(source->err, status, "%s:%u: %s%s", source->path, source->number,
		what, why);
}

/* Gives inih one line, without the blanks before it: inih would take a line that begins with a
 * blank for the rest of the line before. */
static char *next_line(char *buffer, int size, void *arg)
{
	struct source *source = arg;
	assert(size > 2);
	ssize_t got = getline(&source->line, &source->line_size, source->file);
	if (got < 0) {
		return NULL;
	}
	source->number++;
	if (memchr(source->line, '\0', (size_t)got) != NULL) {
		fail(source, STATUS_BAD_REQUEST, "the line has a byte of value 0", "");
	}
	const char *text = source->line;
	while (isspace((unsigned char)*text)) {
		text++;
	}
	if (*text == '#' || *text == ';') {
		text = "";
	}
	size_t len = strcspn(text, "\r\n");
	if (len + 2 > (size_t)size) {
		fail(source, STATUS_BAD_REQUEST, "the line is too long", "");
		len = 0;
	}
	memcpy(buffer, text, len);
	memcpy(buffer + len, "\n", 2);
	return buffer;
}

/* Returns 0 for an error, as inih wants it. */
static int on_value(void *arg, const char *section, const char *key, const char *value)
{
	struct source *source = arg;
	const struct setting *setting = settings_find_key(section, key);
	struct error why;
	char what[128];
	if (setting == NULL) {
		char known[ERROR_TEXT_BYTES];
		settings_list(known, sizeof known, section);
		(void)snprintf(what, sizeof what, "unknown setting '%.40s' in section '%.40s'; ",
			key, section);
		fail(source, STATUS_BAD_REQUEST, what, known);
		return 0;
	}
	enum status status = setting->set(setting, source->settings, value, &why);
	if (status != STATUS_OK) {
		(void)snprintf(what, sizeof what, "%s: ", key);
		fail(source, status, what, why.text);
		return 0;
	}
	return 1;
}

/* Tells of a line that inih itself did not understand. inih reads on after such an error, and tells
 * the number of the line only at the end. */
static void check_syntax(struct source *source, int failed)
{
	if (failed == 0 || source->status != STATUS_OK) {
		return;
	}
	if (failed > 0) {
		source->number = (unsigned)failed;
	}
	fail(source, STATUS_BAD_REQUEST, "neither [section] nor key = value", "");
}

enum status settings_read_open(struct settings *settings, FILE *file, const char *path,
	struct error *err)
{
	struct source source = {.file = file, .path = path, .settings = settings, .err = err};
	if (strlen(path) >= sizeof settings->config) {
		return error_set(err, STATUS_BAD_REQUEST, "config '%s': the path is too long",
			path);
	}
	settings->listen_is_default = true;
	settings->access_is_default = SETTINGS_ROLES;
	check_syntax(&source, ini_parse_stream(next_line, &source, on_value, &source));
	if (source.status == STATUS_OK && ferror(source.file)) {
		source.status =
			error_set(err, STATUS_IO, "config '%s': it could not be read", path);
	}
	if (source.status == STATUS_OK) {
		memcpy(settings->config, path, strlen(path) + 1);
	}
	free(source.line);
	return source.status;
}

enum status settings_read(struct settings *settings, const char *path, struct error *err)
{
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return error_set(err, status_of_errno(errno), "config '%s': %s", path,
			strerror(errno));
	}
	enum status status = settings_read_open(settings, file, path, err);
	(void)fclose(file);
	return status;
}
