/* manifest.c - writes and reads the list of a backup's files. */
#include "daemon/store/backup/manifest.h"

#include "daemon/store/system/file.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* A line has at most so many bytes beside its name; and a manifest at most so many altogether, which is
 * enough for two million files. */
enum { LINE_BYTES = 64, NAME_BYTES = 255, TEXT_BYTES = 256 << 20 };

static const char *const kind_names[] = {
	[MANIFEST_BACKUP] = "backup",
	[MANIFEST_RELEASE] = "release",
};

enum status manifest_add(struct manifest *manifest, const char *name, uint64_t bytes, uint64_t sum)
{
	if (manifest->count == manifest->capacity) {
		const size_t capacity = manifest->capacity * 2 + 64;
		void *grown = realloc(manifest->files, capacity * sizeof *manifest->files);
		if (grown == NULL) {
			return STATUS_NO_MEMORY;
		}
		manifest->files = grown;
		manifest->capacity = capacity;
	}
	char *copy = strdup(name);
	if (copy == NULL) {
		return STATUS_NO_MEMORY;
	}
	manifest->files[manifest->count++] =
		(struct manifest_file){.sum = sum, .bytes = bytes, .name = copy};
	return STATUS_OK;
}

void manifest_cut(struct manifest *manifest, size_t count)
{
	while (manifest->count > count) {
		free(manifest->files[--manifest->count].name);
	}
}

static int compare(const void *a, const void *b)
{
	const struct manifest_file *left = a;
	const struct manifest_file *right = b;
	return strcmp(left->name, right->name);
}

void manifest_sort(struct manifest *manifest)
{
	if (manifest->count > 0) {
		qsort(manifest->files, manifest->count, sizeof *manifest->files, compare);
	}
}

const struct manifest_file *manifest_find(const struct manifest *manifest, const char *name)
{
	const struct manifest_file wanted = {.name = (char *)name};
	return manifest->count == 0 ? NULL
				    : bsearch(&wanted, manifest->files, manifest->count,
					      sizeof *manifest->files, compare);
}

void manifest_fini(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++) {
		free(manifest->files[i].name);
	}
	free(manifest->files);
	*manifest = (struct manifest){0};
}

/* ---- write ---- */

static int print_file(char *out, size_t size, const struct manifest_file *file)
{
	return snprintf(out, size, "file %016" PRIx64 " %" PRIu64 " %s\n", file->sum, file->bytes,
		file->name);
}

static int print_head(char *out, size_t size, const struct manifest *manifest)
{
	return snprintf(out, size, "repstore-manifest %d\nkind %s\nsequence %" PRIu64 "\n",
		MANIFEST_VERSION, kind_names[manifest->kind], manifest->sequence);
}

static int print_end(char *out, size_t size, const char *text, size_t len)
{
	return snprintf(out, size, "end %016" PRIx64 "\n", XXH3_64bits(text, len));
}

enum status manifest_write(const char *folder, const struct manifest *manifest, struct error *err)
{
	size_t size = (size_t)4 * LINE_BYTES;
	for (size_t i = 0; i < manifest->count; i++) {
		size += LINE_BYTES + strlen(manifest->files[i].name);
	}
	char *text = malloc(size);
	if (text == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "manifest of %zu files", manifest->count);
	}
	size_t len = (size_t)print_head(text, size, manifest);
	for (size_t i = 0; i < manifest->count; i++) {
		len += (size_t)print_file(text + len, size - len, &manifest->files[i]);
	}
	len += (size_t)print_end(text + len, size - len, text, len);
	const enum status status = file_replace(folder, MANIFEST_NAME, text, len, err);
	free(text);
	return status;
}

/* ---- read ---- */

/* A path below the folder: names of printable bytes, none of which leads up or begins with a dot. */
static bool is_name(const char *name)
{
	const size_t len = strlen(name);
	for (size_t i = 0; i < len; i++) {
		const bool begins = i == 0 || name[i - 1] == '/';
		if (name[i] <= ' ' || name[i] > '~' ||
			(begins && (name[i] == '.' || name[i] == '/'))) {
			return false;
		}
	}
	return len > 0 && len <= NAME_BYTES && name[len - 1] != '/';
}

/* Ends the line at `at`, and moves *at behind it. NULL: no line is left. */
static char *take_line(char **at, const char *end)
{
	char *line = *at;
	char *newline = line == end ? NULL : memchr(line, '\n', (size_t)(end - line));
	if (newline == NULL || memchr(line, '\0', (size_t)(newline - line)) != NULL) {
		return NULL;
	}
	*newline = '\0';
	*at = newline + 1;
	return line;
}

