/* adopt.c - takes an exported release as one of this store: reads what it is, copies it, names it. */
#include "daemon/store/backup/export.h"

#include "daemon/store/admin/change.h"
#include "daemon/store/backup/adopt_files.h"
#include "daemon/store/backup/manifest.h"
#include "daemon/store/backup/place.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/log/positions.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/state/state.h"
#include "daemon/store/system/file.h"
#include "daemon/store/tensor/tensor.h"
#include "schema/default_row.h"
#include "schema/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- what it is ---- */

static enum status no_release(const char *folder, const char *why, struct error *err)
{
	return error_set(err, STATUS_CORRUPT, "'%s' is no exported release: %s", folder, why);
}

/* Reads `current` once, so that what is checked is what is used. */
static enum status read_current(const char *folder, const struct manifest *manifest,
	struct snapshot **out, struct error *err)
{
	char path[PATH_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	const struct manifest_file *listed = manifest_find(manifest, "current");
	if (listed == NULL) {
		return no_release(folder, "its manifest has no 'current'", err);
	}
	enum status status = file_path(path, folder, "current", err);
	if (status == STATUS_OK) {
		status = file_read_all(path, LIMIT_MESSAGE_BYTES, &data, &len, err);
	}
	if (status == STATUS_OK &&
		(len != listed->bytes || XXH3_64bits(data, len) != listed->sum)) {
		status = no_release(folder, "'current' is not the file that was exported", err);
	}
	if (status == STATUS_OK) {
		status = current_parse(data, len, out, err);
	}
	free(data);
	return status;
}

/* As a model or a checkpoint that release.create takes. */
static bool is_text(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if ((uint8_t)*at < ' ' || *at == 0x7f) {
			return false;
		}
	}
	return utf8_valid_bytes((const uint8_t *)text, strlen(text)) == strlen(text);
}

/* Whether numbers of tables and tensors are below those that come next, and none comes twice. */
static bool has_numbers(const struct release *release)
{
	for (size_t i = 0; i < release->table_count; i++) {
		const uint64_t number = release->tables[i]->number;
		if (number == 0 || number >= release->next_table ||
			release_find(release, number) != release->tables[i]) {
			return false;
		}
	}
	for (size_t i = 0; i < release->tensor_count; i++) {
		const uint64_t number = release->tensors[i]->number;
		bool fits = number != 0 && number < release->next_tensor;
		for (size_t j = 0; fits && j < i; j++) {
			fits = release->tensors[j]->number != number;
		}
		if (!fits) {
			return false;
		}
	}
	return true;
}

/* Checks what a release of this store keeps to, though its record may come from anybody. */
static enum status check_release(const char *folder, const struct snapshot *snapshot,
	struct error *err)
{
	const struct release *release = snapshot->release_count == 1 ? snapshot->releases[0] : NULL;
	if (release == NULL || release->state != RELEASE_SEALED) {
		return no_release(folder, "it has not one sealed release", err);
	}
	if (release->table_count > LIMIT_TABLES || release->tensor_count > LIMIT_TENSORS ||
		positions_count(release->positions) > LIMIT_SOURCES) {
		return error_set(err, STATUS_TOO_LARGE,
			"release: at most %u tables, %u tensors and %u positions are allowed",
			LIMIT_TABLES, LIMIT_TENSORS, LIMIT_SOURCES);
	}
	return has_numbers(release) && is_text(release->model) && is_text(release->checkpoint)
		       ? STATUS_OK
		       : no_release(folder, "its record is damaged", err);
}

static enum status read_folder(const char *folder, struct snapshot **out, struct error *err)
{
	struct manifest manifest;
	enum status status = manifest_read(folder, &manifest, err);
	if (status == STATUS_OK && manifest.kind != MANIFEST_RELEASE) {
		status = error_set(err, STATUS_CONFLICT,
			"dir: '%s' is a backup of a whole store; start a daemon on a copy of it, and "
			"export the release there",
			folder);
	}
	if (status == STATUS_OK) {
		status = read_current(folder, &manifest, out, err);
	}
	manifest_fini(&manifest);
	if (status == STATUS_OK) {
		assert(*out != NULL);
		status = check_release(folder, *out, err);
	}
	return status;
}

/* ---- its name and number ---- */

static size_t default_bytes(const struct release *release)
{
	size_t bytes = 0;
	for (size_t i = 0; i < release->table_count; i++) {
		bytes += default_row_bytes(&release->tables[i]->spec);
	}
	return bytes;
}

static enum status check_free(const struct snapshot *now, const struct release *release,
	struct error *err)
{
	const struct release *taken;
	size_t bytes = default_bytes(release);
	if (snapshot_release(now, release->id.text, &taken, NULL) == STATUS_OK) {
		return error_set(err, STATUS_EXISTS, "release: '%s' exists", release->id.text);
	}
	if (now->release_count >= LIMIT_RELEASES) {
		return error_set(err, STATUS_TOO_LARGE,
			"release: there are %zu, at most %u allowed; drop one first",
			now->release_count, LIMIT_RELEASES);
	}
	for (size_t i = 0; i < now->release_count; i++) {
		bytes += default_bytes(now->releases[i]);
	}
	return bytes <= LIMIT_DEFAULTS_BYTES
		       ? STATUS_OK
		       : error_set(err, STATUS_TOO_LARGE,
				 "default: the rows of all tables would take %zu bytes, at most %u "
				 "allowed; drop a release first",
				 bytes, LIMIT_DEFAULTS_BYTES);
}

