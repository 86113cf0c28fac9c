/* fetch.c - rows of many tables' keys, all of one snapshot of one release.
 *
 *   params -> read_part each [AGAIN: too much for a loop] -> given_keys_pack each
 *          -> reserve the reply -> write_part each: table_lookup writes into the reply
 *
 * All arguments are checked, and the size of the reply is known, before its first byte is
 * written. So its memory does not move while table_lookup writes into it.
 */
#include "daemon/method/methods.h"

#include <assert.h>
#include <string.h>

#include "daemon/method/call/call_snapshot.h"
#include "daemon/method/call/given_keys.h"
#include "daemon/method/call/given_missing.h"
#include "daemon/method/call/given_wants.h"
#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/method/query/given_chain.h"
#include "daemon/search/expect.h"
#include "daemon/served/served.h"
#include "daemon/store/snapshot/table_counts.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"

const char *const fetch_names[] = {"release", "parts", NULL};
const char *const fetch_part_names[] = {"table", "keys", "dtype", "through", "times", "tags", "why",
	"max_age_ms", "raw", "weights", "missing", "history_times", NULL};

enum {
	/* What a part of the reply has beside its bins: at most 16 names of at most 13 bytes, the
	 * name of a table, heads and numbers. */
	PART_HEAD_BYTES = 512,
	/* What the reply has beside its parts: the name of the release, the sequence. */
	REPLY_HEAD_BYTES = 256,
};

struct part {
	const struct table *table; /* borrowed from the snapshot */
	struct given_keys keys;
	struct through *through; /* owned; NULL: rows leave as they are */
	uint32_t dim;            /* of the rows that leave, as the next two */
	uint32_t views;
	enum dtype dtype;
	unsigned want;
	bool has_max_age;
	uint64_t max_age_ms;
	bool raw;
	bool defaults; /* a key without a row gets the table's default */
	size_t stride;
	uint32_t counts[WHY_COUNT]; /* of its keys, once they were looked up */
	/* In the reply, as long as nothing is written behind it. */
	const uint8_t *found;
	const uint8_t *rows;
	const void *scales; /* or NULL */
	char where[PARAMS_WHERE_BYTES];
};

struct fetch {
	struct call *call;
	const struct snapshot *snapshot;
	const struct release *release;
	uint64_t visible;
	int64_t now_ms;
	size_t count;
	uint32_t counts[WHY_COUNT];
	size_t reply_max;               /* length of call->out that is reserved */
	struct part parts[LIMIT_PARTS]; /* the first `count` are set */
};

static enum status find_table(struct fetch *fetch, struct part *part, const struct table_name *name)
{
	struct error *err = &fetch->call->error;
	enum status status = release_table(fetch->release, name->text, &part->table, err);
	if (status != STATUS_OK) {
		return error_set(err, status, "%stable: %s", part->where, err->text);
	}
	return STATUS_OK;
}

/* Reads the chain and sets the shape of the rows that leave it; *dtype becomes their dtype. */
static enum status read_through(struct fetch *fetch, struct part *part, struct wire_value steps,
	enum dtype *dtype)
{
	const struct table_spec *spec = &part->table->spec;
	part->dim = spec->dim;
	part->views = spec_row_views(spec);
	*dtype = spec->dtype;
	if (steps.object == NULL) {
		return STATUS_OK;
	}
	if (spec->history != 0) {
		return error_set(&fetch->call->error, STATUS_BAD_REQUEST,
			"%sthrough: given, but table '%s' has histories, whose rows are many vectors",
			part->where, spec->name.text);
	}
	const struct through_place place = {
		.store = fetch->call->service->store,
		.release = fetch->release,
		.width = spec_elements(spec),
		.where = part->where,
		.may_block = fetch->call->may_block,
		.stop = call_stop(fetch->call),
	};
	const enum status status =
		given_chain_read(steps, &place, &part->through, &fetch->call->error);
	if (status == STATUS_OK) {
		part->dim = through_dim(part->through);
		part->views = 1;
		*dtype = DTYPE_F32;
	}
	return status;
}

/* Reads what a key without a row gets. */
static void read_missing(struct params *params, struct part *part)
{
	const struct table_spec *spec = &part->table->spec;
	part->defaults = given_missing_is_default(params, spec, "zero");
	if (part->defaults && part->raw && spec_aggregates(spec)) {
		params_fail(params, STATUS_BAD_REQUEST, "missing",
			"'default' given with raw, but the default row of table '%s' is no sum",
			spec->name.text);
	}
}

/* Charges the call for the rows of a part, and for the stored layers that they go through: at most
 * 2^20 rows, 16 steps and 2^26 weights a step. */
