/* put_repstored.c - puts into table "ir" of the live release, written out as MessagePack-RPC. */
#include "schema/rpc.h"
#include "tests/bench/put.h"

/* Numbers of messages begin there: so each takes the same 5 bytes. */
enum { MSGID_FIRST = 1 << 16 };
/* [0, msgid: two bytes, then the head of a uint32, then it. */
enum { MSGID_AT = 3 };

static void repstored_write(struct put_request *request)
{
	const size_t keys_bytes = (size_t)request->rows * sizeof(uint64_t);
	const size_t rows_bytes = (size_t)request->rows * MEASURE_ROW_BYTES;
	struct wire_writer writer = {0};
	rpc_write_request(&writer, MSGID_FIRST, "put");
	wire_write_map(&writer, 5);
	wire_write_str(&writer, "release");
	wire_write_str(&writer, "live");
	wire_write_str(&writer, "table");
	wire_write_str(&writer, "ir");
	wire_write_str(&writer, "dtype");
	wire_write_str(&writer, "f32");
	wire_write_str(&writer, "keys");
	(void)wire_write_bin_space(&writer, keys_bytes);
	request->keys_at = writer.len - keys_bytes;
	wire_write_str(&writer, "rows");
	(void)wire_write_bin_space(&writer, rows_bytes);
	request->rows_at = writer.len - rows_bytes;
	if (writer.status != STATUS_OK) {
		die("put: %s", status_name(writer.status));
	}
	request->data = writer.data;
	request->len = writer.len;
	request->keys_step = sizeof(uint64_t);
	request->rows_step = MEASURE_ROW_BYTES;
}

static void repstored_set_number(struct put_request *request)
{
	const uint32_t msgid = MSGID_FIRST + request->number;
	for (int i = 0; i < 4; i++) {
		request->data[MSGID_AT + i] = (uint8_t)(msgid >> (24 - 8 * i));
	}
}

static void read_result(const uint8_t *data, size_t len, struct put_answer *out)
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	struct error err;
	uint64_t applied = 0;
	if (wire_open(data, len, &message) != STATUS_OK ||
		rpc_read(wire_root(message), &envelope, &err) != STATUS_OK ||
		envelope.type != RPC_RESPONSE || envelope.msgid <= MSGID_FIRST) {
		die("put: an answer that is none");
	}
	if (envelope.failed) {
		die("put: %.*s", (int)envelope.error.len, (const char *)envelope.error.data);
	}
	if (!wire_uint(wire_get(envelope.result, "applied"), &applied) || applied == 0 ||
		applied > PUT_ROWS_MAX) {
		die("put: an answer without what was applied");
	}
	*out = (struct put_answer){.number = envelope.msgid - MSGID_FIRST,
		.rows = (uint32_t)applied};
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