/* Gives the release a number, durably: from then on a start removes its folder, unless it is named. */
static enum status take_number(struct store *store, struct release *release, struct error *err)
{
	struct snapshot *next = NULL;
	store_lock_admin(store);
	enum status status = check_free(store_current(store), release, err);
	if (status == STATUS_OK) {
		status = change_begin(store, &next, err);
	}
	if (status == STATUS_OK) {
		release->number = next->next_release++;
		status = change_commit(store, next, (struct catalog_change){0}, NULL, err);
	}
	store_unlock_admin(store);
	return status;
}

/* Names the release in the catalog. Takes it over. */
static enum status name_release(struct store *store, struct release *release, struct error *err)
{
	store_lock_admin(store);
	enum status status = check_free(store_current(store), release, err);
	if (status == STATUS_OK) {
		status = change_release(store, release, NULL, err);
	} else {
		release_drop(release);
	}
	store_unlock_admin(store);
	return status;
}

/* ---- the copy ---- */

/* A release like the given one, without tables and tensors. Its sequences are of another log, so its tables
 * hold nothing of this one yet. */
static struct release *begin_release(const struct release *given, const struct name *id)
{
	struct release *release = release_copy(NULL);
	if (release == NULL) {
		return NULL;
	}
	struct positions *own = release->positions;
	*release = *given;
	positions_drop(own);
	release->positions = positions_share(given->positions);
	positions_settle_all(release->positions);
	release->id = id == NULL ? given->id : *id;
	release->published_ms = 0;
	release->tables = NULL;
	release->table_count = 0;
	release->tensors = NULL;
	release->tensor_count = 0;
	release->refs = 1;
	return release;
}

static enum status check_layers(const struct release *given, struct error *err)
{
	struct release *seen = release_copy(NULL);
	enum status status =
		seen == NULL ? error_set(err, STATUS_NO_MEMORY, "adopt: no memory") : STATUS_OK;
	for (size_t i = 0; status == STATUS_OK && i < given->table_count; i++) {
		struct table *table = given->tables[i];
		status = layer_check_table(seen, &table->spec, err);
		if (status == STATUS_OK) {
			table->refs++;
			const struct key_seed seed = table->seed;
			status = release_put(seen, table);
			table->seed = seed;
		}
	}
	release_drop(seen);
	return status;
}

static struct adopt_result result_of(const struct release *release)
{
	bool exact;
	struct adopt_result result = {
		.id = release->id,
		.number = release->number,
		.tables = release->table_count,
		.rows = release_count_rows(release, &exact),
	};
	for (size_t i = 0; i < release->table_count; i++) {
		result.bytes += release->tables[i]->bytes;
	}
	for (size_t i = 0; i < release->tensor_count; i++) {
		result.bytes += release->tensors[i]->file.bytes;
	}
	return result;
}

/* Writes the files and names the release, which has its number. Takes it over. */
static enum status take_over(struct adoption *adoption, const struct release *given,
	struct release *release, struct adopt_result *out, struct error *err)
{
	struct store *store = adoption->store;
	enum status status = file_remove_folder(adoption->to, err);
	if (status == STATUS_OK) {
		status = file_make_folder(adoption->to, err);
	}
	if (status == STATUS_OK) {
		status = adopt_files(adoption, given, release, err);
	}
	if (status != STATUS_OK) {
		release_drop(release);
		(void)file_remove_folder(adoption->to, NULL);
		return status;
	}
	*out = result_of(release);
	status = name_release(store, release, err);
	if (status != STATUS_OK && status != STATUS_IO) {
		/* Not after an IO error: then the catalog may name them, which only the next start can
		 * tell. */
		(void)file_remove_folder(adoption->to, NULL);
	}
	return status;
}

static enum status adopt(struct store *store, const char *folder, const struct adopt_wish *wish,
	const struct stop *stop, struct adopt_result *out, struct error *err)
{
	char from[PATH_MAX];
	char to[PATH_MAX];
	struct snapshot *snapshot = NULL;
	struct release *release = NULL;
	struct adoption adoption = {.store = store, .from = from, .to = to};
	enum status status = read_folder(folder, &snapshot, err);
	if (status == STATUS_OK) {
		status = check_layers(snapshot->releases[0], err);
	}
	if (status == STATUS_OK) {
		status = pass_begin(&adoption.pass, stop, store->options.write.merge_rate, err);
	}
	if (status == STATUS_OK) {
		release = begin_release(snapshot->releases[0], wish->id);
		status = release == NULL ? error_set(err, STATUS_NO_MEMORY, "adopt: no memory")
					 : take_number(store, release, err);
	}
	if (status == STATUS_OK) {
		/* place_open has left room for it */
		(void)snprintf(from, sizeof from, "%.*s/releases/%" PRIu64, PATH_MAX - 64, folder,
			snapshot->releases[0]->number);
		store_release_folder(store, release->number, to);
		status = take_over(&adoption, snapshot->releases[0], release, out, err);
		release = NULL;
	}
	pass_end(&adoption.pass);
	store_lock_admin(
		store); /* the positions are shared with the release that the store has now */
	release_drop(release);
	snapshot_drop(snapshot);
	store_unlock_admin(store);
	return status;
}

enum status store_adopt(struct store *store, const struct adopt_wish *wish, const struct stop *stop,
	struct adopt_result *out, struct error *err)
{
	const struct stop stops = store_stop_of(store, stop);
	struct place place;
	enum status status = reserve_check(store, RESERVE_LOAD, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = place_open(store, wish->dir, wish->dir_len, PLACE_IS_THERE, &place, err);
	if (status == STATUS_OK) {
		status = adopt(store, place.path, wish, &stops, out, err);
		place_close(&place);
	}
	return status;
}