static enum status charge_rows(struct fetch *fetch, const struct part *part)
{
	const struct table *table = part->table;
	const uint64_t rows = part->keys.batch.count;
	if (part->through == NULL) {
		return call_charge(fetch->call, COST_ROWS,
			expect_rows_ns(table, part->dtype, rows));
	}
	const uint64_t work_ns = expect_work_ns(through_work(part->through, rows));
	const enum status status = call_charge(fetch->call, COST_LAYERS, work_ns);
	return status == STATUS_OK
		       ? call_charge(fetch->call, COST_ROWS,
				 expect_rows_ns(table, DTYPE_F32, rows) + rows * part->stride / 2)
		       : status;
}

static enum status read_part(struct fetch *fetch, size_t i, struct wire_value map)
{
	assert(i == fetch->count && i < LIMIT_PARTS);
	struct part *part = &fetch->parts[i];
	*part = (struct part){0};
	params_where(part->where, "parts", i);
	fetch->count = i + 1;

	struct error *err = &fetch->call->error;
	struct params params;
	params_begin(&params, map, part->where, fetch_part_names, err);
	struct table_name name;
	params_table(&params, &name);
	struct wire_value keys = params_value(&params, "keys", PARAM_REQUIRED);
	struct wire_value steps = params_value(&params, "through", PARAM_OPTIONAL);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	enum status status = find_table(fetch, part, &name);
	if (status != STATUS_OK) {
		return status;
	}
	const struct table_spec *spec = &part->table->spec;
	enum dtype dtype;
	status = read_through(fetch, part, steps, &dtype);
	if (status != STATUS_OK) {
		return status;
	}
	part->dtype = params_dtype_or_f64(&params, dtype);
	part->want = given_wants_read(&params, part->table, part->dtype);
	part->raw = params_flag(&params, "raw");
	part->has_max_age = params_uint_given(&params, "max_age_ms", &part->max_age_ms);
	if (params.status == STATUS_OK && !dtype_convertible(dtype, part->dtype)) {
		params_fail(&params, STATUS_BAD_REQUEST, "dtype",
			"%s given, but table '%s' %s %s, which does not convert into it",
			dtype_name(part->dtype), spec->name.text,
			part->through != NULL ? "comes as" : "holds", dtype_name(dtype));
	}
	if (part->dtype == DTYPE_F64 &&
		!(part->raw && spec_aggregates(spec) && part->through == NULL)) {
		params_fail(&params, STATUS_BAD_REQUEST, "dtype",
			"f64 given, allowed for the sums of a table of kind cr (raw) only");
	}
	read_missing(&params, part);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	part->stride = dtype_row_bytes(part->dtype, part->dim, part->views);
	status = call_charge(fetch->call, COST_KEYS, given_keys_cost(keys, spec->key_type));
	if (status == STATUS_OK) {
		status = given_keys_begin(&part->keys, keys, spec->key_type, part->where, err);
	}
	if (status == STATUS_OK) {
		status = call_take_keys(fetch->call, part->keys.batch.count);
	}
	return status == STATUS_OK ? charge_rows(fetch, part) : status;
}

/* Bytes of the times of a history. */
static size_t history_bytes(const struct part *part)
{
	return part->table->spec.history * sizeof(int64_t);
}

static size_t column_bytes(const struct part *part)
{
	size_t row = ((part->want & WANT_SCALES) != 0 ? sizeof(float) : 0) +
		     ((part->want & WANT_TIMES) != 0 ? sizeof(int64_t) : 0) +
		     ((part->want & WANT_TAGS) != 0 ? sizeof(uint64_t) : 0) +
		     ((part->want & WANT_WEIGHTS) != 0 ? sizeof(double) : 0) +
		     ((part->want & WANT_COUNTS) != 0 ? sizeof(uint32_t) : 0) +
		     ((part->want & WANT_HISTORY_TIMES) != 0 ? history_bytes(part) : 0) +
		     ((part->want & WANT_WHY) != 0 ? 1 : 0);
	size_t n = part->keys.batch.count;
	return n * (part->stride + row) + (n + 7) / 8;
}

/* Makes room for the whole reply, so that the bins do not move while they are filled. */
static enum status reserve_reply(struct fetch *fetch)
{
	struct wire_writer *out = fetch->call->out;
	size_t limit = out->limit != 0 ? out->limit : LIMIT_MESSAGE_BYTES;
	size_t bytes = REPLY_HEAD_BYTES;
	for (size_t i = 0; i < fetch->count; i++) {
		bytes += PART_HEAD_BYTES + column_bytes(&fetch->parts[i]);
	}
	if (bytes > limit || out->len > limit - bytes) {
		return error_set(&fetch->call->error, STATUS_TOO_LARGE,
			"the reply would have %zu bytes, at most %zu allowed; ask for fewer keys",
			out->len + bytes, limit);
	}
	fetch->reply_max = out->len + bytes;
	wire_writer_reserve(out, bytes);
	return reply_end(fetch->call);
}

