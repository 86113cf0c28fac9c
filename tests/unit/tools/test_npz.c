/* test_npz.c - npz files in memory: what is read of them, and each lie that a zip archive can tell. */
#include "tests/unit/alloc_fail.h"
#include "tools/format/columns.h"
#include "tools/format/little.h"
#include "tools/format/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include <cmocka.h>

enum { ARCHIVE_BYTES_MAX = 1 << 16, MEMBERS_MAX = 8, ROWS = 100, DIM = 3 };

/* An archive under construction. */
struct archive {
	uint8_t bytes[ARCHIVE_BYTES_MAX];
	size_t len;
	uint8_t directory[4096];
	size_t directory_len;
	size_t count;
	size_t header_at[MEMBERS_MAX];
	size_t entry_at[MEMBERS_MAX]; /* in the archive, once it is ended */
	size_t end_at;
};

/* Some bytes as an npy file. */
struct file {
	uint8_t bytes[8192];
	size_t len;
};

static void put(uint8_t *bytes, size_t *len, size_t width, uint64_t value)
{
	little_write(bytes + *len, width, value);
	*len += width;
}

static void put_name(uint8_t *bytes, size_t *len, const char *name)
{
	while (*name != '\0') {
		bytes[(*len)++] = (uint8_t)*name++;
	}
}

/* An entry of the directory for a member at `at`. */
static void add_entry(struct archive *archive, const char *name, size_t at, uint64_t method,
	uint32_t crc, const size_t sizes[2])
{
	uint8_t *out = archive->directory;
	size_t *len = &archive->directory_len;
	archive->header_at[archive->count] = at;
	archive->entry_at[archive->count++] = *len;
	put(out, len, 4, 0x02014b50);
	put(out, len, 4, 20 | 20 << 16);
	put(out, len, 2, 0);
	put(out, len, 2, method);
	put(out, len, 4, 0);
	put(out, len, 4, crc);
	put(out, len, 4, sizes[0]);
	put(out, len, 4, sizes[1]);
	put(out, len, 2, strlen(name));
	put(out, len, 6, 0);
	put(out, len, 6, 0);
	put(out, len, 4, at);
	put_name(out, len, name);
}

static size_t add_header(uint8_t *out, const char *name, uint64_t method)
{
	size_t len = 0;
	put(out, &len, 4, 0x04034b50);
	put(out, &len, 4, 20);
	put(out, &len, 2, method);
	put(out, &len, 8, 0);
	put(out, &len, 8, 0);
	put(out, &len, 4, strlen(name));
	put_name(out, &len, name);
	return len;
}

static void add_member(struct archive *archive, const char *name, const struct file *file,
	enum zip_method method)
{
	const size_t at = archive->len;
	archive->len += add_header(archive->bytes + at, name, method);
	uint8_t *packed = archive->bytes + archive->len;
	size_t packed_len = file->len;
	if (method == ZIP_DEFLATED) {
		z_stream stream = {.next_in = (Bytef *)file->bytes,
			.avail_in = (unsigned)file->len,
			.next_out = packed,
			.avail_out = (unsigned)(ARCHIVE_BYTES_MAX - archive->len)};
		assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8,
					 Z_DEFAULT_STRATEGY),
			Z_OK);
		assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
		packed_len = stream.total_out;
		deflateEnd(&stream);
	} else {
		memcpy(packed, file->bytes, file->len);
	}
	archive->len += packed_len;
	add_entry(archive, name, at, method, (uint32_t)crc32_z(0, file->bytes, file->len),
		(const size_t[]){packed_len, file->len});
}

static void end_archive(struct archive *archive)
{
	const size_t at = archive->len;
	memcpy(archive->bytes + at, archive->directory, archive->directory_len);
	archive->len += archive->directory_len;
	for (size_t i = 0; i < archive->count; i++) {
		archive->entry_at[i] += at;
	}
	archive->end_at = archive->len;
	put(archive->bytes, &archive->len, 4, 0x06054b50);
	put(archive->bytes, &archive->len, 4, 0);
	put(archive->bytes, &archive->len, 4, archive->count | archive->count << 16);
	put(archive->bytes, &archive->len, 4, archive->directory_len);
	put(archive->bytes, &archive->len, 4, at);
	put(archive->bytes, &archive->len, 2, 0);
}

static void npy_file(struct file *file, const char *descr, const uint64_t *shape, uint32_t dims,
	size_t data_len)
{
	file->len = npy_write_header(descr, shape, dims, file->bytes);
	for (size_t i = 0; i < data_len; i++) {
		file->bytes[file->len++] = i % 8 == 0 ? (uint8_t)(i / 8) : 0;
	}
}

