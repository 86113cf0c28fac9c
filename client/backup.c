/* backup.c - asks for a copy of the whole store, of one release, or of an exported one. */
#include "client/client.h"
#include "client/clock.h"
#include "client/field.h"

static void write_folder(struct wire_writer *writer, const char *dir, bool copy)
{
	wire_write_str(writer, "dir");
	wire_write_str(writer, dir);
	if (copy) {
		wire_write_str(writer, "copy");
		wire_write_bool(writer, true);
	}
}

/* Waits for the answer to the request that was begun, however long it takes. */
static enum status ask(rep_client *client, struct reply *reply, struct error *err)
{
	return client_call(client, CLIENT_ONCE, CLOCK_NEVER_MS, reply, err);
}

enum rep_status rep_backup(rep_client *client, const char *dir, bool copy,
	struct rep_backup_made *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_backup_made made = {0};
	write_folder(client_begin_long(client, "backup", 1 + (size_t)copy), dir, copy);
	enum status status = ask(client, &reply, err);
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

enum rep_status rep_release_export(rep_client *client, const char *release, const char *dir,
	bool copy, struct rep_exported *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_exported made = {0};
	struct wire_writer *writer = client_begin_long(client, "release.export", 2 + (size_t)copy);
	wire_write_str(writer, "release");
	wire_write_str(writer, release != NULL ? release : "live");
	write_folder(writer, dir, copy);
	enum status status = ask(client, &reply, err);
	if (status == STATUS_OK &&
		(!field_text(reply.result, "release", made.release, sizeof made.release) ||
			!field_uint(reply.result, "files", &made.files) ||
			!field_uint(reply.result, "bytes", &made.bytes) ||
			!field_uint(reply.result, "written", &made.written) ||
			!field_uint(reply.result, "linked", &made.linked) ||
			!field_uint(reply.result, "kept", &made.kept) ||
			!field_uint(reply.result, "elapsed_ms", &made.elapsed_ms))) {
		status =
			error_set(err, STATUS_PROTOCOL, "an export was answered in an unknown way");
	}
	reply_close(&reply);
	if (status == STATUS_OK && out != NULL) {
		*out = made;
	}
	return (enum rep_status)status;
}

enum rep_status rep_release_adopt(rep_client *client, const char *dir, const char *release,
	struct rep_adopted *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_adopted made = {0};
	struct wire_writer *writer =
		client_begin_long(client, "release.adopt", 1 + (size_t)(release != NULL));
	write_folder(writer, dir, false);
	if (release != NULL) {
		wire_write_str(writer, "release");
		wire_write_str(writer, release);
	}
	enum status status = ask(client, &reply, err);
	if (status == STATUS_OK &&
		(!field_text(reply.result, "release", made.release, sizeof made.release) ||
			!field_uint(reply.result, "number", &made.number) ||
			!field_uint(reply.result, "tables", &made.tables) ||
			!field_uint(reply.result, "rows", &made.rows) ||
			!field_uint(reply.result, "bytes", &made.bytes) ||
			!field_uint(reply.result, "elapsed_ms", &made.elapsed_ms))) {
		status = error_set(err, STATUS_PROTOCOL,
			"a release that was adopted was answered in an unknown way");
	}
	reply_close(&reply);
	if (status == STATUS_OK && out != NULL) {
		*out = made;
	}
	return (enum rep_status)status;
}