static uint8_t *write_column(struct wire_writer *out, const struct part *part, const char *name,
	size_t element)
{
	wire_write_str(out, name);
	return wire_write_bin_space(out, part->keys.batch.count * element);
}

static void write_part_head(struct wire_writer *out, const struct part *part)
{
	enum { ALWAYS = 8 };
	wire_write_map(out, ALWAYS + (size_t)__builtin_popcount(part->want));
	reply_str(out, "table", part->table->spec.name.text);
	reply_uint(out, "n", part->keys.batch.count);
	reply_uint(out, "dim", part->dim);
	reply_uint(out, "views", part->views);
	reply_str(out, "dtype", dtype_name(part->dtype));
	reply_uint(out, "stride", part->stride);
}

static enum status write_part(struct fetch *fetch, struct part *part)
{
	struct wire_writer *out = fetch->call->out;
	struct lookup lookup = {
		.table = part->table,
		.keys = part->keys.batch,
		.dtype = part->dtype,
		.visible = fetch->visible,
		.now_ms = fetch->now_ms,
		.has_max_age = part->has_max_age,
		.max_age_ms = part->max_age_ms,
		.raw = part->raw,
		.defaults = part->defaults,
		.may_block = fetch->call->may_block,
		.stop = call_stop(fetch->call),
	};
	write_part_head(out, part);
	wire_write_str(out, "found");
	lookup.found = wire_write_bin_space(out, (lookup.keys.count + 7u) / 8u);
	lookup.rows = write_column(out, part, "rows", part->stride);
	if ((part->want & WANT_SCALES) != 0) {
		lookup.scales = write_column(out, part, "scales", sizeof(float));
	}
	if ((part->want & WANT_TIMES) != 0) {
		lookup.times = write_column(out, part, "times", sizeof(int64_t));
	}
	if ((part->want & WANT_TAGS) != 0) {
		lookup.tags = write_column(out, part, "tags", sizeof(uint64_t));
	}
	if ((part->want & WANT_WEIGHTS) != 0) {
		lookup.weights = write_column(out, part, "weights", sizeof(double));
	}
	if ((part->want & WANT_HISTORY) != 0) {
		reply_uint(out, "history", part->table->spec.history);
		lookup.history_counts = write_column(out, part, "counts", sizeof(uint32_t));
	}
	if ((part->want & WANT_HISTORY_TIMES) != 0) {
		lookup.history_times =
			write_column(out, part, "history_times", history_bytes(part));
	}
	if ((part->want & WANT_WHY) != 0) {
		lookup.why = write_column(out, part, "why", 1);
	}
	if (out->status != STATUS_OK) {
		return reply_end(fetch->call);
	}
	assert(lookup.found != NULL && lookup.rows != NULL);
	part->found = lookup.found;
	part->rows = lookup.rows;
	part->scales = lookup.scales;
	struct error *err = &fetch->call->error;
	enum status status = part->through == NULL ? table_lookup(&lookup, err)
						   : through_lookup(part->through, &lookup, err);
	if (status == STATUS_AGAIN || status == STATUS_TIMEOUT || status == STATUS_CLOSED) {
		return status; /* of the whole call, and no matter of this part */
	}
	if (status != STATUS_OK) {
		return error_set(err, status, "%s%s", part->where, err->text);
	}
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		part->counts[why] = lookup.counts[why];
		fetch->counts[why] += lookup.counts[why];
	}
	return STATUS_OK;
}

static enum status write_reply(struct fetch *fetch)
{
	enum status status = reserve_reply(fetch);
	if (status != STATUS_OK) {
		return status;
	}
	struct wire_writer *out = fetch->call->out;
	wire_write_map(out, 3);
	reply_str(out, "release", fetch->release->id.text);
	reply_uint(out, "sequence", fetch->visible);
	wire_write_str(out, "parts");
	wire_write_array(out, fetch->count);
	for (size_t i = 0; i < fetch->count && status == STATUS_OK; i++) {
		status = write_part(fetch, &fetch->parts[i]);
	}
	assert(status != STATUS_OK || out->len <= fetch->reply_max);
	return status;
}

