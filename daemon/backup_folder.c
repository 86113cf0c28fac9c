/* backup_folder.c - opens the folder for backups as a backup does, and lets it go. */
#include "daemon/backup_folder.h"

#include "daemon/settings.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Without the slashes at its end. False: it is too long for a path. */
static bool copy_path(char out[PATH_MAX], const char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/') {
		len--;
	}
	if (len >= PATH_MAX) {
		return false;
	}
	memcpy(out, path, len);
	out[len] = '\0';
	return true;
}

/* A data folder that is not there yet has nothing in it. */
static bool is_in_data(const struct settings *settings, int fd)
{
	char path[PATH_MAX];
	struct folder *data = NULL;
	if (!copy_path(path, settings->data) || folder_open_other(path, &data, NULL) != STATUS_OK) {
		return false;
	}
	const bool is_in = folder_has(data, fd);
	folder_close(data);
	return is_in;
}

enum status backup_folder_check(const struct settings *settings, struct error *err)
{
	const char *given = settings->backup_folder;
	char path[PATH_MAX];
	if (given[0] == '\0') {
		return STATUS_OK;
	}
	if (!copy_path(path, given)) {
		return error_set(err, STATUS_IO, "backup_folder: over %d bytes", PATH_MAX);
	}
	const int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0) {
		return error_set(err, status_of_errno(errno), "backup_folder '%s': %s", path,
			file_reason(errno));
	}
	enum status status = STATUS_OK;
	if (is_in_data(settings, fd)) {
		status = error_set(err, STATUS_CONFLICT,
			"backup_folder '%s': it lies in the data folder '%s'; name one outside",
			path, settings->data);
	} else if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
		status = error_set(err, STATUS_IO,
			"backup_folder '%s': the daemon cannot write there: %s; under systemd the "
			"unit needs the drop-in backup.conf",
			path, strerror(errno));
	}
	close(fd);
	return status;
}
