/* reply.c - writes names with their values. */
#include "daemon/method/call/reply.h"

#include "daemon/method/call/call.h"
#include "schema/limits.h"
#include "schema/utf8.h"
#include "schema/wire.h"

#include <string.h>

void reply_str(struct wire_writer *out, const char *name, const char *value)
{
	wire_write_str(out, name);
	wire_write_str(out, value);
}

void reply_text(struct wire_writer *out, const char *name, const char *value)
{
	wire_write_str(out, name);
	reply_text_item(out, value);
}

void reply_text_item(struct wire_writer *out, const char *value)
{
	const size_t len = strlen(value);
	wire_write_str(out, value);
	if (out->status == STATUS_OK) {
		utf8_repair(out->data + out->len - len, len);
	}
}

void reply_uint(struct wire_writer *out, const char *name, uint64_t value)
{
	wire_write_str(out, name);
	wire_write_uint(out, value);
}

void reply_int(struct wire_writer *out, const char *name, int64_t value)
{
	wire_write_str(out, name);
	wire_write_int(out, value);
}

void reply_flag(struct wire_writer *out, const char *name, bool value)
{
	wire_write_str(out, name);
	wire_write_bool(out, value);
}

void reply_bin(struct wire_writer *out, const char *name, const void *data, size_t len)
{
	wire_write_str(out, name);
	wire_write_bin(out, data, len);
}

enum status reply_end(struct call *call)
{
	enum status status = call->out->status;
	if (status == STATUS_TOO_LARGE) {
		return error_set(&call->error, status,
			"reply: more than the %u bytes that a message may have",
			LIMIT_MESSAGE_BYTES);
	}
	return status == STATUS_OK
		       ? status
		       : error_set(&call->error, status, "reply: %s", status_name(status));
}
