/* verify.c - compares every file of the store with its checksums; answers when all are compared. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/system/clock.h"
#include "daemon/store/verify/verify.h"

#include <inttypes.h>
#include <string.h>

const char *const verify_names[] = {"keys", NULL};

enum {
	KEYS_DEFAULT = 10,
	KEYS_MAX = 65536, /* of one segment, and of all together */
	TOLD_MAX = 1000,  /* damages that the answer lists */
};

/* What was found so far, as the elements of the answer's list. */
struct found {
	struct wire_writer items;
	uint64_t count;
	uint64_t keys;
};

static void write_keys(struct wire_writer *out, const struct verify_keys *keys, uint64_t *told)
{
	const uint8_t *at = keys->packed;
	const uint64_t left = KEYS_MAX - *told;
	const size_t count = keys->count < left ? keys->count : (size_t)left;
	reply_uint(out, "keys_known", keys->known);
	wire_write_str(out, "keys");
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		if (keys->type == KEY_U64) {
			uint64_t number;
			memcpy(&number, at, sizeof number);
			wire_write_uint(out, number);
			at += sizeof number;
		} else {
			wire_write_bin(out, at + 1, at[0]);
			at += 1 + at[0];
		}
	}
	*told += count;
}

static void on_found(void *arg, const struct verify_damage *damage)
{
	struct found *found = arg;
	struct wire_writer *out = &found->items;
	if (found->count == TOLD_MAX) {
		return;
	}
	found->count++;
	wire_write_map(out,
		2 + (size_t)(damage->release != NULL) + (size_t)(damage->table != NULL) +
			(damage->has_segment ? 2u : 0u) + (damage->keys != NULL ? 2u : 0u));
	reply_text(out, "file", damage->file);
	reply_text(out, "what", damage->what);
	if (damage->release != NULL) {
		reply_str(out, "release", damage->release);
	}
	if (damage->table != NULL) {
		reply_str(out, "table", damage->table);
	}
	if (damage->has_segment) {
		reply_uint(out, "segment", damage->segment);
		reply_uint(out, "rows", damage->rows);
	}
	if (damage->keys != NULL) {
		write_keys(out, damage->keys, &found->keys);
	}
}

static void write_answer(struct call *call, const struct verify_result *result,
	const struct found *found, int64_t began_ms)
{
	struct wire_writer *out = call->out;
	wire_write_map(out, 5);
	reply_uint(out, "files", result->files);
	reply_uint(out, "bytes", result->bytes);
	reply_uint(out, "damaged", result->damaged);
	reply_uint(out, "elapsed_ms", (uint64_t)(clock_monotonic_ms() - began_ms));
	wire_write_str(out, "damage");
	wire_write_array(out, found->count);
	wire_write_raw(out, found->items.data, found->items.len);
	if (found->items.status != STATUS_OK && out->status == STATUS_OK) {
		out->status = found->items.status;
	}
}

enum status verify_run(struct call *call)
{
	struct params params;
	struct found found = {.count = 0};
	params_begin(&params, call->params, "", verify_names, &call->error);
	const uint64_t keys = params_uint_or(&params, "keys", KEYS_DEFAULT);
	if (params.status == STATUS_OK && keys > KEYS_MAX) {
		params_fail(&params, STATUS_BAD_REQUEST, "keys",
			"%" PRIu64 " given, up to %d allowed", keys, KEYS_MAX);
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct verify_wish wish = {.found = on_found, .arg = &found, .keys = (size_t)keys};
	struct verify_result result;
	const int64_t began_ms = clock_monotonic_ms();
	const enum status status =
		store_verify(call->service->store, &wish, call_stop(call), &result, &call->error);
	if (status == STATUS_OK) {
		write_answer(call, &result, &found, began_ms);
	}
	wire_writer_fini(&found.items);
	return status == STATUS_OK ? reply_end(call) : status;
}
