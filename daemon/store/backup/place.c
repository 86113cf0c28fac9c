/* place.c - finds the folder of a backup beneath the one that the operator has set. */
#include "daemon/store/backup/place.h"

#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *setting(const struct store *store)
{
	const char *folder = store->options.backup_folder;
	return folder == NULL || folder[0] == '\0' ? NULL : folder;
}

/* Checks that `dir` is names and slashes, none of which leads up, and returns what of it is below the
 * folder of the setting, with its length; NULL: it leads elsewhere. */
static const char *below(const char *folder, size_t folder_len, const char *dir, size_t *dir_len)
{
	size_t len = *dir_len;
	while (len > 0 && dir[len - 1] == '/') {
		len--; /* as a shell completes it */
	}
	if (len > folder_len && memcmp(dir, folder, folder_len) == 0 && dir[folder_len] == '/') {
		dir += folder_len + 1;
		len -= folder_len + 1;
	}
	if (len == 0 || memchr(dir, '\0', len) != NULL) {
		return NULL;
	}
	for (const char *at = dir; at <= dir + len;) {
		const char *slash = memchr(at, '/', (size_t)(dir + len - at));
		const size_t name = (size_t)((slash != NULL ? slash : dir + len) - at);
		if (name == 0 || name > NAME_MAX || (name == 1 && at[0] == '.') ||
			(name == 2 && at[0] == '.' && at[1] == '.')) {
			return NULL;
		}
		at += name + 1;
	}
	*dir_len = len;
	return dir;
}

/* Whether the folder at `path` lies in the data folder; so does one that cannot be opened. */
static enum status check_outside(const struct store *store, const char *path, struct error *err)
{
	const int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "open folder '%s': %s", path,
			file_reason(errno));
	}
	const bool inside = folder_has(store->data, fd);
	close(fd);
	return inside ? error_set(err, STATUS_CONFLICT,
				"dir: '%s' lies in the data folder; name one outside", path)
		      : STATUS_OK;
}

/* Looks before it makes anything. */
static enum status make(const struct store *store, const char *path, struct error *err)
{
	char above[PATH_MAX];
	memcpy(above, path, strlen(path) + 1);
	*strrchr(above, '/') = '\0'; /* there is one: that behind the setting's folder */
	enum status status = check_outside(store, above, err);
	if (status == STATUS_OK) {
		status = file_make_folder(path, err);
	}
	return status;
}

enum status place_open(const struct store *store, const char *dir, size_t len, enum place_need need,
	struct place *out, struct error *err)
{
	const char *set = setting(store);
	char folder[PATH_MAX];
	struct place place = {.folder = NULL};
	if (set == NULL || strlen(set) >= sizeof folder) {
		return error_set(err, STATUS_UNSUPPORTED,
			"backup_folder is not set: the operator names in it the folder that "
			"backups lie in");
	}
	size_t folder_len = strlen(set);
	while (folder_len > 1 && set[folder_len - 1] == '/') {
		folder_len--;
	}
	memcpy(folder, set, folder_len);
	folder[folder_len] = '\0';
	size_t rest_len = len;
	const char *rest = below(folder, folder_len, dir, &rest_len);
	if (rest == NULL) {
		char quote[ERROR_QUOTE_BYTES];
		return error_set(err, STATUS_BAD_REQUEST,
			"dir: '%s' given, a path below '%s' (backup_folder) allowed, without '.' and '..'",
			error_quote(quote, dir, len), folder);
	}
	const int n =
		snprintf(place.path, sizeof place.path, "%s/%.*s", folder, (int)rest_len, rest);
	if (n < 0 || n >= PATH_MAX - 128) {
		return error_set(err, STATUS_TOO_LARGE, "dir: its path is over %d bytes",
			PATH_MAX - 128);
	}
	/* Before its paths are found by it: those of the data folder would be, if it is that. */
	enum status status = check_outside(store, folder, err);
	if (status == STATUS_OK) {
		status = folder_open_other(folder, &place.folder, err);
	}
	if (status == STATUS_OK && need == PLACE_MAKE) {
		status = make(store, place.path, err);
	}
	if (status == STATUS_OK) {
		status = check_outside(store, place.path, err);
	}
	if (status != STATUS_OK) {
		place_close(&place);
		return status;
	}
	*out = place;
	return STATUS_OK;
}

void place_close(struct place *place)
{
	folder_close(place->folder);
	place->folder = NULL;
}