/* keys and rows, the k-th of which is keys[i] == i. */
static void build(struct archive *archive, enum zip_method method)
{
	struct file keys;
	struct file rows;
	*archive = (struct archive){.len = 0};
	npy_file(&keys, "<u8", (const uint64_t[]){ROWS}, 1, (size_t)ROWS * 8);
	npy_file(&rows, "<f4", (const uint64_t[]){ROWS, DIM}, 2, (size_t)ROWS * DIM * 4);
	add_member(archive, "keys.npy", &keys, method);
	add_member(archive, "rows.npy", &rows, method);
	end_archive(archive);
}

/* Reads all elements of all columns, some at a time. */
static enum status read_columns(const uint8_t *bytes, size_t len, struct error *err)
{
	struct columns columns = {0};
	enum status status = columns_read_npz(bytes, len, "t.npz", &columns, err);
	for (size_t i = 0; i < COLUMNS; i++) {
		struct array *array = &columns.arrays[i];
		const uint64_t total = array->npy.elements * array->npy.item_bytes;
		for (uint64_t at = 0; array->name != NULL && at < total && status == STATUS_OK;) {
			const size_t some = total - at < 100 ? (size_t)(total - at) : 100;
			const void *data = NULL;
			status = array_read(array, at, some, &data, err);
			at += some;
		}
	}
	columns_close(&columns);
	return status;
}

/* The same from memory that is as large as the file, so that a read behind it is seen. */
static enum status read_copy(const uint8_t *bytes, size_t len, struct error *err)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	const enum status status = read_columns(copy, len, err);
	free(copy);
	return status;
}

static void stored_and_deflated_columns_are_read(void **state)
{
	(void)state;
	static const enum zip_method methods[] = {ZIP_STORED, ZIP_DEFLATED};
	for (size_t i = 0; i < 2; i++) {
		struct archive archive;
		struct columns columns = {0};
		struct error err = {0};
		build(&archive, methods[i]);
		const enum status status =
			columns_read_npz(archive.bytes, archive.len, "t.npz", &columns, &err);
		if (status != STATUS_OK) {
			fail_msg("%s", err.text);
		}
		struct array *keys = &columns.arrays[COLUMN_KEYS];
		assert_string_equal(keys->name, "t.npz: keys");
		assert_int_equal(keys->npy.elements, ROWS);
		assert_int_equal(columns.arrays[COLUMN_ROWS].npy.shape[1], DIM);
		assert_null(columns.arrays[COLUMN_TIMES].name);
		/* Twice, from the beginning, in pieces of other sizes. */
		for (size_t step = 7; step <= 50; step += 43) {
			for (size_t at = 0; at < ROWS; at += step) {
				const size_t n = ROWS - at < step ? ROWS - at : step;
				const void *data = NULL;
				assert_int_equal(array_read(keys, at * 8, n * 8, &data, &err),
					STATUS_OK);
				assert_int_equal((uintptr_t)data % 8, 0);
				for (size_t j = 0; j < n; j++) {
					uint64_t key = 0;
					memcpy(&key, (const uint8_t *)data + j * 8, 8);
					assert_int_equal(key, at + j);
				}
			}
		}
		columns_close(&columns);
		assert_int_equal(read_copy(archive.bytes, archive.len, &err), STATUS_OK);
	}
}

enum place { ENTRY, HEADER, END };

