/* grammar.c - requests of any bytes. */
#include "tests/fuzz/dispatch/grammar.h"

#include "daemon/method/methods.h"
#include "schema/rpc.h"
#include "tests/fuzz/dispatch/values.h"

#include <string.h>

enum {
	/* What a byte says of a param that a method may have. Below the first it is as usual: there, if most
	 * requests have it. */
	PARAM_FLIPPED = 0xa0, /* there, if it is not usual; and the other way round */
	PARAM_STRANGE = 0xd0, /* any value */
	PARAM_NIL = 0xf8,     /* nil */
	PARAM_TWICE = 0xfa,   /* twice */
	PARAM_UNKNOWN = 0xfd, /* there, and an unknown one beside it */
	/* What a byte says of a request: a method's number, or */
	WHAT_NOTIFICATION = 0xc0, /* a notification of a method */
	WHAT_BROKEN = 0xd0,       /* a request with some bytes changed */
	WHAT_ENVELOPE = 0xe0,     /* an envelope of any values */
	WHAT_RAW = 0xf0,          /* bytes */
	RAW_BYTES_MAX = 64,
	DEPTH_MAX = 3,
};

uint8_t choose(struct choices *choices)
{
	return choices->at < choices->end ? *choices->at++ : 0;
}

size_t choose_below(struct choices *choices, size_t count)
{
	return choose(choices) % count;
}

/* ---- params ---- */

/* A map whose pairs are counted while they are written. */
struct pairs {
	struct wire_writer body; /* owned */
	size_t count;
};

static void write_pairs(struct pairs *pairs, struct wire_writer *out)
{
	wire_write_map(out, pairs->count);
	wire_write_raw(out, pairs->body.data, pairs->body.len);
	wire_writer_fini(&pairs->body);
}

static void write_map(struct choices *choices, const char *const *names, struct subject *subject,
	unsigned depth, struct wire_writer *out);

/* Maps in a list, or one by itself. */
/* NOLINTNEXTLINE(misc-no-recursion): `depth` bounds it */
static void write_nested(struct choices *choices, const char *name, struct subject *subject,
	unsigned depth, struct wire_writer *out)
{
	if (strcmp(name, "from") == 0) {
		write_map(choices, values_query_names, subject, depth, out);
		return;
	}
	const size_t count = 1 + choose_below(choices, 4) % 3;
	const char *const *names = strcmp(name, "tensors") == 0 ? tensor_put_part_names
				   : subject->is_put            ? put_part_names
								: fetch_part_names;
	wire_write_array(out, count);
	for (size_t i = 0; i < count; i++) {
		write_map(choices, names, subject, depth, out);
	}
}

