/* sample_arrays.c - opens, checks and copies the arrays of samples. */
#include "tools/evaluation/sample_arrays.h"

#include "schema/limits.h"
#include "tools/evaluation/sample_lines.h"
#include "tools/format/zip.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* How much of an array is looked at at once. */
enum { PIECE_BYTES = 1 << 20 };

static enum status wrong(const struct array *array, const char *allowed, struct error *err)
{
	char shape[NPY_SHAPE_BYTES];
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %c%zu %s given, %s", array->name,
		array->npy.kind, array->npy.item_bytes,
		npy_shape(array->npy.shape, array->npy.dims, shape), allowed);
}

/* ---- files ---- */

/* What is renamed into place takes a name away, so links are not followed. */
static bool is_same(const char *path, const struct stat *out)
{
	struct stat info;
	return path != NULL && lstat(path, &info) == 0 && info.st_dev == out->st_dev &&
	       info.st_ino == out->st_ino;
}

enum status sample_paths_keep(const struct sample_paths *paths, const char *out, struct error *err)
{
	const char *const columns[] = {paths->archive, paths->users, paths->items, paths->times};
	struct stat info;
	bool same = false;
	if (lstat(out, &info) != 0) {
		return STATUS_OK;
	}
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		same = same || is_same(columns[i], &info);
	}
	for (size_t i = 0; i < paths->layer_count; i++) {
		const char *file = strchr(paths->layers[i], '=');
		same = same || is_same(file == NULL ? NULL : file + 1, &info);
	}
	return same ? error_set(err, STATUS_BAD_REQUEST,
			      "-o: '%s' given, which the samples are read from; another file is "
			      "allowed",
			      out)
		    : STATUS_OK;
}

/* ---- opening ---- */

static bool is_called(const struct zip_member *member, const char *name)
{
	static const char ending[] = ".npy"; /* which np.savez adds */
	const size_t len = strlen(name);
	const bool ends = member->name_len == len + sizeof ending - 1 &&
			  memcmp(member->name + len, ending, sizeof ending - 1) == 0;
	return (ends || member->name_len == len) && memcmp(member->name, name, len) == 0;
}

static enum status open_member(const struct sample_arrays *arrays, const char *path,
	const char *name, struct array *out, struct error *err)
{
	static const uint8_t none[1];
	struct zip zip;
	struct zip_member member = {0};
	bool more = true;
	const uint8_t *data = arrays->archive.data != NULL ? arrays->archive.data : none;
	enum status status = zip_open(data, arrays->archive.len, path, &zip, err);
	while (status == STATUS_OK && more) {
		status = zip_next(&zip, &member, &more, err);
		if (status == STATUS_OK && more && is_called(&member, name)) {
			return array_open_member(out, path, name, &member, err);
		}
	}
	return status != STATUS_OK ? status
				   : error_set(err, STATUS_BAD_REQUEST,
					     "'%s': there is no array '%s' in it: np.savez(FILE, "
					     "users=..., items=..., times=..., LAYER=...)",
					     path, name);
}

static enum status check_layer(const struct sample_paths *paths, const char *text,
	struct sample_layer *out, struct error *err)
{
	const size_t len = strcspn(text, "=");
	if ((text[len] == '\0') != (paths->archive != NULL)) {
		return error_set(err, STATUS_BAD_REQUEST, "--layer: '%s' given, %s allowed", text,
			paths->archive != NULL ? "the NAME of an array of --samples"
					       : "NAME=FILE.npy");
	}
	return name_check(text, len, "--layer", &out->vectors.name, err);
}

static enum status open_layer(const struct sample_paths *paths, const struct sample_arrays *arrays,
	const char *text, struct sample_layer *out, struct error *err)
{
	return paths->archive != NULL
		       ? open_member(arrays, paths->archive, out->vectors.name.text, &out->array,
				 err)
		       : array_open_npy(&out->array, text + strcspn(text, "=") + 1, err);
}

