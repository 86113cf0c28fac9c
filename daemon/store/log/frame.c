/* frame.c - frames of the log, encoded and decoded byte by byte. */
#include "daemon/store/log/frame.h"

#include "daemon/store/system/bytes.h"

#include <assert.h>
#include <xxhash.h>

static const uint8_t frame_magic[4] = {'r', 'f', 'r', 'm'};

enum {
	AT_BYTES = 4,
	AT_VERSION = 8,
	AT_PARTS = 10,
	AT_ZERO = 12,
	AT_SEQUENCE = 16,
	AT_FIRST = 24,
	AT_RELEASE = 32,
	AT_CLOCK = 40,
	AT_HASH = 48,
};

/* Within a part. */
enum {
	PART_AT_KIND = 0,
	PART_AT_ZERO = 2,
	PART_AT_ROWS = 4,
	PART_AT_TABLE = 8,
	PART_AT_BYTES = 16,
};

/* The bytes that a row has beside its key. */
static size_t body_bytes(const struct table_spec *spec, enum frame_kind kind)
{
	return kind == FRAME_DELETE
		       ? 0
		       : 8 + (spec->tags ? 8u : 0u) + (spec->dtype == DTYPE_I8 ? 4u : 0u) +
				 spec_stored_bytes(spec);
}

size_t frame_part_bytes_max(const struct table_spec *spec, enum frame_kind kind, size_t count,
	size_t key_bytes)
{
	const size_t lengths = spec->key_type == KEY_BYTES ? count : 0;
	return FRAME_PART_BYTES + key_bytes + lengths + count * body_bytes(spec, kind) +
	       FRAME_ALIGN;
}

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

uint8_t *frame_put_row(uint8_t *at, const struct table_spec *spec, enum frame_kind kind,
	const struct frame_row *row)
{
	if (spec->key_type == KEY_BYTES) {
		assert(row->key_len <= LIMIT_KEY_BYTES); /* its length is one byte */
		*at++ = (uint8_t)row->key_len;
	}
	at = put(at, row->key, row->key_len);
	if (kind == FRAME_DELETE) {
		return at;
	}
	assert((row->low == NULL) == (spec_low_bytes(spec) == 0)); /* as a reader expects */
	at = put(at, &row->time_ms, 8);
	if (spec->tags) {
		at = put(at, &row->tags, 8);
	}
	if (spec->dtype == DTYPE_I8) {
		at = put(at, &row->scale, 4);
	}
	at = put(at, row->data, spec_row_bytes(spec));
	return row->low == NULL ? at : put(at, row->low, spec_low_bytes(spec));
}

static uint8_t *put_name(uint8_t *at, const struct name *name)
{
	const size_t len = strlen(name->text);
	assert(len <= LIMIT_NAME_BYTES);
	*at++ = (uint8_t)len;
	return put(at, name->text, len);
}

uint8_t *frame_put_position(uint8_t *at, const struct frame_position *position)
{
	const struct frame_part part = {.kind = FRAME_POSITION, .rows = 1};
	uint8_t *end = put_name(at + FRAME_PART_BYTES, &position->to.layer);
	end = put_name(end, &position->to.source);
	bytes_put_u64(end, position->to.next);
	end[8] = position->is_first ? 0 : 1;
	bytes_put_u64(end + 9, position->before);
	end = frame_end_part(at, end + 17, &part);
	assert(end - at <= FRAME_POSITION_BYTES_MAX);
	return end;
}

size_t frame_forget_bytes_max(size_t count)
{
	return FRAME_PART_BYTES + count * 2 * (1 + LIMIT_NAME_BYTES) + FRAME_ALIGN;
}

uint8_t *frame_put_forget(uint8_t *at, const struct source_position *sources, size_t count)
{
	const struct frame_part part = {.kind = FRAME_FORGET, .rows = (uint32_t)count};
	uint8_t *end = at + FRAME_PART_BYTES;
	assert(count <= LIMIT_SOURCES);
	for (size_t i = 0; i < count; i++) {
		end = put_name(end, &sources[i].layer);
		end = put_name(end, &sources[i].source);
	}
	return frame_end_part(at, end, &part);
}

bool frame_is_of_table(enum frame_kind kind)
{
	return kind == FRAME_PUT || kind == FRAME_DELETE;
}

static bool is_kind(uint16_t kind)
{
	return frame_is_of_table((enum frame_kind)kind) || kind == FRAME_POSITION ||
	       kind == FRAME_FORGET || kind == FRAME_SAMPLES;
}

