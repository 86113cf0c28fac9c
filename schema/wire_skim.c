/* wire_skim.c - finds the end of a MessagePack message without reading its values. */
#include "schema/wire.h"

#include "schema/limits.h"

#include <assert.h>

static_assert(WIRE_DEPTH_MAX == LIMIT_MESSAGE_DEPTH, "one bound, named twice");

/* What the first bytes of a value say. */
struct head {
	size_t size;     /* of the head itself, with its first byte */
	size_t body;     /* bytes that follow and are no values: a number, str, bin or ext */
	size_t children; /* values that follow */
	bool container;  /* an array or a map, maybe an empty one */
};

/* The big-endian length of `size` bytes behind the first byte. */
static size_t read_length(const uint8_t *first, size_t size)
{
	size_t length = 0;
	for (size_t i = 1; i <= size; i++) {
		length = length << 8 | first[i];
	}
	return length;
}

/* Bytes of the length field behind the first byte; 0 when there is none. */
static size_t length_bytes(uint8_t first)
{
	switch (first) {
	case 0xc4: /* bin 8 */
	case 0xc7: /* ext 8 */
	case 0xd9: /* str 8 */
		return 1;
	case 0xc5: /* bin 16 */
	case 0xc8: /* ext 16 */
	case 0xda: /* str 16 */
	case 0xdc: /* array 16 */
	case 0xde: /* map 16 */
		return 2;
	case 0xc6: /* bin 32 */
	case 0xc9: /* ext 32 */
	case 0xdb: /* str 32 */
	case 0xdd: /* array 32 */
	case 0xdf: /* map 32 */
		return 4;
	default:
		return 0;
	}
}

/* For 0xc0..0xdf: bytes behind the first byte, where that byte alone says how many. */
static size_t fixed_body(uint8_t first)
{
	switch (first) {
	case 0xcc: /* uint 8 */
	case 0xd0: /* int 8 */
		return 1;
	case 0xcd: /* uint 16 */
	case 0xd1: /* int 16 */
	case 0xd4: /* fixext 1, with its type */
		return 2;
	case 0xd5: /* fixext 2 */
		return 3;
	case 0xca: /* float 32 */
	case 0xce: /* uint 32 */
	case 0xd2: /* int 32 */
		return 4;
	case 0xd6: /* fixext 4 */
		return 5;
	case 0xcb: /* float 64 */
	case 0xcf: /* uint 64 */
	case 0xd3: /* int 64 */
		return 8;
	case 0xd7: /* fixext 8 */
		return 9;
	case 0xd8: /* fixext 16 */
		return 17;
	default: /* nil, false, true */
		return 0;
	}
}

/* Reads the head at `first`, where `have` > 0 bytes are. If the head is cut, only its size is
 * filled. */
static struct head read_head(const uint8_t *first, size_t have)
{
	uint8_t byte = first[0];
	if (byte < 0x80 || byte >= 0xe0) { /* small integers */
		return (struct head){.size = 1};
	}
	if (byte < 0x90) {
		return (struct head){.size = 1,
			.children = (size_t)(byte & 15u) * 2,
			.container = true};
	}
	if (byte < 0xa0) {
		return (struct head){.size = 1, .children = byte & 15u, .container = true};
	}
	if (byte < 0xc0) {
		return (struct head){.size = 1, .body = byte & 31u};
	}

	struct head head = {.size = 1 + length_bytes(byte)};
	if (head.size == 1) {
		head.body = fixed_body(byte);
	}
	if (head.size == 1 || head.size > have) {
		return head;
	}
	size_t length = read_length(first, head.size - 1);
	if (byte >= 0xdc) {
		head.container = true;
		head.children = byte >= 0xde ? 2 * length : length;
	} else {
		head.body = length + (byte >= 0xc7 && byte <= 0xc9); /* an ext has a type */
	}
	return head;
}

/* Goes into a container. Its children are counted now, though they may never come. */
static enum status enter(struct wire_skim *skim, const struct head *head)
{
	if (skim->depth == WIRE_DEPTH_MAX) {
		return STATUS_TOO_LARGE;
	}
	if (head->children > LIMIT_MESSAGE_ELEMENTS - skim->elements) {
		return STATUS_TOO_LARGE;
	}
	skim->elements += (uint32_t)head->children;
	assert(skim->elements <= LIMIT_MESSAGE_ELEMENTS);
	if (head->children > 0) {
		skim->left[skim->depth++] = (uint32_t)head->children;
	}
	return STATUS_OK;
}

/* One value has ended, and so has every container whose last value it was. */
static void leave(struct wire_skim *skim)
{
	while (skim->depth > 0 && --skim->left[skim->depth - 1] == 0) {
		skim->depth--;
	}
}

/* Sets how many bytes are needed at least: every value that is still to come has one. `end` is the
 * end of the value at hand. */
static enum status wait_for(struct wire_skim *skim, size_t end)
{
	size_t need = end;
	for (uint32_t i = 0; i < skim->depth; i++) {
		need += skim->left[i];
	}
	/* In each open container one value is at hand: the next open container, or the value that
	 * was cut. These are counted in `end` already. */
	assert(need >= skim->depth);
	skim->need = need - skim->depth;
	return STATUS_AGAIN;
}

/* Passes one value; of a container, its head. */
static enum status pass_one(struct wire_skim *skim, const uint8_t *data, size_t len)
{
	if (skim->at >= LIMIT_MESSAGE_BYTES) {
		return STATUS_TOO_LARGE;
	}
	if (skim->at >= len) {
		return wait_for(skim, skim->at + 1);
	}
	const uint8_t *first = data + skim->at;
	if (*first == 0xc1) {
		return STATUS_PROTOCOL;
	}
	struct head head = read_head(first, len - skim->at);
	size_t end = skim->at + head.size + head.body;
	if (end > LIMIT_MESSAGE_BYTES) {
		return STATUS_TOO_LARGE;
	}
	if (end > len) {
		return wait_for(skim, end);
	}
	enum status status = head.container ? enter(skim, &head) : STATUS_OK;
	if (status != STATUS_OK) {
		return status;
	}
	skim->at = end;
	if (head.children == 0) {
		leave(skim);
	}
	return STATUS_OK;
}

enum status wire_skim(struct wire_skim *skim, const uint8_t *data, size_t len)
{
	assert(skim->depth <= WIRE_DEPTH_MAX);
	if (skim->at == 0) {
		skim->elements = 1;
	}
	do {
		enum status status = pass_one(skim, data, len);
		if (status != STATUS_OK) {
			return status;
		}
	} while (skim->depth > 0);
	assert(skim->at <= len);
	skim->need = skim->at;
	return STATUS_OK;
}

bool wire_skip(const uint8_t *data, size_t len, size_t *at, uint32_t *heads_max)
{
	for (uint64_t left = 1; left > 0; left--) {
		if (*heads_max == 0 || *at >= len) {
			return false;
		}
		--*heads_max;
		const struct head head = read_head(data + *at, len - *at);
		if (head.size + head.body > len - *at) {
			return false;
		}
		*at += head.size + head.body;
		left += head.children;
	}
	return true;
}
