/* wire.h - MessagePack: skim a stream, read a whole message, write one.
 *
 * A stream is skimmed first. wire_skim finds the end of a message without allocating, counts its
 * elements and its depth, and goes on where it stopped when more bytes have come. Only a message
 * that is whole and within the limits is given to msgpack-c (wire_open), which allocates what
 * headers claim.
 *
 * Reading: a wire_value is borrowed from its wire_message; strings and bins point into the bytes
 * that wire_open was given. Writing: a wire_writer is sticky. After a failure its calls do nothing,
 * so `status` is tested once, at the end.
 *
 * Threads: a message or writer is used by one thread at a time.
 * Source: github.com/msgpack/msgpack/blob/master/spec.md
 */
#ifndef SCHEMA_WIRE_H
#define SCHEMA_WIRE_H

#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msgpack_object;

/* ---- skim ---- */

enum { WIRE_DEPTH_MAX = 16 };

/* Zeroed, it stands at the start of a message. */
struct wire_skim {
	size_t at;   /* bytes of the message that were passed; it only grows */
	size_t need; /* the message has at least so many bytes: a hint for growing buffers */
	uint32_t elements;
	uint32_t depth;
	uint32_t left[WIRE_DEPTH_MAX]; /* elements still to come of each open container */
};

/* Skims `data[0, len)`, the message from its first byte, and goes on from skim->at.
 * STATUS_OK: data[0, skim->at) is a whole message; zero the skim for the next one.
 * STATUS_AGAIN: more bytes are needed. What a head claims is judged before it has come. Of a value
 * that is cut, the head (5 bytes at most) is read again, never the body.
 * Errors: PROTOCOL   the byte 0xc1
 *         TOO_LARGE  message bytes, elements or depth over LIMIT_MESSAGE_* */
enum status wire_skim(struct wire_skim *skim, const uint8_t *data, size_t len);

/* Passes one value of a whole message at data + *at. False: it has more than *heads_max values in
 * it, or it is cut; *heads_max is less by those that it had. */
bool wire_skip(const uint8_t *data, size_t len, size_t *at, uint32_t *heads_max);

/* ---- read ---- */

struct wire_value {
	const struct msgpack_object *object; /* NULL: absent */
};

struct wire_message;

enum wire_type {
	WIRE_ABSENT,
	WIRE_NIL,
	WIRE_BOOL,
	WIRE_UINT,
	WIRE_INT, /* negative */
	WIRE_FLOAT,
	WIRE_STR,
	WIRE_BIN,
	WIRE_ARRAY,
	WIRE_MAP,
	WIRE_EXT,
};

struct wire_bytes {
	const uint8_t *data; /* never NULL in what was read, even if len is 0 */
	size_t len;
};

/* Whether they are this text. Most that are not differ in their first byte, so it calls nothing. */
static inline bool wire_bytes_are(struct wire_bytes bytes, const char *text)
{
	size_t same = 0;
	while (same < bytes.len && text[same] != '\0' && (uint8_t)text[same] == bytes.data[same]) {
		same++;
	}
	return same == bytes.len && text[same] == '\0';
}

/* Parses one whole message that wire_skim has passed. `data` must outlive the message. Errors:
 * PROTOCOL, NO_MEMORY. wire_close takes NULL. */
enum status wire_open(const uint8_t *data, size_t len, struct wire_message **out);
/* The same into the memory of *message, which a former call has made; NULL: there is none yet. After a
 * failure it may still be opened again. It is for who opens many: most messages then allocate nothing. */
enum status wire_reopen(const uint8_t *data, size_t len, struct wire_message **message);
void wire_close(struct wire_message *message);
struct wire_value wire_root(const struct wire_message *message);

enum wire_type wire_type(struct wire_value value);
const char *wire_type_name(enum wire_type type); /* "uint", "map", ... for errors */

/* Each returns false, and does not write `out`, when the value is of another type.
 *
 * Encoders differ in the type that they give a value. Those from before bin was there write all
 * bytes as str, and those whose numbers are floats write large integers as float. */
bool wire_bool(struct wire_value value, bool *out);
bool wire_uint(struct wire_value value, uint64_t *out);         /* also a whole float */
bool wire_int(struct wire_value value, int64_t *out);           /* also an unsigned one that fits */
bool wire_float(struct wire_value value, double *out);          /* also integers */
bool wire_str(struct wire_value value, struct wire_bytes *out); /* str or bin */
bool wire_bin(struct wire_value value, struct wire_bytes *out); /* bin or str */

/* The integer that a float is. False beyond 2^53 - 1 to either side: from there on a float may stand
 * for several integers. */
bool wire_whole(double number, int64_t *out);

/* Arrays and maps. Any other type has size 0 and absent values. */
size_t wire_size(struct wire_value value);
struct wire_value wire_item(struct wire_value array, size_t i);
struct wire_value wire_map_key(struct wire_value map, size_t i);
struct wire_value wire_map_value(struct wire_value map, size_t i);
/* Absent also when the value is nil, which encoders write for what is not given. Of a name that is
 * there twice the last one counts. */
struct wire_value wire_get(struct wire_value map, const char *name);

/* ---- write ---- */

/* Zeroed, with `limit` set, it is ready. `data` grows by doubling. */
struct wire_writer {
	uint8_t *data; /* owned */
	size_t len;
	size_t cap;
	size_t limit; /* TOO_LARGE beyond; 0: LIMIT_MESSAGE_BYTES */
	enum status status;
};

void wire_writer_fini(struct wire_writer *writer);
/* Makes it empty and OK again, keeping the memory. */
void wire_writer_clear(struct wire_writer *writer);
/* Goes back to an earlier length and to status OK, for an error reply in place of a result. */
void wire_writer_rewind(struct wire_writer *writer, size_t len);
/* Makes room for `bytes` more, so that writing them does not move the buffer. */
void wire_writer_reserve(struct wire_writer *writer, size_t bytes);

void wire_write_nil(struct wire_writer *writer);
void wire_write_bool(struct wire_writer *writer, bool value);
void wire_write_uint(struct wire_writer *writer, uint64_t value);
void wire_write_int(struct wire_writer *writer, int64_t value);
void wire_write_float(struct wire_writer *writer, double value);
/* NUL-terminated; NULL is nil, which readers take for what is not given. */
void wire_write_str(struct wire_writer *writer, const char *text);
void wire_write_str_len(struct wire_writer *writer, const void *text, size_t len);
void wire_write_bin(struct wire_writer *writer, const void *data, size_t len);
void wire_write_array(struct wire_writer *writer, size_t count);
void wire_write_map(struct wire_writer *writer, size_t count);

/* Writes the head of a bin and leaves its body to the caller. Returns where the `len` bytes go,
 * which are not initialised; NULL after a failure. Valid until the next call that writes. */
uint8_t *wire_write_bin_space(struct wire_writer *writer, size_t len);

/* Copies one whole message (raw MessagePack) into place. */
void wire_write_raw(struct wire_writer *writer, const void *data, size_t len);

#endif
