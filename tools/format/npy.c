/* npy.c - reads and writes headers of NumPy's file format. */
#include "tools/format/npy.h"

#include "tools/format/file_kind.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	MAGIC_BYTES = 6,
	VERSION_BYTES = 2,
	ALIGN_BYTES = 64,
	DESCR_BYTES_MAX = 15,
	/* NumPy leaves room for the first number of the shape to grow to this. */
	GROWTH_DIGITS = 21,
};

static const uint8_t magic[MAGIC_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* The header's text, which is a Python dict, and how far it is read. */
struct cursor {
	const char *name; /* of the file */
	const char *text;
	size_t len;
	size_t at;
	struct error *err;
};

/* What the dict says. */
struct dict {
	char descr[DESCR_BYTES_MAX + 1];
	bool has_descr;
	bool has_order;
	bool has_shape;
	bool fortran_order;
	uint32_t dims;
	uint64_t shape[NPY_DIMS_MAX];
};

static enum status wrong(const struct cursor *cursor, const char *what)
{
	return error_set(cursor->err, STATUS_BAD_REQUEST, "'%s': header: %s (at byte %zu of it)",
		cursor->name, what, cursor->at);
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->len && strchr(" \t\n\r", cursor->text[cursor->at]) != NULL &&
		cursor->text[cursor->at] != '\0') {
		cursor->at++;
	}
}

/* Skips white space, and takes the character behind it if that is `c`. */
static bool take(struct cursor *cursor, char c)
{
	skip_space(cursor);
	if (cursor->at < cursor->len && cursor->text[cursor->at] == c) {
		cursor->at++;
		return true;
	}
	return false;
}

/* Takes a quoted string. One with escapes is refused. */
static bool take_string(struct cursor *cursor, const char **text, size_t *len)
{
	char quote = '\'';
	if (!take(cursor, quote)) {
		quote = '"';
		if (!take(cursor, quote)) {
			return false;
		}
	}
	*text = cursor->text + cursor->at;
	const char *end = memchr(*text, quote, cursor->len - cursor->at);
	if (end == NULL) {
		return false;
	}
	*len = (size_t)(end - *text);
	cursor->at += *len + 1;
	return memchr(*text, '\\', *len) == NULL;
}

static bool take_word(struct cursor *cursor, const char *word)
{
	skip_space(cursor);
	size_t len = strlen(word);
	if (cursor->len - cursor->at < len || memcmp(cursor->text + cursor->at, word, len) != 0) {
		return false;
	}
	cursor->at += len;
	return true;
}