static enum status open_columns(const struct sample_paths *paths, struct sample_arrays *arrays,
	struct error *err)
{
	static const char *const names[] = {"users", "items", "times"};
	const char *const given[] = {paths->users, paths->items, paths->times};
	struct array *const columns[] = {&arrays->users, &arrays->items, &arrays->times};
	enum status status = STATUS_OK;
	if (paths->archive != NULL) {
		status = mapping_open(paths->archive, &arrays->archive, err);
	}
	for (size_t i = 0; i < 3 && status == STATUS_OK; i++) {
		status = paths->archive != NULL
				 ? open_member(arrays, paths->archive, names[i], columns[i], err)
				 : array_open_npy(columns[i], given[i], err);
	}
	return status;
}

static enum status open_all(const struct sample_paths *paths, const char *beside,
	struct sample_arrays *arrays, struct error *err)
{
	enum status status = STATUS_OK;
	for (size_t i = 0; i < paths->layer_count && status == STATUS_OK; i++) {
		status = check_layer(paths, paths->layers[i], &arrays->layers[i], err);
	}
	if (status == STATUS_OK && sample_lines_are(paths)) {
		return sample_lines_open(paths, beside, arrays, &arrays->lines, err);
	}
	if (status == STATUS_OK) {
		status = open_columns(paths, arrays, err);
	}
	for (size_t i = 0; i < paths->layer_count && status == STATUS_OK; i++) {
		status = open_layer(paths, arrays, paths->layers[i], &arrays->layers[i], err);
	}
	return status;
}

/* ---- types and shapes ---- */

static bool is_integer(const struct npy *npy)
{
	return npy->kind == 'i' || npy->kind == 'u';
}

static enum status check_column(const struct array *array, uint64_t count, struct error *err)
{
	char allowed[80];
	if (array->npy.dims != 1) {
		return wrong(array, "one dimension, [n], is allowed", err);
	}
	if (array->npy.shape[0] != count) {
		snprintf(allowed, sizeof allowed, "[%" PRIu64 "] is as many as there are users",
			count);
		return wrong(array, allowed, err);
	}
	return STATUS_OK;
}

static enum status check_keys(const struct array *array, struct error *err)
{
	if (array->npy.kind == 'S' && array->npy.item_bytes >= 1 &&
		array->npy.item_bytes <= LIMIT_KEY_BYTES) {
		return STATUS_OK;
	}
	return is_integer(&array->npy)
		       ? STATUS_OK
		       : wrong(array,
				 "keys are integers or byte strings ('S') of 255 bytes at most",
				 err);
}

static enum status check_vectors(struct sample_layer *layer, uint64_t count, struct error *err)
{
	const struct npy *npy = &layer->array.npy;
	struct cr_layer *vectors = &layer->vectors;
	char allowed[96];
	if (npy->kind == 'f' && npy->item_bytes == 4) {
		vectors->dtype = DTYPE_F32;
	} else if (npy->kind == 'f' && npy->item_bytes == 2) {
		vectors->dtype = DTYPE_F16;
	} else if (npy->kind == 'u' && npy->item_bytes == 2) {
		vectors->dtype = DTYPE_BF16;
	} else {
		return wrong(&layer->array, "f4, f2 or u2 (bf16) allowed", err);
	}
	if (npy->dims != 2 || npy->shape[0] != count || npy->shape[1] == 0 ||
		npy->shape[1] > LIMIT_DIM) {
		snprintf(allowed, sizeof allowed,
			"[%" PRIu64 ", dim] is as many as there are users, dim 1 to %u", count,
			LIMIT_DIM);
		return wrong(&layer->array, allowed, err);
	}
	vectors->count = count;
	vectors->dim = (uint32_t)npy->shape[1];
	return STATUS_OK;
}