static enum status read_parts(struct fetch *fetch, struct wire_value parts)
{
	struct error *err = &fetch->call->error;
	const size_t count = wire_size(parts);
	enum status charged = call_charge(fetch->call, COST_REQUEST, count * COST_PART_NS);
	if (charged != STATUS_OK) {
		return charged;
	}
	for (size_t i = 0; i < count; i++) {
		enum status status = read_part(fetch, i, wire_item(parts, i));
		if (status != STATUS_OK) {
			return status;
		}
	}
	for (size_t i = 0; i < fetch->count; i++) {
		enum status status = given_keys_pack(&fetch->parts[i].keys, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return STATUS_OK;
}

static enum status fetch_in_snapshot(struct fetch *fetch, const struct name *release,
	struct wire_value parts)
{
	struct error *err = &fetch->call->error;
	const char *id = release->text[0] != '\0' ? release->text : NULL;
	enum status status = snapshot_release(fetch->snapshot, id, &fetch->release, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (fetch->release->state == RELEASE_OPEN) {
		return error_set(err, STATUS_NOT_SEALED, "release '%s' is open, seal it first",
			fetch->release->id.text);
	}
	status = read_parts(fetch, parts);
	return status == STATUS_OK ? write_reply(fetch) : status;
}

/* Counts what was asked and answered, for each table and for all. */
static void count_fetch(const struct fetch *fetch, size_t reply_bytes)
{
	const unsigned slot = slot_own;
	struct service_slot *counts = &fetch->call->service->slots[slot];
	uint64_t keys = 0;
	for (unsigned why = 0; why < WHY_COUNT; why++) {
		if (fetch->counts[why] > 0) {
			slot_add(slot, &counts->fetch_counts[why], fetch->counts[why]);
			keys += fetch->counts[why];
		}
	}
	for (size_t i = 0; i < fetch->count; i++) {
		const struct part *part = &fetch->parts[i];
		table_counts_read(part->table->counts, part->counts);
	}
	slot_add_value(slot, &counts->fetch_keys, keys, 1);
	slot_add_value(slot, &counts->fetch_reply_bytes, reply_bytes, SERVICE_REPLY_BYTES);
}

/* Copies the fetch into the log of served rows, if its first key is in. */
static void log_fetch(const struct fetch *fetch)
{
	struct served *served = fetch->call->service->served;
	struct served_part parts[LIMIT_PARTS];
	if (!served_wants(served, &fetch->parts[0].keys.batch)) {
		return;
	}
	for (size_t i = 0; i < fetch->count; i++) {
		const struct part *part = &fetch->parts[i];
		parts[i] = (struct served_part){
			.table = part->table->spec.name.text,
			.keys = part->keys.batch,
			.dtype = part->dtype,
			.dim = part->dim,
			.views = part->views,
			.raw = part->raw,
			.through = part->through != NULL,
			.found = part->found,
			.rows = part->rows,
			.rows_bytes = part->keys.batch.count * part->stride,
			.scales = part->scales,
		};
	}
	const struct served_fetch record = {
		.time_ms = fetch->now_ms,
		.release = fetch->release->id.text,
		.sequence = fetch->visible,
		.client = fetch->call->client,
		.parts = parts,
		.part_count = fetch->count,
	};
	served_add(served, &record);
}

enum status fetch_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", fetch_names, &call->error);
	struct name release;
	params_name(&params, "release", PARAM_OPTIONAL, &release);
	struct wire_value parts = params_array(&params, "parts");
	size_t count = wire_size(parts);
	if (params.status == STATUS_OK && (count == 0 || count > LIMIT_PARTS)) {
		params_fail(&params, count == 0 ? STATUS_BAD_REQUEST : STATUS_TOO_LARGE, "parts",
			"%zu given, 1..%u allowed", count, LIMIT_PARTS);
	}
	if (params.status != STATUS_OK) {
		return params.status;
	}

	struct fetch fetch;
	fetch.call = call;
	fetch.count = 0;
	fetch.now_ms = clock_unix_ms();
	memset(fetch.counts, 0, sizeof fetch.counts);
	size_t start = call->out->len;
	fetch.snapshot = call_snapshot(call, &params);
	if (fetch.snapshot == NULL) {
		return STATUS_NO_MEMORY;
	}
	fetch.visible = store_visible(call->service->store);
	enum status status = fetch_in_snapshot(&fetch, &release, parts);
	if (status == STATUS_OK) {
		count_fetch(&fetch, call->out->len - start); /* the tables are of the snapshot */
		if (call->service->served != NULL) {
			log_fetch(&fetch);
		}
	}
	snapshot_end(call->service->store);
	for (size_t i = 0; i < fetch.count; i++) {
		given_keys_fini(&fetch.parts[i].keys);
		through_free(fetch.parts[i].through);
	}
	if (status != STATUS_OK) {
		wire_writer_rewind(call->out, start);
	}
	return status;
}
