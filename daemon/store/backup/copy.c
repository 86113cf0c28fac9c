/* copy.c - brings files into a backup, one after the other. */
#include "daemon/store/backup/copy.h"

#include "daemon/store/base/base_stream.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/stop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status copy_begin(struct copy *copy, const struct stop *stop, uint64_t rate, struct error *err)
{
	return pass_begin(&copy->pass, stop, rate, err);
}

void copy_end(struct copy *copy)
{
	pass_end(&copy->pass);
	manifest_fini(&copy->manifest);
}

/* Reads the first `bytes` of a file, and writes them to `to`, unless that is -1. */
static enum status read_file(struct copy *copy, int from, uint64_t bytes,
	const struct base_file_info *info, int to, struct base_sums *sums)
{
	struct base_stream *stream = NULL;
	*sums = (struct base_sums){0};
	enum status status = base_stream_open(info, &stream);
	if (status == STATUS_OK) {
		status = pass_read(&copy->pass, from, bytes, stream, to);
	}
	if (status == STATUS_OK) {
		base_stream_end(stream, sums);
		sums->segments = NULL;
	}
	base_stream_close(stream);
	return status;
}

/* ---- one file ---- */

/* A file that is being brought. */
struct bringing {
	struct copy *copy;
	const struct copy_source *source;
	char path[PATH_MAX]; /* where it belongs */
	char beside[PATH_MAX];
	uint64_t sum;
};

static enum status fail(const char *what, const char *path, struct error *err)
{
	const int number = errno;
	return error_set(err, status_of_errno(number), "%s '%s': %s", what, path,
		file_reason(number));
}

/* Says why a pass over a file ended, where nobody has. */
static enum status told(const struct bringing *bringing, enum status status, struct error *err)
{
	if (status == STATUS_TIMEOUT || status == STATUS_CLOSED || status == STATUS_BUSY) {
		const enum status again = stop_check(bringing->copy->pass.stop, err);
		return again != STATUS_OK ? again : status;
	}
	return error_set(err, status, "backup: '%s': %s", bringing->source->name,
		status_name(status));
}

static enum status damaged(const struct bringing *bringing, const struct base_sums *sums,
	struct error *err)
{
	return sums->damaged > 0
		       ? error_set(err, STATUS_CORRUPT,
				 "'%s' of the data folder: segment %zu is damaged; nothing of it is "
				 "copied",
				 bringing->source->name, sums->first_damaged)
		       : error_set(err, STATUS_CORRUPT,
				 "'%s' of the data folder is damaged outside its segments; nothing "
				 "of it is copied",
				 bringing->source->name);
}

/* Reads the source, and writes it to `to`, unless that is -1. */
static enum status read_source(struct bringing *bringing, int to, struct error *err)
{
	const struct copy_source *source = bringing->source;
	struct base_sums sums;
	const enum status status =
		read_file(bringing->copy, source->fd, source->bytes, source->info, to, &sums);
	if (status != STATUS_OK) {
		return told(bringing, status, err);
	}
	bringing->sum = sums.sum;
	return base_sums_are_sound(&sums) ? STATUS_OK : damaged(bringing, &sums, err);
}

/* Whether two descriptors are of one file. */
static bool is_same_file(int a, int b)
{
	struct stat about_a = {0};
	struct stat about_b = {0};
	return fstat(a, &about_a) == 0 && fstat(b, &about_b) == 0 &&
	       about_a.st_dev == about_b.st_dev && about_a.st_ino == about_b.st_ino;
}

/* Whether the file `fd`, which has the size of the source, has its bytes. What the catalog knows tells it
 * without reading the source. */
static enum status compare(struct bringing *bringing, int fd, bool linked, bool *same,
	struct error *err)
{
	const struct copy_source *source = bringing->source;
	struct base_sums sums;
	enum status status = source->info == NULL ? read_source(bringing, -1, err) : STATUS_OK;
	if (status != STATUS_OK) {
		return status;
	}
	status = read_file(bringing->copy, fd, source->bytes, source->info, -1, &sums);
	if (status != STATUS_OK) {
		return told(bringing, status, err);
	}
	*same = base_sums_are_sound(&sums) && (source->info != NULL || sums.sum == bringing->sum);
	bringing->sum = sums.sum;
	return linked && !*same ? damaged(bringing, &sums, err) : STATUS_OK;
}

/* Whether the file that is there already may stay: it has the bytes that it shall have, and is no link
 * where it shall be none. */
