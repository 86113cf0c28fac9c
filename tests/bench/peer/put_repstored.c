/* put_repstored.c - puts into table "ir" of the live release, and samples of its layer "fm",
 * written out as MessagePack-RPC.
 */
#include "schema/rpc.h"
#include "tests/bench/driver/put.h"

#include <string.h>

/* Numbers of messages begin there: so each takes the same 5 bytes. */
enum { MSGID_FIRST = 1 << 16 };
/* [0, msgid: two bytes, then the head of a uint32, then it. */
enum { MSGID_AT = 3 };

/* Adds a column to be filled in later; returns where it begins. */
static size_t add_column(struct wire_writer *writer, const char *name, size_t bytes)
{
	wire_write_str(writer, name);
	(void)wire_write_bin_space(writer, bytes);
	return writer->len - bytes;
}

static void add_text(struct wire_writer *writer, const char *name, const char *value)
{
	wire_write_str(writer, name);
	wire_write_str(writer, value);
}

static void take_over(struct put_request *request, struct wire_writer *writer)
{
	if (writer->status != STATUS_OK) {
		die("a request: %s", status_name(writer->status));
	}
	request->data = writer->data;
	request->len = writer->len;
	request->keys_step = sizeof(uint64_t);
	request->rows_step = MEASURE_ROW_BYTES;
}

static void repstored_write(struct put_request *request)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, MSGID_FIRST, "put");
	wire_write_map(&writer, 5);
	add_text(&writer, "release", "live");
	add_text(&writer, "table", "ir");
	add_text(&writer, "dtype", "f32");
	request->keys_at = add_column(&writer, "keys", request->rows * sizeof(uint64_t));
	request->rows_at = add_column(&writer, "rows", (size_t)request->rows * MEASURE_ROW_BYTES);
	take_over(request, &writer);
}

static void samples_write(struct put_request *request)
{
	struct wire_writer writer = {0};
	rpc_write_request(&writer, MSGID_FIRST, "observe");
	wire_write_map(&writer, 6);
	add_text(&writer, "release", "live");
	add_text(&writer, "layer", "fm");
	request->keys_at = add_column(&writer, "users", request->rows * sizeof(uint64_t));
	request->others_at = add_column(&writer, "items", request->rows * sizeof(uint64_t));
	request->times_at = add_column(&writer, "times", request->rows * sizeof(int64_t));
	request->rows_at = add_column(&writer, "rows", (size_t)request->rows * MEASURE_ROW_BYTES);
	take_over(request, &writer);
}

static void repstored_set_number(struct put_request *request)
{
	const uint32_t msgid = MSGID_FIRST + request->number;
	for (int i = 0; i < 4; i++) {
		request->data[MSGID_AT + i] = (uint8_t)(msgid >> (24 - 8 * i));
	}
}

static void read_applied(const struct rpc_envelope *envelope, struct put_answer *out)
{
	static const char busy[] = "BUSY:";
	out->busy = envelope->failed && envelope->error.len >= sizeof busy - 1 &&
		    memcmp(envelope->error.data, busy, sizeof busy - 1) == 0;
	if (out->busy) {
		return;
	}
	if (envelope->failed) {
		die("put: %.*s", (int)envelope->error.len, (const char *)envelope->error.data);
	}
	uint64_t applied = 0;
	if (!wire_uint(wire_get(envelope->result, "applied"), &applied) || applied == 0 ||
		applied > PUT_ROWS_MAX) {
		die("put: an answer without what was applied");
	}
	out->rows = (uint32_t)applied;
}

static void read_result(const uint8_t *data, size_t len, struct put_answer *out)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	struct error err;
	if (wire_open(data, len, &message) != STATUS_OK ||
		rpc_read(wire_root(message), &envelope, &err) != STATUS_OK ||
		envelope.type != RPC_RESPONSE || envelope.msgid <= MSGID_FIRST) {
		die("put: an answer that is none");
	}
	*out = (struct put_answer){.number = envelope.msgid - MSGID_FIRST};
	read_applied(&envelope, out);
	wire_close(message);
}

static size_t repstored_read_answer(const uint8_t *data, size_t len, struct put_answer *out)
{
	struct wire_skim skim = {0};
	const enum status status = len > 0 ? wire_skim(&skim, data, len) : STATUS_AGAIN;
	if (status == STATUS_AGAIN) {
		return 0;
	}
	if (status != STATUS_OK) {
		die("put: an answer that is no MessagePack");
	}
	read_result(data, skim.at, out);
	return skim.at;
}

const struct put_kind put_repstored = {.name = "repstored",
	.write = repstored_write,
	.set_number = repstored_set_number,
	.read_answer = repstored_read_answer,
	.reader = &peer_repstored};

const struct put_kind put_samples = {.name = "repstored",
	.write = samples_write,
	.set_number = repstored_set_number,
	.read_answer = repstored_read_answer};