uint8_t *frame_end_part(uint8_t *at, uint8_t *end, const struct frame_part *part)
{
	assert(end - at >= FRAME_PART_BYTES);
	assert(is_kind((uint16_t)part->kind)); /* else no start could read the log */
	while ((size_t)(end - at) % FRAME_ALIGN != 0) {
		*end++ = 0;
	}
	memset(at, 0, FRAME_PART_BYTES);
	bytes_put_u16(at + PART_AT_KIND, (uint16_t)part->kind);
	bytes_put_u32(at + PART_AT_ROWS, part->rows);
	bytes_put_u64(at + PART_AT_TABLE, part->table);
	bytes_put_u64(at + PART_AT_BYTES, (uint64_t)(end - at));
	return end;
}

void frame_end(uint8_t *data, const uint8_t *end, struct frame_head *head)
{
	const size_t len = (size_t)(end - data);
	assert(len >= FRAME_BYTES_MIN);
	assert(len <= UINT32_MAX);
	assert(len % FRAME_ALIGN == 0);
	assert(head->parts > 0);
	assert(head->parts <= FRAME_PARTS_MAX);
	head->bytes = (uint32_t)len;
	memset(data, 0, FRAME_HEAD_BYTES);
	memcpy(data, frame_magic, sizeof frame_magic);
	bytes_put_u32(data + AT_BYTES, head->bytes);
	bytes_put_u16(data + AT_VERSION, FRAME_VERSION);
	bytes_put_u16(data + AT_PARTS, head->parts);
	bytes_put_u64(data + AT_SEQUENCE, head->sequence);
	bytes_put_u64(data + AT_RELEASE, head->release);
	bytes_put_u64(data + AT_CLOCK, (uint64_t)head->clock_ms);
}

/* The checksum of a frame; what stands in its place in the head does not count. */
static uint64_t hash_frame(const uint8_t *data, size_t len, uint64_t salt)
{
	uint8_t head[FRAME_HEAD_BYTES];
	memcpy(head, data, FRAME_HEAD_BYTES);
	memset(head + AT_HASH, 0, 8);
	const uint64_t seed = XXH3_64bits_withSeed(head, sizeof head, salt);
	return XXH3_64bits_withSeed(data + FRAME_HEAD_BYTES, len - FRAME_HEAD_BYTES, seed);
}

void frame_seal(uint8_t *data, uint64_t first, uint64_t salt)
{
	bytes_put_u64(data + AT_FIRST, first);
	bytes_put_u64(data + AT_HASH, hash_frame(data, bytes_get_u32(data + AT_BYTES), salt));
}

/* Whether the parts have sound heads, and fill the frame. */
static bool has_parts(const uint8_t *data, uint32_t bytes, uint16_t parts)
{
	size_t at = FRAME_HEAD_BYTES;
	for (uint16_t i = 0; i < parts; i++) {
		if (bytes - at < FRAME_PART_BYTES) {
			return false;
		}
		const uint64_t len = bytes_get_u64(data + at + PART_AT_BYTES);
		if (len < FRAME_PART_BYTES || len > bytes - at || len % FRAME_ALIGN != 0 ||
			!is_kind(bytes_get_u16(data + at + PART_AT_KIND)) ||
			bytes_get_u16(data + at + PART_AT_ZERO) != 0) {
			return false;
		}
		at += len;
	}
	return parts > 0 && at == bytes;
}

bool frame_is(const uint8_t *data, uint64_t sequence, size_t len)
{
	return memcmp(data, frame_magic, sizeof frame_magic) == 0 &&
	       bytes_get_u64(data + AT_SEQUENCE) == sequence &&
	       bytes_get_u32(data + AT_BYTES) == len;
}

static struct frame_head read_head(const uint8_t *data)
{
	return (struct frame_head){
		.bytes = bytes_get_u32(data + AT_BYTES),
		.parts = bytes_get_u16(data + AT_PARTS),
		.sequence = bytes_get_u64(data + AT_SEQUENCE),
		.first = bytes_get_u64(data + AT_FIRST),
		.release = bytes_get_u64(data + AT_RELEASE),
		.clock_ms = (int64_t)bytes_get_u64(data + AT_CLOCK),
	};
}

/* Whether a frame of any version may begin here, all of which is there. */
static bool may_begin(const uint8_t *data, size_t len)
{
	if (len < FRAME_HEAD_BYTES || memcmp(data, frame_magic, sizeof frame_magic) != 0) {
		return false;
	}
	const uint32_t bytes = bytes_get_u32(data + AT_BYTES);
	return bytes >= FRAME_HEAD_BYTES && bytes <= len && bytes % FRAME_ALIGN == 0;
}

/* Whether the frame has the form that this build knows. */
static bool has_form(const uint8_t *data, const struct frame_head *head)
{
	return bytes_get_u16(data + AT_VERSION) == FRAME_VERSION &&
	       bytes_get_u32(data + AT_ZERO) == 0 && has_parts(data, head->bytes, head->parts);
}

bool frame_may_be(const uint8_t *data, size_t len, struct frame_head *out)
{
	if (!may_begin(data, len)) {
		return false;
	}
	*out = read_head(data);
	/* Bytes of a row may claim any number of parts; no more are walked than a write has. */
	return out->first <= out->sequence && out->parts <= FRAME_PARTS_MAX && has_form(data, out);
}

