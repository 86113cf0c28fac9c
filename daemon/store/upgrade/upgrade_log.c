/* upgrade_log.c - reads the files of the log, one after the other, and changes none. */
#include "daemon/store/upgrade/upgrade_log.h"

#include "daemon/store/log/redo_file.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/system/file.h"

#include <inttypes.h>
#include <limits.h>

static enum status on_frame(void *arg, const uint8_t *data, const struct frame_head *head,
	struct error *err)
{
	uint64_t *writes = arg;
	(void)data;
	(void)head;
	(void)err;
	(*writes)++;
	return STATUS_OK;
}

enum status upgrade_log_check(const char *folder, const struct snapshot *snapshot, uint64_t *writes,
	struct error *err)
{
	char log[PATH_MAX];
	const struct redo_options options = {
		.folder = log,
		.first_file = snapshot->log_first_file,
		.next_sequence = snapshot->written + 1,
		.on_frame = on_frame,
		.on_frame_arg = writes,
	};
	uint64_t next = 0;
	enum status status = file_path(log, folder, "log", err);
	const uint64_t last = status == STATUS_OK ? redo_file_last(log) : 0;
	const uint64_t first = options.first_file == 0 ? 1 : options.first_file;
	if (status == STATUS_OK && last < options.first_file) {
		return error_set(err, STATUS_CORRUPT,
			"log: '%" PRIu64 ".log' is not there, and writes are in it",
			options.first_file);
	}
	for (uint64_t number = first; status == STATUS_OK && number <= last; number++) {
		struct redo_read read;
		status = redo_file_read(&options, number, next, number == last, &read, err);
		next = status == STATUS_OK ? read.next_sequence : next;
	}
	status = status == STATUS_AGAIN ? STATUS_OK : status; /* the last file was never used */
	return status == STATUS_OK && last >= first && next < options.next_sequence && next != 0
		       ? error_set(err, STATUS_CORRUPT,
				 "log: it ends at write %" PRIu64 ", the catalog knows of %" PRIu64,
				 next - 1, options.next_sequence - 1)
		       : status;
}
