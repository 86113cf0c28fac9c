/* npy.h - NumPy's file format: reads a header from memory, writes one as NumPy does.
 *
 * Nothing in a header is trusted. Before any element is read, each field is checked, and
 * so is that the file is as long as its shape says.
 *
 * Threads: any; there is no state.
 * Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
#ifndef TOOLS_FORMAT_NPY_H
#define TOOLS_FORMAT_NPY_H

#include "schema/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
	NPY_DIMS_MAX = 8,
	/* NumPy's own headers have 128 bytes; versions 2 and 3 of the format allow 4 GiB. */
	NPY_HEADER_BYTES_MAX = 65536,
	/* Magic, version, length, header: so many of a file's first bytes tell what it holds. */
	NPY_HEAD_BYTES_MAX = 12 + NPY_HEADER_BYTES_MAX,
	/* A header as it is written: magic, length, text, room for 21 digits, padding. */
	NPY_HEADER_BYTES_WRITTEN = 256,
};

/* An array in memory; nothing is owned. Elements are little-endian. */
struct npy {
	char kind;         /* f, i, u, b or S, as in the file's descr */
	size_t item_bytes; /* of an element; for S the width of the strings */
	uint32_t dims;
	uint64_t shape[NPY_DIMS_MAX];
	uint64_t elements; /* the product of the shape */
	const uint8_t *header;
	size_t header_bytes; /* before the elements */
	const uint8_t *data;
};

/* Reads a whole file's bytes. name: how errors call the file.
 * Errors: BAD_REQUEST, naming the field; UNSUPPORTED  versions above 3, other types,
 * big-endian, Fortran order. */
enum status npy_read(const uint8_t *file, size_t len, const char *name, struct npy *out,
	struct error *err);

/* The same for a file that is not in memory as a whole: head[head_len] is all of its first bytes, up
 * to NPY_HEAD_BYTES_MAX. out->data is NULL. */
enum status npy_read_head(const uint8_t *head, size_t head_len, uint64_t file_len, const char *name,
	struct npy *out, struct error *err);

/* The shape as a person reads it: "[10, 64]". Returns `text`. */
enum { NPY_SHAPE_BYTES = 192 };
/* Of a key that is a byte string, with the NULs behind it: what readers take at once holds some. */
enum { NPY_ITEM_BYTES_MAX = 65536 };
const char *npy_shape(const uint64_t *shape, uint32_t dims, char text[NPY_SHAPE_BYTES]);

/* Writes the header that np.save would write, version 1.0, and returns its length. The
 * length is the same for every shape[0], so the header can be written again when that is known.
 *
 *   descr   "<f4", "|u1", "|S16" ...
 *   header  out: NPY_HEADER_BYTES_WRITTEN bytes at most
 *   dims    0..NPY_DIMS_MAX
 */
size_t npy_write_header(const char *descr, const uint64_t *shape, uint32_t dims, uint8_t *header);

#endif