enum status frame_check(const uint8_t *data, size_t len, uint64_t salt, struct frame_head *out)
{
	if (!may_begin(data, len)) {
		return STATUS_CORRUPT;
	}
	const struct frame_head head = read_head(data);
	if (bytes_get_u64(data + AT_HASH) != hash_frame(data, head.bytes, salt)) {
		return STATUS_CORRUPT;
	}
	if (!has_form(data, &head)) {
		return STATUS_UNSUPPORTED;
	}
	*out = head;
	return STATUS_OK;
}

bool frame_next_part(const uint8_t *data, const struct frame_head *head, size_t *at,
	struct frame_part *out)
{
	*at = *at == 0 ? FRAME_HEAD_BYTES : *at;
	if (*at >= head->bytes) {
		return false;
	}
	const uint8_t *part = data + *at;
	const size_t bytes = (size_t)bytes_get_u64(part + PART_AT_BYTES);
	/* The frame was checked, or is our own. */
	assert(bytes >= FRAME_PART_BYTES);
	assert(bytes <= head->bytes - *at);
	*out = (struct frame_part){
		.kind = (enum frame_kind)bytes_get_u16(part + PART_AT_KIND),
		.rows = bytes_get_u32(part + PART_AT_ROWS),
		.table = bytes_get_u64(part + PART_AT_TABLE),
		.data = part + FRAME_PART_BYTES,
		.bytes = bytes - FRAME_PART_BYTES,
	};
	*at += bytes;
	return true;
}

typedef enum status check_fn(const char *text, size_t len, const char *what, struct name *out,
	struct error *err);

static const uint8_t *read_name(const uint8_t *at, const uint8_t *end, check_fn *check,
	struct name *out)
{
	if (at == NULL || at == end || (size_t)(end - at) - 1 < *at ||
		check((const char *)at + 1, *at, "", out, NULL) != STATUS_OK) {
		return NULL;
	}
	return at + 1 + *at;
}

enum status frame_read_position(const struct frame_part *part, struct frame_position *out)
{
	const uint8_t *end = part->data + part->bytes;
	const uint8_t *at = read_name(part->data, end, fed_name_check, &out->to.layer);
	at = read_name(at, end, name_check, &out->to.source);
	if (at == NULL || end - at < 17 || part->rows != 1) {
		return STATUS_CORRUPT;
	}
	out->to.next = bytes_get_u64(at);
	out->is_first = at[8] == 0;
	out->before = bytes_get_u64(at + 9);
	return STATUS_OK;
}

void frame_sources_begin(struct frame_sources *walk, const struct frame_part *part)
{
	assert(part->kind == FRAME_FORGET);
	*walk = (struct frame_sources){part->data, part->data + part->bytes, part->rows};
}

bool frame_sources_next(struct frame_sources *walk, struct source_position *out)
{
	if (walk->left == 0) {
		return false;
	}
	*out = (struct source_position){0};
	const uint8_t *at = read_name(walk->at, walk->end, fed_name_check, &out->layer);
	at = read_name(at, walk->end, name_check, &out->source);
	if (at == NULL) {
		return false;
	}
	walk->at = at;
	walk->left--;
	return true;
}

void frame_walk_begin(struct frame_walk *walk, const struct frame_part *part,
	const struct table_spec *spec)
{
	assert(frame_is_of_table(part->kind));
	*walk = (struct frame_walk){
		.spec = spec,
		.kind = part->kind,
		.at = part->data,
		.end = part->data + part->bytes,
		.left = part->rows,
	};
}

bool frame_walk_next(struct frame_walk *walk, struct frame_row *out)
{
	const struct table_spec *spec = walk->spec;
	size_t room = (size_t)(walk->end - walk->at);
	const uint8_t *at = walk->at;
	size_t key_len = 8;
	if (walk->left == 0 || room == 0) {
		return false;
	}
	if (spec->key_type == KEY_BYTES) {
		key_len = *at++;
		room--;
	}
	const size_t body = body_bytes(spec, walk->kind);
	if (key_len == 0 || room < key_len + body) {
		return false;
	}
	*out = (struct frame_row){.key = at, .key_len = key_len};
	at += key_len;
	if (walk->kind == FRAME_PUT) {
		memcpy(&out->time_ms, at, 8);
		at += 8;
		if (spec->tags) {
			memcpy(&out->tags, at, 8);
			at += 8;
		}
		if (spec->dtype == DTYPE_I8) {
			memcpy(&out->scale, at, 4);
			at += 4;
		}
		out->data = at;
		at += spec_row_bytes(spec);
		out->low = spec_low_bytes(spec) == 0 ? NULL : at;
		at += spec_low_bytes(spec);
	}
	walk->at = at;
	walk->left--;
	return true;
}
