/* test_npy.c - NumPy's format: every field of a header damaged, every cut, and the same bytes. */
#include "tools/format/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_BYTES_MAX = 4096 };

/* A file under construction. */
struct file {
	uint8_t bytes[FILE_BYTES_MAX];
	size_t len;
};

/* Version `major`, this text as the header, and `data_bytes` behind it. */
static void build(struct file *file, unsigned major, const char *text, size_t data_bytes)
{
	size_t text_len = strlen(text);
	memcpy(file->bytes, "\x93NUMPY", 6);
	file->bytes[6] = (uint8_t)major;
	file->bytes[7] = 0;
	size_t length_bytes = major == 1 ? 2 : 4;
	for (size_t i = 0; i < length_bytes; i++) {
		file->bytes[8 + i] = (uint8_t)(text_len >> 8 * i);
	}
	memcpy(file->bytes + 8 + length_bytes, text, text_len);
	file->len = 8 + length_bytes + text_len;
	memset(file->bytes + file->len, 7, data_bytes);
	file->len += data_bytes;
}

/* Reads exactly `len` bytes in memory of their own, so that a read behind them is seen. */
static enum status read_copy(const uint8_t *bytes, size_t len, struct npy *out, struct error *err)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	if (len > 0) {
		memcpy(copy, bytes, len);
	}
	enum status status = npy_read(copy, len, "x.npy", out, err);
	free(copy);
	return status;
}

static void headers_of_every_version_are_read(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n",
		"{'shape':(2,3),'fortran_order':False,'descr':'<f4'}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (np.int64(2), np.int64(3)), }",
		"{\"descr\": \"=f4\", 'shape': ( 2 , 3 , ) , 'fortran_order' : False , }\n\n",
	};
	for (unsigned major = 1; major <= 3; major++) {
		for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
			struct file file;
			struct npy npy = {0};
			struct error err = {0};
			build(&file, major, texts[i], 24);
			enum status status = npy_read(file.bytes, file.len, "x.npy", &npy, &err);
			if (status != STATUS_OK) {
				fail_msg("%s", err.text);
			}
			assert_int_equal(npy.kind, 'f');
			assert_int_equal(npy.item_bytes, 4);
			assert_int_equal(npy.dims, 2);
			assert_int_equal(npy.shape[0], 2);
			assert_int_equal(npy.shape[1], 3);
			assert_int_equal(npy.elements, 6);
			assert_ptr_equal(npy.data + 24, file.bytes + file.len);
		}
	}
}

static void every_type_is_read_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *descr;
		size_t bytes; /* 0: refused */
		enum status status;
	} rows[] = {
		{"<f2", 2, 0},
		{"<f4", 4, 0},
		{"<f8", 8, 0},
		{"<u2", 2, 0},
		{"|u1", 1, 0},
		{"<u1", 1, 0},
		{"|i1", 1, 0},
		{"<i8", 8, 0},
		{"<u8", 8, 0},
		{"|b1", 1, 0},
		{"|S1", 1, 0},
		{"|S255", 255, 0},
		{">u1", 1, 0},
		{">f4", 0, STATUS_UNSUPPORTED},
		{"|f4", 0, STATUS_BAD_REQUEST},
		{"f4", 0, STATUS_UNSUPPORTED},
		{"<f3", 0, STATUS_UNSUPPORTED},
		{"<f16", 0, STATUS_UNSUPPORTED},
		{"<c8", 0, STATUS_UNSUPPORTED},
		{"|O", 0, STATUS_UNSUPPORTED},
		{"<U4", 0, STATUS_UNSUPPORTED},
		{"<M8[ms]", 0, STATUS_UNSUPPORTED},
		{"|S0", 0, STATUS_UNSUPPORTED},
		{"|V8", 0, STATUS_UNSUPPORTED},
		{"", 0, STATUS_UNSUPPORTED},
		{"<", 0, STATUS_UNSUPPORTED},
		{"<f", 0, STATUS_UNSUPPORTED},
		{"<f4x", 0, STATUS_UNSUPPORTED},
		{"<f99999999999999999999999", 0, STATUS_BAD_REQUEST},
		{"|S99999999999", 0, STATUS_UNSUPPORTED},
		{"<i16", 0, STATUS_UNSUPPORTED},
		{"|b2", 0, STATUS_UNSUPPORTED},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[200];
		struct file file;
		struct npy npy = {0};
		struct error err = {0};
		snprintf(text, sizeof text,
			"{'descr': '%s', 'fortran_order': False, 'shape': (3,), }\n",
			rows[i].descr);
		build(&file, 1, text, rows[i].bytes * 3);
		enum status status = npy_read(file.bytes, file.len, "x.npy", &npy, &err);
		if (status != rows[i].status) {
			fail_msg("%s: %s %s", rows[i].descr, status_name(status), err.text);
		}
		assert_int_equal(npy.item_bytes, status == STATUS_OK ? rows[i].bytes : 0);
		if (status != STATUS_OK) {
			assert_non_null(strstr(err.text, "'x.npy'"));
			assert_non_null(strstr(err.text, "descr"));
		}
	}
}

