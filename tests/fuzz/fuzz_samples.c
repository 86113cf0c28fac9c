/* fuzz_samples.c - any lines as samples of a training set: refused with a reason, or samples that are alike.
 *
 * An input is lines. Two layers are asked for.
 */
#include "tools/format/sample_row.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* What is known of the first sample holds of this one. */
static void judge(const struct sample_row_reader *reader, const struct sample_row_reader *first)
{
	for (size_t i = 0; i < SAMPLE_SIDES; i++) {
		const struct sample_key *key = &reader->keys[i];
		require(key->len > 0 && key->len <= LIMIT_KEY_BYTES);
		require(key->is_string || key->len == sizeof(uint64_t));
		require(key->is_string == first->keys[i].is_string);
		require(!key->is_string || key->bytes[key->len - 1] != 0);
	}
	for (size_t i = 0; i < reader->layer_count; i++) {
		const struct sample_row_layer *layer = &reader->layers[i];
		require(layer->dim > 0 && layer->dim <= LIMIT_DIM);
		require(layer->vector.len == layer->dim * sizeof(float));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const layers[] = {"x", "mlp2=FILE.npy"};
	struct sample_row_reader reader;
	struct sample_row_reader first = {0};
	struct error err = {.text = ""};
	const char *at = (const char *)data;
	const char *end = at + size;
	enum status status = sample_row_open(layers, 2, &reader, &err);
	require(status == STATUS_OK);
	while (at < end && status == STATUS_OK) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		const size_t len = (size_t)((next != NULL ? next : end) - at);
		/* A line of its own, so that reading behind its end is seen. */
		char *line = malloc(len + (len == 0));
		require(line != NULL);
		memcpy(line, at, len);
		const bool is_first = reader.is_first;
		status = sample_row_read(&reader, line, len, &err);
		free(line);
		require(status == STATUS_OK || status == STATUS_BAD_REQUEST);
		require(reader.is_first == (is_first && status != STATUS_OK));
		if (status == STATUS_OK) {
			first = is_first ? reader : first;
			judge(&reader, &first);
		}
		at += len + 1;
	}
	for (const char *c = err.text; *c != '\0'; c++) {
		require(*c >= ' ' && *c <= '~');
	}
	sample_row_close(&reader);
	return 0;
}
