/* json_lines.c - cuts a stream into lines. */
#include "tools/format/json_lines.h"

#include "schema/limits.h"
#include "tools/format/file_kind.h"

#include <inttypes.h>
#include <string.h>

enum status json_lines_begin(struct stream *stream, struct error *err)
{
	static const char mark[] = "\xef\xbb\xbf";
	while (!stream->ended && stream_len(stream) < FILE_KIND_BYTES) {
		const enum status status = stream_more(stream, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	const char *kind = file_kind_by_content(stream_data(stream), stream_len(stream));
	if (kind != NULL) {
		return error_set(err, STATUS_BAD_REQUEST, "%s: no JSON lines, but %s", stream->name,
			kind);
	}
	if (stream_len(stream) >= strlen(mark) &&
		memcmp(stream_data(stream), mark, strlen(mark)) == 0) {
		stream_take(stream, strlen(mark));
	}
	return STATUS_OK;
}

bool json_lines_find(const struct stream *stream, size_t *seen, struct json_line *out)
{
	const uint8_t *data = stream_data(stream);
	const size_t held = stream_len(stream);
	const uint8_t *newline = held > *seen ? memchr(data + *seen, '\n', held - *seen) : NULL;
	*seen = held;
	if (newline == NULL && !stream->ended) {
		return false;
	}
	out->len = newline != NULL ? (size_t)(newline - data) : held;
	out->with_end = out->len + (newline != NULL);
	out->end = newline == NULL && held == 0;
	return true;
}

enum status json_lines_check(const struct stream *stream, uint64_t number, struct error *err)
{
	return stream_len(stream) <= LIMIT_MESSAGE_BYTES
		       ? STATUS_OK
		       : error_set(err, STATUS_TOO_LARGE, "%s:%" PRIu64 ": longer than %u MiB",
				 stream->name, number, LIMIT_MESSAGE_BYTES >> 20);
}

bool json_line_is_blank(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
			return false;
		}
	}
	return true;
}

const char *json_line_advice(const uint8_t *text, size_t len, const char *why)
{
	size_t at = 0;
	while (at < len && (text[at] == ' ' || text[at] == '\t')) {
		at++;
	}
	if (at < len && text[at] == '[') {
		return "; an array of rows becomes one object a line by jq -c '.[]'";
	}
	return strstr(why, "too early") != NULL ? "; jq -c . makes one object a line" : "";
}