/* One field that says something else than it is. */
static const struct lie {
	enum zip_method method;
	enum place place;
	size_t at;
	size_t width;
	uint64_t value;
	const char *says;
} lies[] = {
	{ZIP_STORED, ENTRY, 0, 4, 0, "lacks entries"},
	{ZIP_STORED, ENTRY, 8, 2, 1, "encrypted"},
	{ZIP_STORED, ENTRY, 10, 2, 12, "method 12"},
	{ZIP_STORED, ENTRY, 16, 4, 7, "CRC"},
	{ZIP_DEFLATED, ENTRY, 16, 4, 7, "CRC"},
	{ZIP_STORED, ENTRY, 20, 4, 7, "two sizes"},
	{ZIP_STORED, ENTRY, 24, 4, 7, "two sizes"},
	{ZIP_STORED, ENTRY, 20, 4, 0x7fffffff, "longer than what is there"},
	{ZIP_DEFLATED, ENTRY, 20, 4, 0x7fffffff, "longer than what is there"},
	{ZIP_DEFLATED, ENTRY, 20, 4, 7, "does not inflate to"},
	{ZIP_DEFLATED, ENTRY, 24, 4, 7, "more than the 7 bytes"},
	{ZIP_DEFLATED, ENTRY, 24, 4, 500, "more than the 500 bytes"},
	{ZIP_DEFLATED, ENTRY, 24, 4, 0xfffffffe, "inflate to 4294968622 bytes"},
	{ZIP_DEFLATED, ENTRY, 24, 4, 0x3ffffa00, "does not inflate to"},
	{ZIP_STORED, ENTRY, 24, 4, 0xffffffff, "too long"},
	{ZIP_STORED, ENTRY, 28, 2, 0xffff, "too long"},
	{ZIP_STORED, ENTRY, 30, 2, 0xffff, "too long"},
	{ZIP_STORED, ENTRY, 42, 4, 0x7fffffff, "keys.npy': it is not where the directory"},
	{ZIP_STORED, ENTRY, 42, 4, 1, "keys.npy': it is not where the directory"},
	{ZIP_STORED, HEADER, 0, 4, 1, "not an npz file"},
	{ZIP_STORED, HEADER, 2, 2, 1, "keys.npy': it is not where the directory"},
	{ZIP_STORED, HEADER, 26, 2, 9, "keys.npy': it is not where the directory"},
	{ZIP_STORED, HEADER, 28, 2, 0xffff, "keys.npy': it is not where the directory"},
	{ZIP_STORED, HEADER, 30, 1, 'K', "keys.npy': it is not where the directory"},
	{ZIP_STORED, END, 0, 4, 0, "no directory at its end"},
	{ZIP_STORED, END, 10, 2, 3, "lacks entries"},
	{ZIP_STORED, END, 10, 2, 1, "longer than its entries"},
	{ZIP_STORED, END, 10, 2, 0xffff, "not the end"},
	{ZIP_STORED, END, 12, 4, 1, "not where its end says"},
	{ZIP_STORED, END, 16, 4, 1, "not where its end says"},
	{ZIP_STORED, END, 16, 4, 0x7fffffff, "not where its end says"},
	{ZIP_STORED, END, 20, 2, 1, "no directory at its end"},
};

static void what_an_archive_claims_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct archive archive;
		struct error err = {0};
		const struct lie *lie = &lies[i];
		build(&archive, lie->method);
		const size_t places[] = {archive.entry_at[0], archive.header_at[0], archive.end_at};
		little_write(archive.bytes + places[lie->place] + lie->at, lie->width, lie->value);
		const enum status status = read_copy(archive.bytes, archive.len, &err);
		if (status == STATUS_OK || strstr(err.text, lie->says) == NULL ||
			strstr(err.text, "t.npz") == NULL) {
			fail_msg("%zu: %s", i, err.text);
		}
	}
}

/* The directory and the npy header agree, but the deflated bytes are more or fewer. */
static void what_inflates_is_as_long_as_was_said(void **state)
{
	(void)state;
	for (int more = 0; more <= 1; more++) {
		struct archive archive = {.len = 0};
		struct error err = {0};
		struct file keys;
		npy_file(&keys, "<u8", (const uint64_t[]){ROWS}, 1, (size_t)(more ? 99 : 101) * 8);
		add_member(&archive, "keys.npy", &keys, ZIP_DEFLATED);
		npy_file(&keys, "<f4", (const uint64_t[]){ROWS, 1}, 2, (size_t)ROWS * 4);
		add_member(&archive, "rows.npy", &keys, ZIP_STORED);
		end_archive(&archive);
		little_write(archive.bytes + archive.entry_at[0] + 24, 4, 128 + ROWS * 8);
		assert_int_equal(read_copy(archive.bytes, archive.len, &err), STATUS_BAD_REQUEST);
		if (strstr(err.text, more ? "does not inflate to the 928 bytes"
					  : "inflates to more than the 928 bytes") == NULL) {
			fail_msg("%s", err.text);
		}
	}
}

static void members_are_the_columns(void **state)
{
	(void)state;
	static const struct {
		const char *names[3];
		const char *says; /* NULL: they are read */
	} rows[] = {
		{{"keys", "rows"}, NULL},
		{{"keys.npy", "rows"}, NULL},
		{{"rows.npy", "keys.npy"}, NULL},
		{{"rows.npy"}, "no array 'keys'"},
		{{"keys.npy"}, "no array 'rows'"},
		{{NULL}, "no array 'keys'"},
		{{"keys.npy", "rows.npy", "time.npy"}, "'time.npy' is no column"},
		{{"keys.npy", "rows.npy", "t/keys.npy"}, "'t/keys.npy' is no column"},
		{{"keys.npy", "rows.npy", "keys.npy"}, "'keys.npy' is in it twice"},
		{{"keys.npy", "rows.npy", "rows"}, "'rows' is in it twice"},
		{{"keys.npy", "rows.npy", ".npy"}, "'.npy' is no column"},
		{{"keys.npy", "rows.npy", ""}, "'' is no column"},
		{{"archive/data.pkl"}, "'archive/data.pkl' is no column"},
	};
	struct file file;
	npy_file(&file, "<u8", (const uint64_t[]){0}, 1, 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct archive archive = {.len = 0};
		struct error err = {0};
		for (size_t j = 0; j < 3 && rows[i].names[j] != NULL; j++) {
			add_member(&archive, rows[i].names[j], &file, ZIP_STORED);
		}
		end_archive(&archive);
		const enum status status = read_copy(archive.bytes, archive.len, &err);
		if (rows[i].names[0] == NULL && status == STATUS_BAD_REQUEST) {
			continue; /* an empty archive begins with its end */
		}
		if ((status == STATUS_OK) != (rows[i].says == NULL) ||
			(rows[i].says != NULL && strstr(err.text, rows[i].says) == NULL)) {
			fail_msg("%zu: %s", i, err.text);
		}
	}
}