static bool take_number(struct cursor *cursor, uint64_t *out)
{
	skip_space(cursor);
	size_t first = cursor->at;
	uint64_t value = 0;
	while (cursor->at < cursor->len && cursor->text[cursor->at] >= '0' &&
		cursor->text[cursor->at] <= '9') {
		uint64_t digit = (uint64_t)(cursor->text[cursor->at] - '0');
		if (value > (UINT64_MAX - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
		cursor->at++;
	}
	*out = value;
	return cursor->at > first;
}

/* Takes a number of a shape: also as Python 2 wrote it (3L), and as NumPy 2 does where a program
 * gave it a number of its own (np.int64(3)). */
static bool take_extent(struct cursor *cursor, uint64_t *out)
{
	if (take_word(cursor, "np.int64(")) {
		return take_number(cursor, out) && take(cursor, ')');
	}
	return take_number(cursor, out) && (take_word(cursor, "L") || true);
}

/* Reads a tuple: (), (3,), (3, 4). */
static enum status read_shape(struct cursor *cursor, struct dict *dict)
{
	if (!take(cursor, '(')) {
		return wrong(cursor, "shape: not a tuple");
	}
	dict->dims = 0;
	bool comma = true;
	while (!take(cursor, ')')) {
		if (!comma) {
			return wrong(cursor, "shape: a comma is missing");
		}
		if (dict->dims == NPY_DIMS_MAX) {
			return wrong(cursor, "shape: more than 8 dimensions");
		}
		if (!take_extent(cursor, &dict->shape[dict->dims])) {
			return wrong(cursor, "shape: not a number below 2^64");
		}
		dict->dims++;
		comma = take(cursor, ',');
	}
	if (dict->dims == 1 && !comma) {
		return wrong(cursor, "shape: not a tuple");
	}
	dict->has_shape = true;
	return STATUS_OK;
}

static enum status read_descr(struct cursor *cursor, struct dict *dict)
{
	const char *text = NULL;
	size_t len = 0;
	skip_space(cursor);
	if (cursor->at < cursor->len && cursor->text[cursor->at] == '[') {
		return wrong(cursor,
			"descr: structured arrays are not read; save each field by itself");
	}
	if (!take_string(cursor, &text, &len)) {
		return wrong(cursor, "descr: not a string");
	}
	if (len > DESCR_BYTES_MAX || memchr(text, '\0', len) != NULL) {
		return wrong(cursor, "descr: not a type that is read here");
	}
	memcpy(dict->descr, text, len);
	dict->descr[len] = '\0';
	dict->has_descr = true;
	return STATUS_OK;
}

static enum status read_order(struct cursor *cursor, struct dict *dict)
{
	if (take_word(cursor, "True")) {
		dict->fortran_order = true;
	} else if (!take_word(cursor, "False")) {
		return wrong(cursor, "fortran_order: neither True nor False");
	}
	dict->has_order = true;
	return STATUS_OK;
}

static bool is_text(const char *text, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(text, what, len) == 0;
}

/* Reads one `'name': value`. */
static enum status read_entry(struct cursor *cursor, struct dict *dict)
{
	const char *text = NULL;
	size_t len = 0;
	if (!take_string(cursor, &text, &len)) {
		return wrong(cursor, "not a dict of descr, fortran_order and shape");
	}
	if (!take(cursor, ':')) {
		return wrong(cursor, "a colon is missing");
	}
	if (is_text(text, len, "descr") && !dict->has_descr) {
		return read_descr(cursor, dict);
	}
	if (is_text(text, len, "fortran_order") && !dict->has_order) {
		return read_order(cursor, dict);
	}
	if (is_text(text, len, "shape") && !dict->has_shape) {
		return read_shape(cursor, dict);
	}
	return wrong(cursor, "a key that is unknown or given twice");
}

static enum status read_dict(struct cursor *cursor, struct dict *dict)
{
	if (!take(cursor, '{')) {
		return wrong(cursor, "not a dict");
	}
	bool comma = true;
	while (!take(cursor, '}')) {
		if (!comma) {
			return wrong(cursor, "a comma is missing");
		}
		enum status status = read_entry(cursor, dict);
		if (status != STATUS_OK) {
			return status;
		}
		comma = take(cursor, ',');
	}
	skip_space(cursor);
	if (cursor->at != cursor->len) {
		return wrong(cursor, "something stands behind the dict");
	}
	if (!dict->has_descr || !dict->has_order || !dict->has_shape) {
		return wrong(cursor, "descr, fortran_order or shape is missing");
	}
	return STATUS_OK;
}

/* What to do about an array of a type that is not read. */
static const char *advice_on(char kind)
{
	static const struct {
		char kind;
		const char *says;
	} types[] = {
		{'U', "text: save x.astype('S'), or of more than ASCII np.char.encode(x, 'utf-8')"},
		{'O', "Python objects, as pickles: save keys as x.astype('S') or x.astype('u8'), rows as "
		      "np.stack(x).astype('f4')"},
		{'M', "datetime64: save x.astype('datetime64[ms]').astype('i8')"},
		{'m', "timedelta64: save x.astype('i8')"},
		{'V', "bytes without a type, as bfloat16 of ml_dtypes is: save x.view('u2')"},
		{'c', "complex numbers: save the real part"},
		{'f', "f2, f4 and f8 are read: save x.astype('f4')"},
	};
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (types[i].kind == kind) {
			return types[i].says;
		}
	}
	return "f, i, u, b and S are read";
}

/* Reads "<f4": byte order, kind, bytes of an element. */
static enum status read_type(const char *name, const char *descr, struct npy *out,
	struct error *err)
{
	char order = descr[0];
	char kind = order != '\0' ? descr[1] : '\0';
	struct cursor digits = {.text = descr, .len = strlen(descr), .at = 2};
	uint64_t bytes = 0;
	const bool formed = strchr("<>|=", order) != NULL && order != '\0' && kind != '\0' &&
			    take_number(&digits, &bytes) && digits.at == digits.len;
	bool known =
		formed && ((kind == 'f' && (bytes == 2 || bytes == 4 || bytes == 8)) ||
				  ((kind == 'i' || kind == 'u') &&
					  (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8)) ||
				  (kind == 'b' && bytes == 1) ||
				  (kind == 'S' && bytes >= 1 && bytes <= NPY_ITEM_BYTES_MAX));
	if (!known) {
		return error_set(err, STATUS_UNSUPPORTED, "'%s': descr '%s' is not read: %s", name,
			descr, advice_on(kind));
	}
	if (order == '>' && bytes > 1 && kind != 'S') {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s': descr '%s' is big-endian; save it as little-endian: x.astype(x.dtype.newbyteorder('<'))",
			name, descr);
	}
	if (order == '|' && bytes > 1 && kind != 'S') {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': descr '%s' does not say its byte order", name, descr);
	}
	out->kind = kind;
	out->item_bytes = (size_t)bytes;
	return STATUS_OK;
}

