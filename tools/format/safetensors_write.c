/* safetensors_write.c - writes the header of a safetensors file. */
#include "tools/format/buffer.h"
#include "tools/format/little.h"
#include "tools/format/output.h"
#include "tools/format/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LENGTH_BYTES = 8,
	/* The data begins at a multiple of this, as other writers have it. */
	ALIGN_BYTES = 8,
	/* Of one entry, without the name. */
	ENTRY_BYTES_MAX = 320,
};

/* Wide elements first: with no holes between tensors, each is aligned to its elements then. */
static int by_width(const void *a, const void *b)
{
	const struct safetensor *left = a;
	const struct safetensor *right = b;
	if (left->type->bytes != right->type->bytes) {
		return left->type->bytes > right->type->bytes ? -1 : 1;
	}
	return strcmp(left->name, right->name);
}

static enum status add_entry(struct buffer *text, const struct safetensor *tensor)
{
	const size_t most = strlen(tensor->name) + ENTRY_BYTES_MAX;
	char *out = buffer_room(text, most);
	if (out == NULL) {
		return STATUS_NO_MEMORY;
	}
	size_t len = (size_t)snprintf(out, most, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[",
		text->len == LENGTH_BYTES ? '{' : ',', tensor->name, tensor->type->name);
	for (uint32_t i = 0; i < tensor->dims; i++) {
		len += (size_t)snprintf(out + len, most - len, "%s%" PRIu64, i > 0 ? "," : "",
			tensor->shape[i]);
	}
	len += (size_t)snprintf(out + len, most - len,
		"],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", tensor->at,
		tensor->at + tensor->bytes);
	assert(len < most);
	text->len += len;
	return STATUS_OK;
}

enum status safetensors_write_header(struct safetensor *tensors, size_t count,
	struct output *output, struct error *err)
{
	struct buffer text = {0};
	const uint8_t none[LENGTH_BYTES] = {0};
	uint64_t at = 0;
	enum status status = buffer_add(&text, none, sizeof none);
	if (count > 1) {
		qsort(tensors, count, sizeof *tensors, by_width);
	}
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		tensors[i].at = at;
		at += tensors[i].bytes;
		status = add_entry(&text, &tensors[i]);
	}
	if (status == STATUS_OK) {
		status = count > 0 ? buffer_add(&text, "}", 1) : buffer_add(&text, "{}", 2);
	}
	while (status == STATUS_OK && text.len % ALIGN_BYTES != 0) {
		status = buffer_add(&text, " ", 1);
	}
	if (status == STATUS_OK) {
		little_write(text.data, LENGTH_BYTES, text.len - LENGTH_BYTES);
		status = output_write(output, text.data, text.len, err);
	} else {
		error_set(err, status, "no memory for the header of '%s'", output->path);
	}
	buffer_fini(&text);
	return status;
}