static void a_damaged_header_is_refused_by_field(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{"", "not a dict"},
		{"[]", "not a dict"},
		{"{}", "missing"},
		{"{'descr': '<f4', 'fortran_order': False}", "missing"},
		{"{'descr': '<f4', 'shape': (6,)}", "missing"},
		{"{'fortran_order': False, 'shape': (6,)}", "missing"},
		{"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}",
			"twice"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'more': 1}", "unknown"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)} x", "behind"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", "comma"},
		{"{'descr': '<f4' 'fortran_order': False, 'shape': (6,)}", "comma"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "tuple"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': 6}", "tuple"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': [6]}", "tuple"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (-6,)}", "number"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6M,)}", "comma"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (6.0,)}", "comma"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "number"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (np.int64(6,)}", "number"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6)}",
			"8 dimensions"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}",
			"number"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
			"2^64"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
			"2^64"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", "20 bytes"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (7,)}", "28 bytes"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "4 bytes"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 6)}", "0 bytes"},
		{"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", "fortran_order"},
		{"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}", "fortran_order"},
		{"{'descr': '<f4', 'fortran_order': Falsy, 'shape': (6,)}", "fortran_order"},
		{"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", "structured"},
		{"{'descr': 4, 'fortran_order': False, 'shape': (6,)}", "descr"},
		{"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (6,)}", "descr"},
		{"{descr: '<f4', 'fortran_order': False, 'shape': (6,)}", "dict"},
		{"{'descr' '<f4', 'fortran_order': False, 'shape': (6,)}", "colon"},
		{"{'descr': '<f4", "descr"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct file file;
		struct npy npy = {0};
		struct error err = {0};
		build(&file, 1, rows[i].text, 24);
		enum status status = read_copy(file.bytes, file.len, &npy, &err);
		assert_int_not_equal(status, STATUS_OK);
		assert_int_equal(err.status, status);
		if (strstr(err.text, rows[i].says) == NULL || strstr(err.text, "x.npy") == NULL) {
			fail_msg("%s: %s", rows[i].text, err.text);
		}
	}
}

static void one_dimension_may_be_in_fortran_order(void **state)
{
	(void)state;
	struct file file;
	struct npy npy = {0};
	build(&file, 1, "{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}", 24);
	assert_int_equal(npy_read(file.bytes, file.len, "x.npy", &npy, NULL), STATUS_OK);
}