static bool is_nested(const char *name)
{
	return strcmp(name, "from") == 0 || strcmp(name, "parts") == 0 ||
	       strcmp(name, "tensors") == 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as write_nested */
static void write_pair(struct choices *choices, const char *name, uint8_t how,
	struct subject *subject, unsigned depth, struct pairs *pairs)
{
	pairs->count++;
	wire_write_str(&pairs->body, name);
	if (how >= PARAM_NIL && how < PARAM_TWICE) {
		wire_write_nil(&pairs->body);
	} else if (how >= PARAM_STRANGE && how < PARAM_NIL) {
		values_write_any(choices, DEPTH_MAX, &pairs->body);
	} else if (is_nested(name) && depth > 0) {
		write_nested(choices, name, subject, depth - 1, &pairs->body);
	} else {
		values_write(choices, name, subject, &pairs->body);
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): as write_nested */
static void write_map(struct choices *choices, const char *const *names, struct subject *subject,
	unsigned depth, struct wire_writer *out)
{
	struct pairs pairs = {0};
	for (size_t i = 0; names[i] != NULL; i++) {
		const uint8_t how = choose(choices);
		const bool is_there =
			values_are_usual(names, i) != (how >= PARAM_FLIPPED && how < PARAM_STRANGE);
		if (!is_there && how < PARAM_STRANGE) {
			continue;
		}
		write_pair(choices, names[i], how, subject, depth, &pairs);
		if (how >= PARAM_TWICE && how < PARAM_UNKNOWN) {
			write_pair(choices, names[i], 0, subject, depth, &pairs);
		} else if (how >= PARAM_UNKNOWN) {
			write_pair(choices, "unknown", PARAM_STRANGE, subject, depth, &pairs);
		}
	}
	write_pairs(&pairs, out);
}

/* What every method takes. */
static const char *const common_names[] = {"timeout_ms", "trace", NULL};

static void write_params(struct choices *choices, const struct method *method,
	struct wire_writer *out)
{
	struct subject subject;
	values_begin(&subject, method->name);
	const uint8_t how = choose(choices);
	if (how >= 0xf0) {
		values_write_any(choices, DEPTH_MAX, out);
	} else if (how >= 0xe8) {
		wire_write_array(out, 0);
	} else if (how >= 0xd0) {
		write_map(choices, common_names, &subject, 1, out);
	} else {
		write_map(choices, method->names, &subject, 1, out);
	}
}

/* ---- messages ---- */

/* A verification starts a process of its own, and takes a thousand times as long as most methods: it comes rarely. */
static const struct method *choose_method(struct choices *choices)
{
	const struct method *method = &method_table[choose_below(choices, method_count)];
	return method->place == METHOD_VERIFY && choose(choices) < 0xf8 ? &method_table[0] : method;
}

static void write_method(struct choices *choices, uint32_t msgid, bool is_request,
	struct wire_writer *out)
{
	const struct method *method = choose_method(choices);
	wire_write_array(out, is_request ? 4 : 3);
	wire_write_uint(out, is_request ? RPC_REQUEST : RPC_NOTIFICATION);
	if (is_request) {
		wire_write_uint(out, msgid);
	}
	wire_write_str(out, method->name);
	wire_write_array(out, 1);
	write_params(choices, method, out);
}

/* Changes bytes behind `from`, takes some away, or puts some in. */
static void change(struct choices *choices, size_t from, struct wire_writer *out)
{
	const size_t times = 1 + choose_below(choices, 4);
	for (size_t i = 0; i < times && out->len > from && out->status == STATUS_OK; i++) {
		const size_t span = out->len - from;
		const size_t at = from + ((size_t)choose(choices) << 8 | choose(choices)) % span;
		const uint8_t byte = choose(choices);
		switch (choose(choices) % 4) {
		case 0:
			out->data[at] = byte;
			break;
		case 1:
			out->data[at] ^= (uint8_t)(1u << byte % 8);
			break;
		case 2:
			memmove(out->data + at, out->data + at + 1, out->len - at - 1);
			wire_writer_rewind(out, out->len - 1);
			break;
		case 3:
			wire_write_raw(out, &byte, 1);
			memmove(out->data + at + 1, out->data + at, out->len - at - 1);
			out->data[at] = byte;
			break;
		}
	}
}

static void write_envelope(struct choices *choices, struct wire_writer *out)
{
	const size_t items = choose_below(choices, 6);
	wire_write_array(out, items);
	for (size_t i = 0; i < items; i++) {
		values_write_any(choices, DEPTH_MAX, out);
	}
}

static void write_raw(struct choices *choices, struct wire_writer *out)
{
	const size_t left = (size_t)(choices->end - choices->at);
	const size_t wanted = 1 + choose_below(choices, RAW_BYTES_MAX);
	const size_t count = wanted < left ? wanted : left;
	wire_write_raw(out, choices->at, count < left ? count : 0);
	choices->at += count < left ? count : 0;
}

void grammar_write(struct choices *choices, uint32_t msgid, struct wire_writer *out)
{
	const size_t from = out->len;
	const uint8_t what = choose(choices);
	if (what >= WHAT_RAW) {
		write_raw(choices, out);
	} else if (what >= WHAT_ENVELOPE) {
		write_envelope(choices, out);
	} else {
		write_method(choices, msgid, what < WHAT_NOTIFICATION || what >= WHAT_BROKEN, out);
		if (what >= WHAT_BROKEN) {
			change(choices, from, out);
		}
	}
}
