/* backup.c - asks for a copy of the whole store. */
#include "client/client.h"
#include "client/clock.h"
#include "client/field.h"

enum rep_status rep_backup(rep_client *client, const char *dir, bool copy,
	struct rep_backup_made *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_backup_made made = {0};
	struct wire_writer *writer = client_begin_long(client, "backup", 1 + (size_t)copy);
	wire_write_str(writer, "dir");
	wire_write_str(writer, dir);
	if (copy) {
		wire_write_str(writer, "copy");
		wire_write_bool(writer, true);
	}
	enum status status = client_call(client, CLIENT_ONCE, CLOCK_NEVER_MS, &reply, err);
	if (status == STATUS_OK &&
		(!field_uint(reply.result, "sequence", &made.sequence) ||
			!field_uint(reply.result, "files", &made.files) ||
			!field_uint(reply.result, "bytes", &made.bytes) ||
			!field_uint(reply.result, "written", &made.written) ||
			!field_uint(reply.result, "linked", &made.linked) ||
			!field_uint(reply.result, "kept", &made.kept) ||
			!field_uint(reply.result, "elapsed_ms", &made.elapsed_ms))) {
		status = error_set(err, STATUS_PROTOCOL, "a backup was answered in an unknown way");
	}
	reply_close(&reply);
	if (status == STATUS_OK && out != NULL) {
		*out = made;
	}
	return (enum rep_status)status;
}
