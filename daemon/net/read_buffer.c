/* read_buffer.c - grows with the bytes that come, and gives away a big message without a copy. */
#include "daemon/net/read_buffer.h"

#include "schema/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_MAX = LIMIT_MESSAGE_BYTES + READ_BUFFER_SLACK_BYTES };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* What a buffer of this capacity takes from the budget. Every connection may have the base without
 * taking anything. */
static size_t charge_of(size_t cap)
{
	return cap > READ_BUFFER_BASE_BYTES ? cap : 0;
}

static void assert_ordered(const struct read_buffer *buffer)
{
	assert(buffer->at <= buffer->len);
	assert(buffer->len <= buffer->cap);
	assert(buffer->skim.at <= buffer->len - buffer->at);
}

/* Makes `data` the memory of the buffer; it begins with `len` bytes to parse. The caller keeps or
 * frees the memory that was there. */
static void replace(struct read_buffer *buffer, uint8_t *data, size_t len, size_t cap)
{
	assert((data != NULL) == (cap > 0));
	assert(len <= cap);
	buffer->data = data;
	buffer->at = 0;
	buffer->len = len;
	buffer->cap = cap;
}

/* The next capacity of a full buffer whose message needs at least `need` bytes. It grows by at least
 * a half, so that a message of many small values is not copied again and again; and at most
 * threefold, since the bytes that are announced may never come. Halves of the need are the steps, so
 * that the last one is the need itself. */
static size_t cap_for(const struct read_buffer *buffer, size_t need)
{
	if (need <= READ_BUFFER_BASE_BYTES) {
		return READ_BUFFER_BASE_BYTES;
	}
	/* A peer may announce more than CAP_MAX. wire_skim refuses its message when the bytes that
	 * have come pass the limit, and these always fit. */
	const size_t cap = larger(buffer->cap, READ_BUFFER_BASE_BYTES);
	size_t next = smaller(larger(need + READ_BUFFER_SLACK_BYTES, cap + cap / 2), CAP_MAX);
	while (next > 3 * cap) {
		next -= next / 2;
	}
	return next;
}

/* The message begins at 0, so realloc enlarges the buffer; for megabytes it moves pages instead of
 * copying bytes. */
static enum status grow(struct read_buffer *buffer, size_t need)
{
	const size_t cap = cap_for(buffer, need);
	assert(buffer->at == 0);
	assert(cap > buffer->len);
	const size_t more = charge_of(cap) - charge_of(buffer->cap);
	if (!budget_take(buffer->holder, more)) {
		return STATUS_BUSY;
	}
	uint8_t *data = realloc(buffer->data, cap);
	if (data == NULL) {
		budget_give(buffer->holder, more);
		return STATUS_NO_MEMORY;
	}
	replace(buffer, data, buffer->len, cap);
	return STATUS_OK;
}

/* Makes room for the next bytes of a message that needs `need` bytes, not for all of them. */
static enum status make_room(struct read_buffer *buffer, size_t need)
{
	if (need <= buffer->cap - buffer->at) {
		return STATUS_OK;
	}
	if (buffer->at > 0) {
		const size_t have = buffer->len - buffer->at;
		memmove(buffer->data, buffer->data + buffer->at, have);
		replace(buffer, buffer->data, have, buffer->cap);
	}
	const bool is_full = buffer->cap - buffer->len < READ_BUFFER_SLACK_BYTES;
	return need > buffer->cap && is_full ? grow(buffer, need) : STATUS_OK;
}

void read_buffer_fini(struct read_buffer *buffer)
{
	if (buffer->holder != NULL) {
		budget_give(buffer->holder, charge_of(buffer->cap));
	}
	free(buffer->data);
	*buffer = (struct read_buffer){.holder = buffer->holder};
}

void read_buffer_borrow(struct read_buffer *buffer, uint8_t **spare)
{
	if (buffer->data != NULL || *spare == NULL) {
		return;
	}
	replace(buffer, *spare, 0, READ_BUFFER_BASE_BYTES);
	*spare = NULL;
}

void read_buffer_rest(struct read_buffer *buffer, uint8_t **spare)
{
	if (buffer->at != buffer->len || buffer->cap != READ_BUFFER_BASE_BYTES) {
		return;
	}
	assert(!buffer->whole);
	if (*spare == NULL) {
		*spare = buffer->data;
	} else {
		free(buffer->data);
	}
	replace(buffer, NULL, 0, 0);
}

enum status read_buffer_space(struct read_buffer *buffer, uint8_t **out, size_t *len)
{
	assert(!buffer->whole);
	size_t have = buffer->len - buffer->at;
	size_t need = larger(buffer->skim.need, have + 1);
	enum status status = make_room(buffer, need);
	if (status != STATUS_OK) {
		return status;
	}

	assert_ordered(buffer);
	size_t room = buffer->cap - buffer->len;
	/* Read little past the end of a big message: the bytes after it are copied when the buffer
	 * is given away. */
	if (buffer->cap > READ_BUFFER_BASE_BYTES) {
		room = smaller(room, larger(need - have, READ_BUFFER_SLACK_BYTES));
	}
	*out = buffer->data + buffer->len;
	*len = smaller(room, READ_BUFFER_READ_BYTES);
	assert(*len > 0); /* libuv takes an empty space for "no memory" */
	return STATUS_OK;
}

