/* merge.c - merges all tables, or some alone, and repairs one that is damaged. */
#include "client/client.h"
#include "client/clock.h"
#include "client/field.h"
#include "client/reserved.h"

/* Sends the merge that was begun, and reads what it has done. */
static enum status call_merge(rep_client *client, struct rep_merged *out, struct error *err)
{
	struct reply reply = {0};
	struct rep_merged merged = {0};
	enum status status = client_call(client, CLIENT_ONCE, CLOCK_NEVER_MS, &reply, err);
	if (status == STATUS_OK &&
		(!field_uint(reply.result, "tables", &merged.tables) ||
			!field_uint(reply.result, "rows", &merged.rows) ||
			!field_uint(reply.result, "bytes", &merged.bytes) ||
			!field_uint(reply.result, "elapsed_ms", &merged.elapsed_ms))) {
		status = error_set(err, STATUS_PROTOCOL, "a merge was answered in an unknown way");
	}
	reply_close(&reply);
	if (status == STATUS_OK && out != NULL) {
		*out = merged;
	}
	return status;
}

enum rep_status rep_merge(rep_client *client, struct rep_merged *out, struct rep_error *rep_err)
{
	(void)client_begin_long(client, "merge", 0);
	return (enum rep_status)call_merge(client, out, client_error(rep_err));
}

enum rep_status rep_merge_tables(rep_client *client, const struct rep_merging *what,
	struct rep_merged *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	const enum status status = RESERVED_CHECK("rep_merging", what, err);
	if (status != STATUS_OK) {
		return (enum rep_status)status;
	}
	struct wire_writer *writer = client_begin_long(client, "merge", what->count > 0 ? 3 : 2);
	wire_write_str(writer, "full");
	wire_write_bool(writer, what->full);
	wire_write_str(writer, "release");
	wire_write_str(writer, what->release != NULL ? what->release : "live");
	if (what->count > 0) {
		wire_write_str(writer, "tables");
		wire_write_array(writer, what->count);
	}
	for (size_t i = 0; i < what->count; i++) {
		wire_write_str(writer, what->tables[i]);
	}
	return (enum rep_status)call_merge(client, out, err);
}

/* Adds what a repair says of one range. */
static bool add_range(struct wire_value range, struct rep_repaired *to)
{
	struct rep_repaired one = {0};
	if (!field_uint(range, "kept", &one.kept) || !field_uint(range, "partial", &one.partial) ||
		!field_uint(range, "lost", &one.lost) ||
		!field_uint(range, "given_up", &one.given_up) ||
		!field_uint(range, "unreadable", &one.unreadable)) {
		return false;
	}
	to->ranges++;
	to->kept += one.kept;
	to->partial += one.partial;
	to->lost += one.lost;
	to->given_up += one.given_up;
	to->unreadable += one.unreadable;
	return true;
}

static bool read_repaired(struct wire_value result, struct rep_repaired *to)
{
	const struct wire_value ranges = wire_get(result, "ranges");
	bool whole = wire_type(ranges) == WIRE_ARRAY &&
		     field_uint(result, "elapsed_ms", &to->elapsed_ms);
	for (size_t i = 0; whole && i < wire_size(ranges); i++) {
		whole = add_range(wire_item(ranges, i), to);
	}
	return whole;
}

enum rep_status rep_repair(rep_client *client, const char *release, const char *table, bool dry_run,
	struct rep_repaired *out, struct rep_error *rep_err)
{
	struct error *err = client_error(rep_err);
	struct reply reply = {0};
	struct rep_repaired repaired = {0};
	struct wire_writer *writer = client_begin_long(client, "repair", 3);
	wire_write_str(writer, "release");
	wire_write_str(writer, release != NULL ? release : "live");
	wire_write_str(writer, "table");
	wire_write_str(writer, table);
	wire_write_str(writer, "dry_run");
	wire_write_bool(writer, dry_run);
	enum status status = client_call(client, CLIENT_ONCE, CLOCK_NEVER_MS, &reply, err);
	if (status == STATUS_OK && !read_repaired(reply.result, &repaired)) {
		status = error_set(err, STATUS_PROTOCOL, "a repair was answered in an unknown way");
	}
	reply_close(&reply);
	if (status == STATUS_OK && out != NULL) {
		*out = repaired;
	}
	return (enum rep_status)status;
}