static enum status look(struct bringing *bringing, bool *stays, struct error *err)
{
	const struct copy_source *source = bringing->source;
	struct stat about = {0};
	*stays = false;
	const int fd = file_open(bringing->path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		return errno == ENOENT ? STATUS_OK : fail("open", bringing->path, err);
	}
	const bool linked = is_same_file(fd, source->fd);
	enum status status =
		fstat(fd, &about) == 0 ? STATUS_OK : fail("look at", bringing->path, err);
	if (status == STATUS_OK && S_ISREG(about.st_mode) &&
		(uint64_t)about.st_size == source->bytes &&
		(!linked || (bringing->copy->links && source->path != NULL))) {
		status = compare(bringing, fd, linked, stays, err);
	}
	if (!linked) {
		/* Rows that are served need the memory more. */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	(void)close(fd);
	return status;
}

/* Makes a link beside, if that is possible. */
static bool link_beside(struct bringing *bringing)
{
	const struct copy_source *source = bringing->source;
	if (!bringing->copy->links || source->path == NULL) {
		return false;
	}
	if (file_link(source->path, bringing->beside) != 0) {
		if (errno == EXDEV) {
			bringing->copy->links = false; /* of the files to come neither */
		}
		return false;
	}
	const int fd = file_open(bringing->beside, O_RDONLY, 0);
	const bool same = fd >= 0 && is_same_file(fd, source->fd);
	if (fd >= 0) {
		(void)close(fd);
	}
	if (!same) {
		(void)file_remove(bringing->beside);
	}
	return same;
}

static enum status copy_beside(struct bringing *bringing, struct error *err)
{
	const int fd = file_open(bringing->beside, O_WRONLY | O_CREAT | O_EXCL, 0640);
	if (fd < 0) {
		return fail("create", bringing->beside, err);
	}
	enum status status = read_source(bringing, fd, err);
	if (status == STATUS_OK && fdatasync(fd) != 0) {
		status = fail("sync", bringing->beside, err);
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	(void)close(fd);
	return status;
}

static void count_written(struct copy *copy, uint64_t bytes)
{
	copy->written_bytes += bytes;
	atomic_fetch_add(copy->written, bytes);
}

/* Links or copies the source, and gives it its name. */
static enum status bring(struct bringing *bringing, struct error *err)
{
	struct copy *copy = bringing->copy;
	if (file_remove(bringing->beside) != 0 && errno != ENOENT) {
		return fail("remove", bringing->beside, err);
	}
	const bool linked = link_beside(bringing);
	enum status status = linked ? read_source(bringing, -1, err) : copy_beside(bringing, err);
	if (status == STATUS_OK && file_rename(bringing->beside, bringing->path) != 0) {
		status = fail("rename to", bringing->path, err);
	}
	if (status != STATUS_OK) {
		(void)file_remove(bringing->beside);
		return status;
	}
	if (linked) {
		copy->linked_bytes += bringing->source->bytes;
	} else {
		count_written(copy, bringing->source->bytes);
	}
	return status;
}

static enum status place(struct bringing *bringing, const char *name, struct error *err)
{
	char beside[NAME_MAX];
	const enum status status = file_path(bringing->path, bringing->copy->folder, name, err);
	const int n = snprintf(beside, sizeof beside, "%s.new", name);
	assert(n > 0 && (size_t)n < sizeof beside); /* names of the store are short */
	(void)n;
	return status == STATUS_OK
		       ? file_path(bringing->beside, bringing->copy->folder, beside, err)
		       : status;
}

static enum status note(struct copy *copy, const char *name, uint64_t bytes, uint64_t sum,
	struct error *err)
{
	const enum status status = manifest_add(&copy->manifest, name, bytes, sum);
	return status == STATUS_OK ? status : error_set(err, status, "backup: list of files");
}

enum status copy_file(struct copy *copy, const struct copy_source *source, struct error *err)
{
	struct bringing bringing = {.copy = copy, .source = source};
	bool stays = false;
	enum status status = place(&bringing, source->name, err);
	if (status == STATUS_OK) {
		status = look(&bringing, &stays, err);
	}
	if (status == STATUS_OK && stays) {
		copy->kept_bytes += source->bytes;
	} else if (status == STATUS_OK) {
		status = bring(&bringing, err);
	}
	if (status == STATUS_OK) {
		atomic_fetch_add(copy->done, source->bytes);
		status = note(copy, source->name, source->bytes, bringing.sum, err);
	}
	return status;
}

enum status copy_note(struct copy *copy, const char *name, struct error *err)
{
	char path[PATH_MAX];
	struct stat about = {0};
	struct base_sums sums = {0};
	enum status status = file_path(path, copy->folder, name, err);
	const int fd = status == STATUS_OK ? file_open(path, O_RDONLY, 0) : -1;
	if (status == STATUS_OK && (fd < 0 || fstat(fd, &about) != 0)) {
		status = fail("open", path, err);
	}
	if (status == STATUS_OK) {
		status = read_file(copy, fd, (uint64_t)about.st_size, NULL, -1, &sums);
		status = status == STATUS_OK ? status
					     : error_set(err, status, "read '%s': %s", path,
						       status_name(status));
	}
	if (fd >= 0) {
		(void)close(fd);
	}
	if (status == STATUS_OK) {
		count_written(copy, sums.bytes);
		status = note(copy, name, sums.bytes, sums.sum, err);
	}
	return status;
}
