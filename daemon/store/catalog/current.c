/* current.c - writes and reads DATA/current. */
#include "daemon/store/catalog/current.h"

#include "daemon/store/catalog/catalog_add.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/table_index.h"
#include "daemon/store/system/bytes.h"
#include "daemon/store/system/file.h"
#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char current_magic[8] = {'r', 'e', 'p', 's', 't', 'c', 'u', 'r'};

enum {
	HEAD_BYTES = 24,
	HASH_BYTES = 8,
	/* Version 4 had no readable_from, and the bytes of the body in its place. */
	SHORT_VERSION = 4,
	SHORT_HEAD_BYTES = 16,
};

static_assert(CURRENT_OLDEST == (int)SHORT_VERSION, "or nobody needs the short head");

/* The names of those that files of the base have, of use or not: one may fail at any moment. The admin lock is held, so the table
 * keeps them. */
static void write_indexes(struct wire_writer *writer, const struct table *table)
{
	const struct level *base = table->levels[0];
	const struct indexes *indexes = atomic_load(&table->index);
	const size_t files = indexes == NULL ? 0 : indexes->count;
	size_t count = 0;
	assert(files == 0 || files == base->file_count);
	for (size_t i = 0; i < files; i++) {
		count += indexes->of[i] != NULL;
	}
	wire_write_array(writer, count);
	for (size_t i = 0; i < files; i++) {
		char name[64];
		if (indexes->of[i] != NULL) {
			table_index_file_name(name, sizeof name, table, base->files[i].number);
			wire_write_str(writer, name);
		}
	}
}

static void write_table(struct wire_writer *writer, const struct table *table, bool indexes)
{
	const bool has_index = indexes && table_has_index(table);
	wire_write_map(writer, has_index ? 3 : 2);
	wire_write_str(writer, "table");
	record_write_table(writer, table);
	wire_write_str(writer, "files");
	const size_t files = table_file_count(table);
	wire_write_array(writer, files);
	for (size_t i = 0; i < files; i++) {
		record_write_file(writer, table_file(table, i));
	}
	if (has_index) {
		wire_write_str(writer, "indexes");
		write_indexes(writer, table);
	}
}

static void write_body(struct wire_writer *writer, const struct snapshot *snapshot, bool indexes)
{
	wire_write_map(writer, 2);
	wire_write_str(writer, "state");
	record_write_state(writer, snapshot);
	wire_write_str(writer, "releases");
	wire_write_array(writer, snapshot->release_count);
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		wire_write_map(writer, 3);
		wire_write_str(writer, "release");
		record_write_release(writer, release);
		wire_write_str(writer, "tables");
		wire_write_array(writer, release->table_count);
		for (size_t j = 0; j < release->table_count; j++) {
			write_table(writer, release->tables[j], indexes);
		}
		wire_write_str(writer, "tensors");
		wire_write_array(writer, release->tensor_count);
		for (size_t j = 0; j < release->tensor_count; j++) {
			record_write_tensor(writer, release->tensors[j]);
		}
	}
}

enum status current_write(const char *folder, const struct snapshot *snapshot, bool indexes,
	struct error *err)
{
	struct wire_writer writer = {0};
	uint8_t head[HEAD_BYTES] = {0};
	wire_write_raw(&writer, head, sizeof head);
	write_body(&writer, snapshot, indexes);
	uint64_t hash = 0;
	if (writer.status == STATUS_OK) {
		assert(writer.len > HEAD_BYTES);
		assert(writer.len - HEAD_BYTES <= UINT32_MAX); /* the writer's limit is far below */
		memcpy(writer.data, current_magic, sizeof current_magic);
		bytes_put_u32(writer.data + 8, CURRENT_VERSION);
		bytes_put_u32(writer.data + 12, CURRENT_READABLE_FROM);
		bytes_put_u32(writer.data + 16, (uint32_t)(writer.len - HEAD_BYTES));
		hash = XXH3_64bits(writer.data, writer.len);
	}
	wire_write_raw(&writer, &hash, sizeof hash);
	enum status status = writer.status;
	if (status != STATUS_OK) {
		error_set(err, status, "current: %s", status_name(status));
	} else {
		status = file_replace(folder, "current", writer.data, writer.len, err);
	}
	wire_writer_fini(&writer);
	return status;
}

/* Checks all of the file but what the body says. *body: where it begins. */
static enum status check(const uint8_t *data, size_t len, size_t *body, struct error *err)
{
	if (len < SHORT_HEAD_BYTES + HASH_BYTES || memcmp(data, current_magic, 8) != 0) {
		return error_set(err, STATUS_CORRUPT, "current: not a file of repstore");
	}
	const uint32_t version = bytes_get_u32(data + 8);
	const bool is_short = version == SHORT_VERSION;
	const uint32_t readable_from = is_short ? version : bytes_get_u32(data + 12);
	if (version < CURRENT_OLDEST || readable_from > CURRENT_VERSION) {
		return error_set(err, STATUS_UNSUPPORTED,
			"current: format version %" PRIu32 ", for readers of %" PRIu32
			" or newer; this build knows %d to %d",
			version, readable_from, CURRENT_OLDEST, CURRENT_VERSION);
	}
	const size_t head_bytes = is_short ? SHORT_HEAD_BYTES : HEAD_BYTES;
	const uint32_t bytes = bytes_get_u32(data + (is_short ? 12 : 16));
	if (len < head_bytes + HASH_BYTES || bytes != len - head_bytes - HASH_BYTES ||
		bytes_get_u64(data + len - HASH_BYTES) != XXH3_64bits(data, len - HASH_BYTES)) {
		return error_set(err, STATUS_CORRUPT, "current: its checksum does not fit");
	}
	*body = head_bytes;
	return STATUS_OK;
}