/* Checks that the file has as many bytes behind its header as the shape says. */
static enum status check_size(const char *name, const struct npy *npy, uint64_t data_bytes,
	uint64_t *elements, struct error *err)
{
	uint64_t count = 1;
	for (uint32_t i = 0; i < npy->dims; i++) {
		if (__builtin_mul_overflow(count, npy->shape[i], &count)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"'%s': shape: its product is over 2^64", name);
		}
	}
	uint64_t bytes = 0;
	if (__builtin_mul_overflow(count, npy->item_bytes, &bytes)) {
		return error_set(err, STATUS_BAD_REQUEST, "'%s': shape: its bytes are over 2^64",
			name);
	}
	if (bytes != data_bytes) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': shape and descr say %" PRIu64
			" bytes of elements, the file has %" PRIu64,
			name, bytes, data_bytes);
	}
	*elements = count;
	return STATUS_OK;
}

/* Reads magic, version and length of the header. */
static enum status read_prefix(const uint8_t *file, size_t len, struct cursor *cursor,
	size_t *text_at)
{
	if (len < MAGIC_BYTES + VERSION_BYTES || memcmp(file, magic, MAGIC_BYTES) != 0) {
		const char *kind = file_kind_by_content(file, len);
		return error_set(cursor->err, STATUS_BAD_REQUEST, "'%s': not a npy file%s%s",
			cursor->name, kind != NULL ? ", but " : "", kind != NULL ? kind : "");
	}
	unsigned major = file[MAGIC_BYTES];
	unsigned minor = file[MAGIC_BYTES + 1];
	if (major < 1 || major > 3 || minor != 0) {
		return error_set(cursor->err, STATUS_UNSUPPORTED,
			"'%s': version %u.%u of the format; 1.0, 2.0 and 3.0 are read",
			cursor->name, major, minor);
	}
	size_t length_bytes = major == 1 ? 2 : 4;
	size_t at = MAGIC_BYTES + VERSION_BYTES;
	uint64_t header_bytes = 0;
	if (len - at < length_bytes) {
		return error_set(cursor->err, STATUS_BAD_REQUEST, "'%s': cut in its header",
			cursor->name);
	}
	for (size_t i = 0; i < length_bytes; i++) {
		header_bytes |= (uint64_t)file[at + i] << 8 * i;
	}
	at += length_bytes;
	if (header_bytes > NPY_HEADER_BYTES_MAX) {
		return error_set(cursor->err, STATUS_BAD_REQUEST,
			"'%s': a header of %" PRIu64 " bytes; at most %d are read", cursor->name,
			header_bytes, NPY_HEADER_BYTES_MAX);
	}
	if (header_bytes > len - at) {
		return error_set(cursor->err, STATUS_BAD_REQUEST, "'%s': cut in its header",
			cursor->name);
	}
	cursor->text = (const char *)file + at;
	cursor->len = (size_t)header_bytes;
	*text_at = at;
	return STATUS_OK;
}