void read_buffer_filled(struct read_buffer *buffer, size_t count)
{
	assert(count <= buffer->cap - buffer->len);
	buffer->len += count;
}

enum status read_buffer_next(struct read_buffer *buffer, struct read_message *out)
{
	if (!buffer->whole) {
		if (buffer->at == buffer->len) {
			return STATUS_AGAIN;
		}
		enum status status = wire_skim(&buffer->skim, buffer->data + buffer->at,
			buffer->len - buffer->at);
		if (status != STATUS_OK) {
			return status;
		}
		buffer->whole = true;
	}
	assert_ordered(buffer);
	assert(buffer->skim.at > 0);
	*out = (struct read_message){
		.data = buffer->data + buffer->at,
		.len = buffer->skim.at,
		.elements = buffer->skim.elements,
	};
	return STATUS_OK;
}

size_t read_buffer_partial(const struct read_buffer *buffer)
{
	return buffer->whole ? 0 : buffer->len - buffer->at;
}

/* Makes the message that begins at `at` the first. */
static void advance(struct read_buffer *buffer, size_t at)
{
	assert(at >= buffer->at);
	assert(at <= buffer->len);
	buffer->at = at;
	buffer->skim = (struct wire_skim){0};
	buffer->whole = false;
	if (buffer->at == buffer->len) {
		buffer->at = buffer->len = 0;
	}
}

/* Goes back to the base if what is left fits there. If there is no memory for the base, the buffer
 * stays big. */
static void shrink(struct read_buffer *buffer)
{
	size_t have = buffer->len - buffer->at;
	if (buffer->cap <= READ_BUFFER_BASE_BYTES || have > READ_BUFFER_BASE_BYTES) {
		return;
	}
	uint8_t *data = malloc(READ_BUFFER_BASE_BYTES);
	if (data == NULL) {
		return;
	}
	memcpy(data, buffer->data + buffer->at, have);
	free(buffer->data);
	budget_give(buffer->holder, charge_of(buffer->cap));
	replace(buffer, data, have, READ_BUFFER_BASE_BYTES);
}

void read_buffer_done(struct read_buffer *buffer)
{
	assert(buffer->whole);
	advance(buffer, buffer->at + buffer->skim.at);
	shrink(buffer);
}

static enum status take_copy(struct read_buffer *buffer, size_t extra, struct read_taken *out)
{
	size_t len = buffer->skim.at;
	if (!budget_take(buffer->holder, len + extra)) {
		return STATUS_BUSY;
	}
	uint8_t *data = malloc(len);
	if (data == NULL) {
		budget_give(buffer->holder, len + extra);
		return STATUS_NO_MEMORY;
	}
	memcpy(data, buffer->data + buffer->at, len);
	*out = (struct read_taken){.data = data, .len = len, .charged = len + extra};
	read_buffer_done(buffer);
	return STATUS_OK;
}

/* Gives back what a buffer has beyond the message in it, if that is much. */
static void trim(struct read_buffer *buffer, size_t len)
{
	const size_t cap = larger(len, READ_BUFFER_BASE_BYTES + 1);
	if (buffer->cap - cap <= READ_BUFFER_SLACK_BYTES) {
		return;
	}
	uint8_t *data = realloc(buffer->data, cap);
	if (data != NULL) {
		budget_give(buffer->holder, charge_of(buffer->cap) - charge_of(cap));
		replace(buffer, data, len, cap);
	}
}

/* Gives the buffer away, and copies the few bytes that follow the message into a new one. */
static enum status take_buffer(struct read_buffer *buffer, size_t extra, struct read_taken *out)
{
	size_t len = buffer->skim.at;
	size_t rest = buffer->len - len;
	uint8_t *data = NULL;
	assert(buffer->at == 0);
	assert(rest <= READ_BUFFER_BASE_BYTES);
	if (!budget_take(buffer->holder, extra)) {
		return STATUS_BUSY;
	}
	if (rest > 0 && (data = malloc(READ_BUFFER_BASE_BYTES)) == NULL) {
		budget_give(buffer->holder, extra);
		return STATUS_NO_MEMORY;
	}
	if (rest > 0) {
		memcpy(data, buffer->data + len, rest);
	}
	trim(buffer, len);
	*out = (struct read_taken){
		.data = buffer->data,
		.len = len,
		.charged = charge_of(buffer->cap) + extra,
	};
	replace(buffer, data, rest, data != NULL ? READ_BUFFER_BASE_BYTES : 0);
	advance(buffer, 0);
	return STATUS_OK;
}

enum status read_buffer_take(struct read_buffer *buffer, size_t extra, struct read_taken *out)
{
	assert(buffer->whole);
	assert_ordered(buffer);
	size_t rest = buffer->len - buffer->at - buffer->skim.at;
	bool big = buffer->at == 0 && buffer->cap > READ_BUFFER_BASE_BYTES &&
		   buffer->skim.at >= buffer->cap / 2 && rest <= READ_BUFFER_BASE_BYTES;
	return big ? take_buffer(buffer, extra, out) : take_copy(buffer, extra, out);
}
