/* observe_redis.c - Redis keeps decayed sums: one EVALSHA a batch, a string a user and an item.
 *
 * The string under 'u' or 'i' and the key's 8 bytes is the sum f32[64], the weight f32, and the
 * time of the newest sample f64. As repstored does, the script reads and writes each key of a batch
 * once, whatever the number of its samples. It has a local variable for each element, which
 * measured twice as fast as tables, and takes its arguments as packed columns.
 */
#include "tests/bench/driver/observe.h"
#include "tests/bench/driver/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_BYTES = 1 + 8,
	STATE_BYTES = MEASURE_ROW_BYTES + 4 + 8,
	SHA_BYTES = 40,
	FILL_ROWS = 1024, /* sent at once */
	FILL_BYTES = 512, /* of one at most */
	HEAD_BYTES = 512,
};

/* Of the script, once it is loaded. */
static char script_sha[SHA_BYTES + 1];

/* ---- the script ---- */

/* before1, before2, ... */
static void list(FILE *out, const char *before)
{
	for (int i = 1; i <= MEASURE_DIM; i++) {
		(void)fprintf(out, "%s%s%d", i == 1 ? "" : ",", before, i);
	}
}

static void each(FILE *out, const char *format)
{
	for (int i = 1; i <= MEASURE_DIM; i++) {
		for (const char *at = format; *at != '\0'; at++) {
			if (*at == '#') {
				(void)fprintf(out, "%d", i);
			} else {
				(void)fputc(*at, out);
			}
		}
	}
}

static void write_fold(FILE *out)
{
	(void)fputs(
		"local function fold(prefix, keys)\n"
		"  local order, n, head, tail, behind = {}, 0, {}, {}, {}\n"
		"  for i = 0, #keys / 8 - 1 do\n"
		"    local key = sub(keys, i * 8 + 1, i * 8 + 8)\n"
		"    local last = tail[key]\n"
		"    if last then behind[last] = i else n = n + 1 order[n] = key head[key] = i end\n"
		"    tail[key] = i\n"
		"  end\n"
		"  for k = 1, n do\n"
		"    local key = order[k]\n"
		"    local name = prefix .. key\n"
		"    local i = head[key]\n"
		"    local state = call('GET', name) or empty\n"
		"    local ",
		out);
	list(out, "a");
	(void)fputs(",w,last = unpack(state_format, state)\n"
		    "    repeat\n"
		    "      local t = unpack('<l', times, i * 8 + 1)\n"
		    "      local ",
		out);
	list(out, "b");
	(void)fprintf(out, " = unpack(row_format, rows, i * %d + 1)\n", MEASURE_ROW_BYTES);
	(void)fprintf(out, "      if t == last then\n"
			   "        w = w + 1\n        ");
	each(out, "a#=a#+b# ");
	(void)fprintf(out,
		"\n      elseif t > last then\n"
		"        local keep = 2 ^ ((last - t) / %" PRId64 ")\n"
		"        last = t\n"
		"        w = keep * w + 1\n        ",
		crowd_half_life_ms);
	each(out, "a#=keep*a#+b# ");
	(void)fprintf(out,
		"\n      else\n"
		"        local take = 2 ^ ((t - last) / %" PRId64 ")\n"
		"        w = w + take\n        ",
		crowd_half_life_ms);
	each(out, "a#=a#+take*b# ");
	(void)fputs("\n      end\n"
		    "      i = behind[i]\n"
		    "    until not i\n"
		    "    call('SET', name, pack(state_format, ",
		out);
	list(out, "a");
	(void)fputs(",w,last))\n"
		    "  end\n"
		    "end\n",
		out);
}

/* malloc'ed */
static char *make_script(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (out == NULL) {
		die("no memory for a script");
	}
	(void)fprintf(out,
		"local users, items, times, rows = ARGV[1], ARGV[2], ARGV[3], ARGV[4]\n"
		"local unpack, pack, sub = struct.unpack, struct.pack, string.sub\n"
		"local call = redis.call\n"
		"local row_format = '<' .. ('f'):rep(%d)\n"
		"local state_format = row_format .. 'fd'\n"
		"local empty = ('\\0'):rep(%d)\n",
		MEASURE_DIM, STATE_BYTES);
	write_fold(out);
	(void)fputs("fold('u', users)\n"
		    "fold('i', items)\n"
		    "return #times / 8\n",
		out);
	if (fclose(out) != 0) {
		die("no memory for a script");
	}
	return text;
}

/* ---- commands ---- */

/* $LEN CR LF; the data, of which there are `len` bytes, and another CR LF follow. */
static uint8_t *put_head(uint8_t *at, char kind, size_t len)
{
	char text[32];
	const int count = snprintf(text, sizeof text, "%c%zu\r\n", kind, len);
	memcpy(at, text, (size_t)count);
	return at + count;
}

static uint8_t *put_line_end(uint8_t *at)
{
	*at++ = '\r';
	*at++ = '\n';
	return at;
}

static uint8_t *put_bulk(uint8_t *at, const void *data, size_t len)
{
	at = put_head(at, '$', len);
	memcpy(at, data, len);
	return put_line_end(at + len);
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
	return put_bulk(at, text, strlen(text));
}

static void name_of(enum crowd_side side, uint64_t key, uint8_t name[NAME_BYTES])
{
	name[0] = side == CROWD_USERS ? 'u' : 'i';
	memcpy(name + 1, &key, sizeof key);
}

static void expect(struct stream *stream, const char *wanted)
{
	size_t len;
	const char *line = stream_line(stream, &len);
	if (len != strlen(wanted) || memcmp(line, wanted, len) != 0) {
		die("redis: '%.*s', not '%s'", (int)len, line, wanted);
	}
}