static void the_prefix_is_checked(void **state)
{
	(void)state;
	struct file file;
	struct npy npy = {0};
	const char *text = "{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}";
	struct error err = {0};
	for (unsigned i = 0; i < 6; i++) {
		build(&file, 1, text, 24);
		file.bytes[i] ^= 0x20;
		assert_int_equal(read_copy(file.bytes, file.len, &npy, &err), STATUS_BAD_REQUEST);
	}
	const unsigned versions[] = {0, 4, 0x101, 255};
	for (size_t i = 0; i < 4; i++) {
		build(&file, 1, text, 24);
		file.bytes[6] = (uint8_t)versions[i];
		file.bytes[7] = (uint8_t)(versions[i] >> 8);
		assert_int_equal(read_copy(file.bytes, file.len, &npy, &err), STATUS_UNSUPPORTED);
		assert_non_null(strstr(err.text, "version"));
	}
	build(&file, 2, text, 24);
	file.bytes[11] = 0x7f; /* a header of 2 GiB */
	assert_int_equal(read_copy(file.bytes, file.len, &npy, &err), STATUS_BAD_REQUEST);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (unsigned major = 1; major <= 3; major++) {
		struct file file;
		struct npy npy = {0};
		build(&file, major,
			"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }       \n", 24);
		for (size_t len = 0; len < file.len; len++) {
			struct error err = {0};
			assert_int_equal(read_copy(file.bytes, len, &npy, &err),
				STATUS_BAD_REQUEST);
			assert_true(strlen(err.text) > 0);
		}
		file.bytes[file.len] = 7;
		assert_int_equal(read_copy(file.bytes, file.len + 1, &npy, NULL),
			STATUS_BAD_REQUEST);
	}
}

static void any_byte_changed_never_reads_outside(void **state)
{
	(void)state;
	struct file file;
	build(&file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24);
	for (size_t i = 0; i < file.len; i++) {
		for (unsigned value = 0; value < 256; value++) {
			struct file copy = file;
			struct npy npy = {0};
			copy.bytes[i] = (uint8_t)value;
			if (read_copy(copy.bytes, copy.len, &npy, NULL) == STATUS_OK) {
				assert_true(npy.elements * npy.item_bytes ==
					    copy.len - npy.header_bytes);
			}
		}
	}
}

/* As numpy 1.24 writes them. */
static void headers_are_written_as_numpy_writes_them(void **state)
{
	(void)state;
	static const struct {
		const char *descr;
		uint64_t shape[3];
		uint32_t dims;
		const char *text;
	} rows[] = {
		{"<f4", {1000, 64}, 2,
			"{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 64), }"},
		{"|u1", {0}, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }"},
		{"<i8", {12345678901}, 1,
			"{'descr': '<i8', 'fortran_order': False, 'shape': (12345678901,), }"},
		{"|S16", {7}, 1, "{'descr': '|S16', 'fortran_order': False, 'shape': (7,), }"},
		{"<u2", {3, 2, 5}, 3,
			"{'descr': '<u2', 'fortran_order': False, 'shape': (3, 2, 5), }"},
	};
	static const uint8_t prefix[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t expected[128];
		uint8_t header[NPY_HEADER_BYTES_WRITTEN];
		memset(expected, ' ', sizeof expected);
		memcpy(expected, prefix, sizeof prefix);
		for (size_t j = 0; rows[i].text[j] != '\0'; j++) {
			expected[10 + j] = (uint8_t)rows[i].text[j];
		}
		expected[127] = '\n';
		assert_int_equal(npy_write_header(rows[i].descr, rows[i].shape, rows[i].dims,
					 header),
			128);
		assert_memory_equal(header, expected, 128);
	}
	const uint64_t largest[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const uint64_t small[4] = {0, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	uint8_t header[NPY_HEADER_BYTES_WRITTEN];
	assert_int_equal(npy_write_header("|S255", largest, 4, header),
		npy_write_header("|S255", small, 4, header));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_every_version_are_read),
		cmocka_unit_test(every_type_is_read_or_refused),
		cmocka_unit_test(a_damaged_header_is_refused_by_field),
		cmocka_unit_test(one_dimension_may_be_in_fortran_order),
		cmocka_unit_test(the_prefix_is_checked),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		cmocka_unit_test(any_byte_changed_never_reads_outside),
		cmocka_unit_test(headers_are_written_as_numpy_writes_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