/* rows is a member of its own inside the bytes of keys. */
static void members_do_not_share_bytes(void **state)
{
	(void)state;
	struct archive archive = {.len = 0};
	struct error err = {0};
	struct file inner;
	struct file outer;
	npy_file(&inner, "<f4", (const uint64_t[]){2, 2}, 2, 16);
	outer.len = add_header(outer.bytes, "rows.npy", ZIP_STORED);
	memcpy(outer.bytes + outer.len, inner.bytes, inner.len);
	outer.len += inner.len;
	add_member(&archive, "keys.npy", &outer, ZIP_STORED);
	const size_t at = archive.len - outer.len;
	add_entry(&archive, "rows.npy", at, ZIP_STORED,
		(uint32_t)crc32_z(0, inner.bytes, inner.len),
		(const size_t[]){inner.len, inner.len});
	end_archive(&archive);
	assert_int_equal(read_copy(archive.bytes, archive.len, &err), STATUS_BAD_REQUEST);
	if (strstr(err.text, "'keys' and 'rows.npy' share bytes") == NULL) {
		fail_msg("%s", err.text);
	}
}

static void a_comment_is_passed(void **state)
{
	(void)state;
	struct archive archive;
	struct error err = {0};
	build(&archive, ZIP_STORED);
	little_write(archive.bytes + archive.end_at + 20, 2, 5);
	memcpy(archive.bytes + archive.len, "hello", 5);
	assert_int_equal(read_copy(archive.bytes, archive.len + 5, &err), STATUS_OK);
	assert_int_equal(read_copy(archive.bytes, archive.len + 6, &err), STATUS_BAD_REQUEST);
}

static void every_cut_is_refused_and_no_changed_byte_is_a_fault(void **state)
{
	(void)state;
	static const enum zip_method methods[] = {ZIP_STORED, ZIP_DEFLATED};
	for (size_t i = 0; i < 2; i++) {
		struct archive archive;
		struct error err = {0};
		build(&archive, methods[i]);
		for (size_t len = 0; len < archive.len; len++) {
			if (read_copy(archive.bytes, len, &err) != STATUS_BAD_REQUEST) {
				fail_msg("cut to %zu bytes: %s", len, err.text);
			}
		}
		for (size_t at = 0; at < archive.len; at++) {
			archive.bytes[at] ^= 0x41;
			read_copy(archive.bytes, archive.len, &err);
			archive.bytes[at] ^= 0x41;
		}
	}
}

/* A changed byte of the elements is noticed, by the CRC. */
static void damaged_elements_are_refused(void **state)
{
	(void)state;
	struct archive archive;
	struct error err = {0};
	build(&archive, ZIP_STORED);
	for (size_t at = archive.header_at[0] + 38 + 128; at < archive.header_at[1]; at++) {
		archive.bytes[at] ^= 1;
		assert_int_equal(read_copy(archive.bytes, archive.len, &err), STATUS_BAD_REQUEST);
		assert_non_null(strstr(err.text, "'t.npz: keys'"));
		archive.bytes[at] ^= 1;
	}
}

static bool read_all(void *arg)
{
	const struct archive *archive = arg;
	return read_columns(archive->bytes, archive->len, NULL) == STATUS_OK;
}

static void refused_memory_is_told(void **state)
{
	(void)state;
	struct archive archive;
	build(&archive, ZIP_DEFLATED);
	assert_true(alloc_fail_each(read_all, &archive) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_and_deflated_columns_are_read),
		cmocka_unit_test(what_an_archive_claims_is_checked),
		cmocka_unit_test(what_inflates_is_as_long_as_was_said),
		cmocka_unit_test(members_are_the_columns),
		cmocka_unit_test(members_do_not_share_bytes),
		cmocka_unit_test(a_comment_is_passed),
		cmocka_unit_test(every_cut_is_refused_and_no_changed_byte_is_a_fault),
		cmocka_unit_test(damaged_elements_are_refused),
		cmocka_unit_test(refused_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