enum status npy_read_head(const uint8_t *head, size_t head_len, uint64_t file_len, const char *name,
	struct npy *out, struct error *err)
{
	assert(head_len <= file_len);
	struct cursor cursor = {.name = name, .err = err};
	size_t text_at = 0;
	enum status status = read_prefix(head, head_len, &cursor, &text_at);
	struct dict dict = {0};
	if (status == STATUS_OK) {
		status = read_dict(&cursor, &dict);
	}
	struct npy npy = {.dims = dict.dims};
	if (status == STATUS_OK) {
		status = read_type(name, dict.descr, &npy, err);
	}
	if (status == STATUS_OK && dict.fortran_order && dict.dims > 1) {
		status = error_set(err, STATUS_UNSUPPORTED,
			"'%s': fortran_order is True; save it in C order (np.ascontiguousarray)",
			name);
	}
	if (status != STATUS_OK) {
		return status;
	}
	assert(text_at + cursor.len <= head_len);
	memcpy(npy.shape, dict.shape, sizeof npy.shape);
	npy.header = head;
	npy.header_bytes = text_at + cursor.len;
	status = check_size(name, &npy, file_len - npy.header_bytes, &npy.elements, err);
	if (status == STATUS_OK) {
		*out = npy;
	}
	return status;
}

enum status npy_read(const uint8_t *file, size_t len, const char *name, struct npy *out,
	struct error *err)
{
	const size_t head_len = len < NPY_HEAD_BYTES_MAX ? len : NPY_HEAD_BYTES_MAX;
	const enum status status = npy_read_head(file, head_len, len, name, out, err);
	if (status == STATUS_OK) {
		out->data = file + out->header_bytes;
	}
	return status;
}

const char *npy_shape(const uint64_t *shape, uint32_t dims, char text[NPY_SHAPE_BYTES])
{
	assert(dims <= NPY_DIMS_MAX);
	size_t len = (size_t)snprintf(text, NPY_SHAPE_BYTES, "[");
	for (uint32_t i = 0; i < dims; i++) {
		len += (size_t)snprintf(text + len, NPY_SHAPE_BYTES - len, "%s%" PRIu64,
			i > 0 ? ", " : "", shape[i]);
	}
	snprintf(text + len, NPY_SHAPE_BYTES - len, "]");
	return text;
}

size_t npy_write_header(const char *descr, const uint64_t *shape, uint32_t dims, uint8_t *header)
{
	assert(dims <= NPY_DIMS_MAX);
	char text[NPY_HEADER_BYTES_WRITTEN];
	int len = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (",
		descr);
	int first = GROWTH_DIGITS; /* a scalar has no first number that could grow */
	for (uint32_t i = 0; i < dims; i++) {
		int digits = snprintf(text + len, sizeof text - (size_t)len, "%s%" PRIu64,
			i > 0 ? ", " : "", shape[i]);
		first = i == 0 ? digits : first;
		len += digits;
	}
	len += snprintf(text + len, sizeof text - (size_t)len, "%s), }%*s", dims == 1 ? "," : "",
		GROWTH_DIGITS - first, "");
	assert(len > 0 && (size_t)len < sizeof text);
	size_t before = MAGIC_BYTES + VERSION_BYTES + 2;
	size_t bare = before + (size_t)len + 1;
	size_t total = bare + (ALIGN_BYTES - bare % ALIGN_BYTES);
	assert(total <= NPY_HEADER_BYTES_WRITTEN && total % ALIGN_BYTES == 0);
	memcpy(header, magic, MAGIC_BYTES);
	header[MAGIC_BYTES] = 1;
	header[MAGIC_BYTES + 1] = 0;
	header[MAGIC_BYTES + 2] = (uint8_t)(total - before);
	header[MAGIC_BYTES + 3] = (uint8_t)((total - before) >> 8);
	memcpy(header + before, text, (size_t)len);
	memset(header + before + len, ' ', total - before - (size_t)len - 1);
	header[total - 1] = '\n';
	return total;
}