/* Reads `text`, which is what print_file has written, but for the newline. */
static bool read_file(const char *text, struct manifest_file *out)
{
	char again[LINE_BYTES + NAME_BYTES + 1];
	char *at;
	if (strncmp(text, "file ", 5) != 0) {
		return false;
	}
	out->sum = strtoull(text + 5, &at, 16);
	out->bytes = *at == ' ' ? strtoull(at + 1, &at, 10) : 0;
	out->name = at + 1;
	if (*at != ' ' || !is_name(out->name)) {
		return false;
	}
	/* So that nothing else is taken for it: signs, blanks, numbers that are too large. */
	const int len = print_file(again, sizeof again, out);
	return len > 0 && (size_t)len < sizeof again && strncmp(again, text, (size_t)len - 1) == 0;
}

static bool read_lines(char *at, const char *end, struct manifest *out, enum status *status)
{
	const char *line;
	while ((line = take_line(&at, end)) != NULL) {
		struct manifest_file file;
		/* In the order of their names, so none comes twice. */
		if (!read_file(line, &file) ||
			(out->count > 0 &&
				strcmp(out->files[out->count - 1].name, file.name) >= 0)) {
			return false;
		}
		*status = manifest_add(out, file.name, file.bytes, file.sum);
		if (*status != STATUS_OK) {
			return false;
		}
	}
	return at == end;
}

static bool read_head(char *text, size_t len, struct manifest *out, char **behind)
{
	char again[4 * LINE_BYTES];
	static const char before[] = "\nsequence ";
	const char *sequence = memmem(text, len, before, sizeof before - 1);
	if (sequence == NULL) {
		return false;
	}
	out->sequence = strtoull(sequence + sizeof before - 1, NULL, 10);
	for (out->kind = MANIFEST_BACKUP; out->kind <= MANIFEST_RELEASE; out->kind++) {
		const int n = print_head(again, sizeof again, out);
		if ((size_t)n <= len && memcmp(again, text, (size_t)n) == 0) {
			*behind = text + n;
			return true;
		}
	}
	return false;
}

/* Finds the last line and compares it with the checksum of what is before it. */
static bool check_end(const char *text, size_t *len)
{
	char again[LINE_BYTES];
	const size_t end_bytes = sizeof "end 0123456789abcdef\n" - 1;
	if (*len < end_bytes) {
		return false;
	}
	const size_t before = *len - end_bytes;
	(void)print_end(again, sizeof again, text, before);
	*len = before;
	return memcmp(text + before, again, end_bytes) == 0;
}

static bool is_of_other_version(const char *text, size_t len)
{
	static const char magic[] = "repstore-manifest ";
	return len > sizeof magic && memcmp(text, magic, sizeof magic - 1) == 0 &&
	       strtoull(text + sizeof magic - 1, NULL, 10) != MANIFEST_VERSION;
}

enum status manifest_parse(char *text, size_t len, struct manifest *out, struct error *err)
{
	struct manifest manifest = {0};
	char *at = text;
	enum status status = STATUS_OK;
	*out = manifest;
	if (memchr(text, '\0', len) != NULL || !check_end(text, &len)) {
		return error_set(err, STATUS_CORRUPT, "manifest: it is damaged, or not whole");
	}
	text[len] = '\0'; /* where its last line began */
	if (is_of_other_version(text, len)) {
		return error_set(err, STATUS_UNSUPPORTED,
			"manifest: of another version; this build knows %d", MANIFEST_VERSION);
	}
	if (!read_head(text, len, &manifest, &at) ||
		!read_lines(at, text + len, &manifest, &status)) {
		manifest_fini(&manifest);
		return error_set(err, status == STATUS_OK ? STATUS_CORRUPT : status,
			"manifest: it cannot be read");
	}
	*out = manifest;
	return STATUS_OK;
}

enum status manifest_read(const char *folder, struct manifest *out, struct error *err)
{
	char path[PATH_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	*out = (struct manifest){0};
	enum status status = file_path(path, folder, MANIFEST_NAME, err);
	if (status == STATUS_OK) {
		status = file_read_all(path, TEXT_BYTES, &data, &len, err);
	}
	if (status == STATUS_OK) {
		status = manifest_parse((char *)data, len, out, err);
	}
	free(data);
	return status;
}