/* Opens the body of a file that was checked. */
static enum status open_body(const uint8_t *data, size_t len, struct wire_message **out,
	struct error *err)
{
	size_t body = 0;
	enum status status = check(data, len, &body, err);
	struct wire_skim skim = {0};
	if (status != STATUS_OK) {
		return status;
	}
	status = wire_skim(&skim, data + body, len - body - HASH_BYTES);
	status = status == STATUS_OK ? wire_open(data + body, skim.at, out) : STATUS_CORRUPT;
	if (status != STATUS_OK) {
		status = status == STATUS_NO_MEMORY ? status : STATUS_CORRUPT;
		error_set(err, status, "current: its body cannot be read");
	}
	return status;
}

enum status current_read_sequence(const char *folder, uint64_t *sequence, struct error *err)
{
	char path[PATH_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	struct wire_message *message = NULL;
	enum status status = file_path(path, folder, "current", err);
	if (status == STATUS_OK) {
		status = file_read_all(path, LIMIT_MESSAGE_BYTES, &data, &len, err);
	}
	if (status == STATUS_OK) {
		status = open_body(data, len, &message, err);
	}
	if (status == STATUS_OK &&
		!wire_uint(wire_get(wire_get(wire_root(message), "state"), "sequence"), sequence)) {
		status = error_set(err, STATUS_CORRUPT, "current: its body cannot be read");
	}
	wire_close(message);
	free(data);
	return status;
}

/* ---- all of it ---- */

static enum status read_table(struct wire_value value, struct release *release)
{
	struct table *table = NULL;
	const struct wire_value files = wire_get(value, "files");
	enum status status = wire_type(files) != WIRE_ARRAY
				     ? STATUS_CORRUPT
				     : record_read_table(wire_get(value, "table"), &table);
	for (size_t i = 0; status == STATUS_OK && i < wire_size(files); i++) {
		struct base_file_info info;
		status = record_read_file(wire_item(files, i), &info);
		status = status == STATUS_OK ? table_add_file(table, &info) : status;
	}
	if (status != STATUS_OK) {
		table_drop(table);
		return status;
	}
	return release_put(release, table);
}

static enum status read_parts(struct wire_value value, struct release *release)
{
	const struct wire_value tables = wire_get(value, "tables");
	const struct wire_value tensors = wire_get(value, "tensors");
	enum status status = record_read_release(wire_get(value, "release"), release);
	if (status == STATUS_OK &&
		(wire_type(tables) != WIRE_ARRAY || wire_type(tensors) != WIRE_ARRAY)) {
		status = STATUS_CORRUPT;
	}
	for (size_t i = 0; status == STATUS_OK && i < wire_size(tables); i++) {
		status = read_table(wire_item(tables, i), release);
	}
	for (size_t i = 0; status == STATUS_OK && i < wire_size(tensors); i++) {
		struct tensor *tensor = NULL;
		status = record_read_tensor(wire_item(tensors, i), &tensor);
		status = status == STATUS_OK ? release_put_tensor(release, tensor) : status;
	}
	return status;
}

static enum status read_body(struct wire_value body, struct snapshot *snapshot)
{
	struct record_state state = {0};
	const struct wire_value releases = wire_get(body, "releases");
	enum status status = wire_type(releases) != WIRE_ARRAY
				     ? STATUS_CORRUPT
				     : record_read_state(wire_get(body, "state"), snapshot, &state);
	for (size_t i = 0; status == STATUS_OK && i < wire_size(releases); i++) {
		struct release *release = release_copy(NULL);
		status = release == NULL ? STATUS_NO_MEMORY
					 : read_parts(wire_item(releases, i), release);
		if (status != STATUS_OK) {
			release_drop(release);
			return status;
		}
		status = snapshot_put(snapshot, release);
	}
	if (status == STATUS_OK && state.records != record_count(snapshot)) {
		status = STATUS_CORRUPT; /* two had one name, or one number */
	}
	if (status == STATUS_OK && state.live != 0) {
		snapshot->live = snapshot_find(snapshot, state.live);
		status = snapshot->live == NULL ? STATUS_CORRUPT : status;
	}
	return status == STATUS_OK ? catalog_check_rows(snapshot) : status;
}

enum status current_parse(const uint8_t *data, size_t len, struct snapshot **out, struct error *err)
{
	const struct snapshot empty = {.next_release = 1};
	struct wire_message *message = NULL;
	enum status status = open_body(data, len, &message, err);
	if (status != STATUS_OK) {
		return status;
	}
	struct snapshot *snapshot = snapshot_copy(&empty);
	status = snapshot == NULL ? STATUS_NO_MEMORY : read_body(wire_root(message), snapshot);
	wire_close(message);
	if (status != STATUS_OK) {
		snapshot_drop(snapshot);
		return error_set(err, status, "current: a record cannot be read");
	}
	*out = snapshot;
	return STATUS_OK;
}
