/* catalog_make.c - makes an empty catalog, in one step that a power cut does not divide. */
#include "daemon/store/catalog/catalog.h"

#include "daemon/store/system/file.h"

#include <errno.h>
#include <limits.h>

static enum status give_name(const char *folder, const char *beside, const char *path,
	struct error *err)
{
	return file_rename(beside, path) == 0
		       ? file_sync_folder(folder, err)
		       : error_set(err, status_of_errno(errno), "rename to '%s': %s", path,
				 file_reason(errno));
}

enum status catalog_make(const char *folder, size_t bytes, struct error *err)
{
	char path[PATH_MAX];
	char beside[PATH_MAX];
	struct catalog *catalog = NULL;
	enum status status = file_path(path, folder, "catalog.mdb", err);
	if (status == STATUS_OK) {
		status = file_path(beside, folder, "catalog.mdb.new", err);
	}
	if (status != STATUS_OK) {
		return status;
	}
	if (file_remove(beside) != 0 && errno != ENOENT) {
		return error_set(err, status_of_errno(errno), "remove '%s': %s", beside,
			file_reason(errno));
	}
	if (file_exists(path)) {
		return STATUS_OK;
	}
	status = catalog_open(beside, bytes, &catalog, err);
	catalog_close(catalog);
	if (status == STATUS_OK) {
		status = give_name(folder, beside, path, err);
	}
	if (status != STATUS_OK) {
		(void)file_remove(beside);
	}
	return status;
}