static void load_script(struct stream *stream)
{
	char *script = make_script();
	uint8_t *buf = allocate(strlen(script) + HEAD_BYTES);
	uint8_t *at = put_head(buf, '*', 3);
	at = put_text(put_text(put_text(at, "SCRIPT"), "LOAD"), script);
	stream_send(stream, buf, (size_t)(at - buf));
	expect(stream, "$40");
	size_t len;
	const char *line = stream_line(stream, &len);
	if (len != SHA_BYTES) {
		die("redis: SCRIPT LOAD: %.*s", (int)len, line);
	}
	memcpy(script_sha, line, SHA_BYTES);
	free(buf);
	free(script);
}

static uint8_t *put_row(uint8_t *at, const struct crowd *crowd, enum crowd_side side, uint64_t key)
{
	uint8_t name[NAME_BYTES];
	uint8_t state[STATE_BYTES];
	const float weight = 1;
	const double time_ms = (double)crowd->loaded_ms;
	name_of(side, key, name);
	memcpy(state, crowd_loaded_row(crowd, key), MEASURE_ROW_BYTES);
	memcpy(state + MEASURE_ROW_BYTES, &weight, sizeof weight);
	memcpy(state + MEASURE_ROW_BYTES + sizeof weight, &time_ms, sizeof time_ms);
	at = put_text(put_head(at, '*', 3), "SET");
	return put_bulk(put_bulk(at, name, sizeof name), state, sizeof state);
}

static void load_side(struct stream *stream, const struct crowd *crowd, enum crowd_side side)
{
	uint8_t *buf = allocate((size_t)FILL_ROWS * FILL_BYTES);
	for (uint64_t first = 0; first < crowd->counts[side]; first += FILL_ROWS) {
		const uint64_t left = crowd->counts[side] - first;
		const uint64_t count = left < FILL_ROWS ? left : FILL_ROWS;
		uint8_t *at = buf;
		for (uint64_t i = 0; i < count; i++) {
			at = put_row(at, crowd, side, first + i);
		}
		stream_send(stream, buf, (size_t)(at - buf));
		for (uint64_t i = 0; i < count; i++) {
			expect(stream, "+OK");
		}
	}
	free(buf);
}

static void redis_load(const char *path, const struct crowd *crowd)
{
	struct stream stream;
	stream_open(&stream, path);
	load_side(&stream, crowd, CROWD_USERS);
	load_side(&stream, crowd, CROWD_ITEMS);
	load_script(&stream);
	stream_close(&stream);
}

/* ---- samples ---- */

/* A column to be filled in later; *begins: where. */
static uint8_t *put_column(struct put_request *request, uint8_t *at, size_t bytes, size_t *begins)
{
	at = put_head(at, '$', bytes);
	*begins = (size_t)(at - request->data);
	return put_line_end(at + bytes);
}

static void samples_write(struct put_request *request)
{
	const size_t keys_bytes = request->rows * sizeof(uint64_t);
	const size_t rows_bytes = (size_t)request->rows * MEASURE_ROW_BYTES;
	request->data = allocate(HEAD_BYTES + 3 * keys_bytes + rows_bytes);
	request->keys_step = sizeof(uint64_t);
	request->rows_step = MEASURE_ROW_BYTES;
	uint8_t *at = put_text(put_head(request->data, '*', 7), "EVALSHA");
	at = put_text(put_text(at, script_sha), "0");
	at = put_column(request, at, keys_bytes, &request->keys_at);
	at = put_column(request, at, keys_bytes, &request->others_at);
	at = put_column(request, at, keys_bytes, &request->times_at);
	at = put_column(request, at, rows_bytes, &request->rows_at);
	request->len = (size_t)(at - request->data);
}

static size_t samples_read_answer(const uint8_t *data, size_t len, struct put_answer *out)
{
	const uint8_t *end = memchr(data, '\n', len);
	if (end == NULL) {
		return 0;
	}
	if (data[0] != ':') {
		die("redis: %.*s", (int)(end - data), (const char *)data);
	}
	*out = (struct put_answer){.rows = (uint32_t)strtoul((const char *)data + 1, NULL, 10)};
	return (size_t)(end - data) + 1;
}

static const struct put_kind samples_kind = {.name = "redis",
	.write = samples_write,
	.read_answer = samples_read_answer};

/* ---- what is there ---- */

static void *redis_open(const char *path)
{
	struct stream *stream = allocate(sizeof *stream);
	stream_open(stream, path);
	return stream;
}

static void redis_close(void *reader)
{
	stream_close(reader);
	free(reader);
}

static void redis_read(void *arg, enum crowd_side side, uint64_t key, struct crowd_state *out)
{
	struct stream *stream = arg;
	uint8_t name[NAME_BYTES];
	uint8_t buf[HEAD_BYTES];
	name_of(side, key, name);
	uint8_t *at = put_text(put_head(buf, '*', 2), "GET");
	at = put_bulk(at, name, sizeof name);
	stream_send(stream, buf, (size_t)(at - buf));
	char wanted[32];
	(void)snprintf(wanted, sizeof wanted, "$%d", STATE_BYTES);
	expect(stream, wanted);
	const uint8_t *state = stream_need(stream, STATE_BYTES + 2);
	memcpy(out->sum, state, sizeof out->sum);
	float weight;
	memcpy(&weight, state + MEASURE_ROW_BYTES, sizeof weight);
	out->weight = (double)weight;
	stream_take(stream, STATE_BYTES + 2);
}

const struct observer observer_redis = {.name = "redis",
	.kind = &samples_kind,
	.load = redis_load,
	.open = redis_open,
	.read = redis_read,
	.close = redis_close};