static enum status check_all(struct sample_arrays *arrays, struct error *err)
{
	assert(arrays->layers != NULL);
	enum status status = check_column(&arrays->users, arrays->users.npy.shape[0], err);
	arrays->count = status == STATUS_OK ? arrays->users.npy.shape[0] : 0;
	if (status == STATUS_OK && arrays->count == 0) {
		status = wrong(&arrays->users, "one sample or more is needed", err);
	}
	if (status == STATUS_OK) {
		status = check_column(&arrays->items, arrays->count, err);
	}
	if (status == STATUS_OK) {
		status = check_column(&arrays->times, arrays->count, err);
	}
	if (status == STATUS_OK) {
		status = check_keys(&arrays->users, err);
	}
	if (status == STATUS_OK) {
		status = check_keys(&arrays->items, err);
	}
	if (status == STATUS_OK && !is_integer(&arrays->times.npy)) {
		status = wrong(&arrays->times, "times are integers", err);
	}
	for (size_t i = 0; i < arrays->layer_count && status == STATUS_OK; i++) {
		status = check_vectors(&arrays->layers[i], arrays->count, err);
	}
	return status;
}

enum status sample_arrays_open(const struct sample_paths *paths, const char *beside,
	struct sample_arrays *out, struct error *err)
{
	struct sample_arrays arrays = {.time = paths->time, .layer_count = paths->layer_count};
	arrays.layers = calloc(paths->layer_count, sizeof *arrays.layers);
	enum status status = arrays.layers != NULL
				     ? open_all(paths, beside, &arrays, err)
				     : error_set(err, STATUS_NO_MEMORY, "no memory for layers");
	if (status == STATUS_OK) {
		status = check_all(&arrays, err);
	}
	if (status != STATUS_OK) {
		sample_arrays_close(&arrays);
		return status;
	}
	*out = arrays;
	return STATUS_OK;
}

void sample_arrays_close(struct sample_arrays *arrays)
{
	for (size_t i = 0; arrays->layers != NULL && i < arrays->layer_count; i++) {
		struct sample_layer *layer = &arrays->layers[i];
		if (layer->map != NULL) {
			munmap(layer->map, layer->map_bytes);
		}
		output_abort(&layer->spool);
		array_close(&layer->array);
	}
	free(arrays->layers);
	array_close(&arrays->users);
	array_close(&arrays->items);
	array_close(&arrays->times);
	mapping_close(&arrays->archive);
	sample_lines_close(arrays->lines);
	*arrays = (struct sample_arrays){0};
}

/* ---- elements ---- */

size_t sample_key_bytes(const struct array *keys)
{
	return keys->npy.kind == 'S' ? keys->npy.item_bytes : sizeof(uint64_t);
}

bool sample_keys_are_strings(const struct array *keys)
{
	return keys->npy.kind == 'S';
}

static enum status copy_key(const struct array *keys, const uint8_t *at, uint64_t row, uint8_t *out,
	struct error *err)
{
	static const uint8_t nothing[LIMIT_KEY_BYTES] = {0};
	const size_t item_bytes = keys->npy.item_bytes;
	if (keys->npy.kind == 'i' && (at[item_bytes - 1] & 0x80) != 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': the key of sample %" PRIu64 " is negative, 0 to 2^64 - 1 allowed",
			keys->name, row);
	}
	if (keys->npy.kind == 'S' && memcmp(at, nothing, item_bytes) == 0) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s': the key of sample %" PRIu64 " is empty, 1 to 255 bytes allowed",
			keys->name, row);
	}
	memcpy(out, at, item_bytes);
	return STATUS_OK;
}

enum status sample_copy_keys(struct array *keys, uint8_t *out, struct error *err)
{
	const size_t item_bytes = keys->npy.item_bytes;
	const size_t key_bytes = sample_key_bytes(keys);
	const uint64_t some = PIECE_BYTES / item_bytes;
	enum status status = STATUS_OK;
	for (uint64_t at = 0; at < keys->npy.elements && status == STATUS_OK;) {
		const uint64_t left = keys->npy.elements - at;
		const size_t count = (size_t)(left < some ? left : some);
		const void *data = NULL;
		status = array_read(keys, at * item_bytes, count * item_bytes, &data, err);
		for (size_t i = 0; i < count && status == STATUS_OK; i++) {
			status = copy_key(keys, (const uint8_t *)data + i * item_bytes, at + i,
				out + (at + i) * key_bytes, err);
		}
		at += count;
	}
	return status;
}

