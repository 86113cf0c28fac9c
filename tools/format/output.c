/* output.c - writes beside, syncs, renames. */
#include "tools/format/output.h"

#include "tools/format/interrupt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status fail(const struct output *output, const char *what, struct error *err)
{
	if (output->file == stdout) {
		interrupt_end_pipe(errno);
	}
	return error_set(err, status_of_errno(errno), "%s '%s': %s", what, output->path,
		strerror(errno));
}

/* Creates the file that out->partial names. */
static enum status create(struct output *out, struct error *err)
{
	if (out->partial == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for a path");
	}
	int fd = open(out->partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd >= 0) {
		out->file = fdopen(fd, "w+");
	}
	if (out->file == NULL) {
		enum status status = fail(out, "create", err);
		if (fd >= 0) {
			close(fd);
			unlink(out->partial);
		}
		free(out->partial);
		out->partial = NULL;
		return status;
	}
	return STATUS_OK;
}

enum status output_open(const char *path, struct output *out, struct error *err)
{
	*out = (struct output){.path = path};
	if (strcmp(path, "-") == 0) {
		out->path = "standard output";
		out->file = stdout;
		return STATUS_OK;
	}
	/* The rename would replace a device, too. */
	struct stat there;
	if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': not a regular file; '-' is standard output", path);
	}
	if (asprintf(&out->partial, "%s.partial-%d", path, (int)getpid()) < 0) {
		out->partial = NULL;
	}
	return create(out, err);
}

enum status output_open_beside(const struct output *output, struct output *out, struct error *err)
{
	*out = (struct output){.path = output->path};
	if (asprintf(&out->partial, "%s+", output->partial) < 0) {
		out->partial = NULL;
	}
	return create(out, err);
}

enum status output_open_part(const char *path, const char *name, struct output *out,
	struct error *err)
{
	*out = (struct output){.path = path};
	if (asprintf(&out->partial, "%s.partial-%d.%s", path, (int)getpid(), name) < 0) {
		out->partial = NULL;
	}
	return create(out, err);
}

enum status output_write(struct output *output, const void *data, size_t len, struct error *err)
{
	assert(output->file != NULL);
	if (len > 0 && fwrite(data, 1, len, output->file) != len) {
		return fail(output, "write", err);
	}
	return STATUS_OK;
}

enum status output_commit(struct output *output, struct error *err)
{
	assert(output->file != NULL);
	enum status status = STATUS_OK;
	if (fflush(output->file) != 0 || ferror(output->file)) {
		status = fail(output, "write", err);
	}
	if (output->partial == NULL) {
		output->file = NULL;
		return status;
	}
	if (status == STATUS_OK && fsync(fileno(output->file)) != 0) {
		status = fail(output, "sync", err);
	}
	if (status == STATUS_OK && rename(output->partial, output->path) != 0) {
		status = fail(output, "rename to", err);
	}
	if (status == STATUS_OK) {
		fclose(output->file);
		free(output->partial);
		*output = (struct output){0};
	} else {
		output_abort(output);
	}
	return status;
}

void output_abort(struct output *output)
{
	if (output->partial != NULL) {
		fclose(output->file);
		unlink(output->partial);
		free(output->partial);
	}
	*output = (struct output){0};
}