/* An integer of any size; one above INT64_MAX is above all times, too. */
static int64_t integer_at(const struct npy *npy, const uint8_t *at)
{
	const unsigned unused_bits = (unsigned)(64 - 8 * npy->item_bytes);
	uint64_t value = 0;
	memcpy(&value, at, npy->item_bytes);
	if (npy->kind == 'i') {
		return (int64_t)(value << unused_bits) >> unused_bits;
	}
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

enum status sample_copy_times(struct sample_arrays *arrays, uint8_t *out, bool *in_order,
	struct error *err)
{
	enum { SOME = 4096 };
	struct array *times = &arrays->times;
	const size_t item_bytes = times->npy.item_bytes;
	int64_t last_ms = INT64_MIN;
	enum status status = STATUS_OK;
	*in_order = true;
	for (uint64_t at = 0; at < arrays->count && status == STATUS_OK;) {
		int64_t taken[SOME];
		const uint64_t left = arrays->count - at;
		const size_t count = (size_t)(left < SOME ? left : SOME);
		const void *data = NULL;
		status = array_read(times, at * item_bytes, count * item_bytes, &data, err);
		for (size_t i = 0; i < count && status == STATUS_OK; i++) {
			taken[i] = integer_at(&times->npy, (const uint8_t *)data + i * item_bytes);
		}
		if (status == STATUS_OK) {
			status = row_times_take(&arrays->time, taken, count, times->name, at, err);
		}
		if (status != STATUS_OK) {
			return status;
		}
		for (size_t i = 0; i < count; i++) {
			*in_order = *in_order && taken[i] >= last_ms;
			last_ms = taken[i];
		}
		memcpy(out + at * sizeof *taken, taken, count * sizeof *taken);
		at += count;
	}
	return status;
}

/* ---- vectors ---- */

/* Opens a file beside the output for the vectors of a member that is deflated. */
static enum status open_spool(struct sample_layer *layer, const struct output *beside,
	struct error *err)
{
	const struct npy *npy = &layer->array.npy;
	const size_t len = (size_t)npy->elements * npy->item_bytes;
	enum status status =
		output_open_part(beside->path, layer->vectors.name.text, &layer->spool, err);
	if (status != STATUS_OK) {
		return status;
	}
	const int fd = fileno(layer->spool.file);
	int error_number = posix_fallocate(fd, 0, (off_t)len);
	void *map = MAP_FAILED;
	if (error_number == 0) {
		map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		error_number = map == MAP_FAILED ? errno : 0;
	}
	if (error_number != 0) {
		return error_set(err, status_of_errno(error_number),
			"'%s': room for %zu bytes beside the output: %s", layer->array.name, len,
			strerror(error_number));
	}
	layer->map = map;
	layer->map_bytes = len;
	return STATUS_OK;
}

enum status sample_take_vectors(struct sample_layer *layer, const struct output *beside,
	struct error *err)
{
	const struct npy *npy = &layer->array.npy;
	const struct cr_layer *vectors = &layer->vectors;
	const bool in_place = npy->data != NULL;
	const uint64_t some = PIECE_BYTES / npy->item_bytes;
	enum status status = in_place ? STATUS_OK : open_spool(layer, beside, err);
	for (uint64_t at = 0; at < npy->elements && status == STATUS_OK;) {
		const uint64_t left = npy->elements - at;
		const size_t count = (size_t)(left < some ? left : some);
		const size_t bytes = count * npy->item_bytes;
		const void *data = NULL;
		status = array_read(&layer->array, at * npy->item_bytes, bytes, &data, err);
		if (status != STATUS_OK) {
			return status;
		}
		const size_t bad = dtype_first_nonfinite(vectors->dtype, data, count);
		if (bad < count) {
			return error_set(err, STATUS_BAD_REQUEST,
				"--layer %s: '%s': sample %" PRIu64 ", element %" PRIu64
				" is NaN or infinite, finite numbers allowed",
				vectors->name.text, layer->array.name, (at + bad) / vectors->dim,
				(at + bad) % vectors->dim);
		}
		if (!in_place) {
			memcpy((uint8_t *)layer->map + at * npy->item_bytes, data, bytes);
		}
		at += count;
	}
	layer->vectors.rows = in_place ? npy->data : layer->map;
	return status;
}
