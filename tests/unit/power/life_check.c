/* life_check.c - holds a store that was opened against what is known of it. */
#include "tests/unit/power/life.h"

#include "daemon/store/load/load.h"
#include "daemon/store/observe/sources.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/snapshot/snapshot.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"
#include "tests/unit/store/observe_fixture.h"
#include "tests/unit/store/tensor_fixture.h"
#include "tests/unit/wait.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4096 };

/* A text that grows. */
struct text {
	size_t len;
	char bytes[TEXT_BYTES];
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	const int len =
		vsnprintf(text->bytes + text->len, TEXT_BYTES - text->len, format, arguments);
	va_end(arguments);
	assert_true(len >= 0);
	text->len += (size_t)len;
	assert_true(text->len < TEXT_BYTES);
}

/* ---- what is known ---- */

struct life_catalog *life_now(struct life_world *world)
{
	return &world->catalogs[world->catalog / 2];
}

void life_change_end(struct life *life, bool was_made)
{
	struct life_world *world = life->world;
	const unsigned now = world->catalog / 2;
	if (was_made) {
		const struct life_catalog *next = &world->catalogs[1 - now];
		for (unsigned i = 0; i < MODEL_RELEASES; i++) {
			if (next->releases[i].state == LIFE_NONE) {
				memset(world->cells.at[i], 0, sizeof world->cells.at[i]);
			}
		}
		if (world->has_chunk) {
			(void)model_put(&life->model, &world->chunk, false);
		}
	}
	world->catalog = (was_made ? 1 - now : now) * 2;
}

void life_write_made(struct life *life)
{
	struct life_world *world = life->world;
	const struct life_write *write = &world->queue[world->queue_first];
	assert_true(world->queue_first < world->queue_end);
	/* The child may end in between: then all of it is done again, to the same effect. */
	for (size_t i = 0; i < write->count; i++) {
		if (write->kind == LIFE_PUT) {
			(void)model_put(&life->model, &write->parts[i], write->if_newer);
		} else {
			(void)model_delete(&life->model, &write->parts[i]);
		}
	}
	if (write->kind == LIFE_OBSERVE) {
		world->samples = write->samples;
	}
	world->sequence = write->sequence;
	world->queue_first++;
}

static void tell_release(struct text *text, const char *name, const struct life_release *release)
{
	if (release->state == LIFE_NONE) {
		return;
	}
	add(text, "%s: %s, %u tables", name, release->state == LIFE_OPEN ? "open" : "sealed",
		release->tables);
	for (unsigned i = 0; release->state == LIFE_OPEN && i < LIFE_TABLES; i++) {
		if (release->chunks[i] > 0) {
			add(text, ", t%u %u/%u%s", i, release->chunks[i], release->rows[i],
				release->ended[i] ? " ended" : "");
		}
	}
	add(text, ", tensor %u\n", release->tensor);
}

static void tell_catalog(struct text *text, const struct life_catalog *catalog)
{
	for (unsigned i = 0; i < MODEL_RELEASES; i++) {
		tell_release(text, model_release_name(i), &catalog->releases[i]);
	}
	tell_release(text, "r1", &catalog->samples);
	add(text, "live: %s\nhistory:",
		catalog->live < 0 ? "none" : model_release_name((unsigned)catalog->live));
	for (unsigned i = 0; i < catalog->history_count; i++) {
		add(text, " %s", model_release_name((unsigned)catalog->history[i]));
	}
}

/* ---- what there is ---- */

static void find_loads(struct life *life, const char *name, struct life_release *out)
{
	struct error err = {0};
	struct load_state *loads = NULL;
	size_t count = 0;
	scratch_must(store_loads(life->scratch->store, name, &loads, &count, &err), &err);
	for (size_t i = 0; i < count; i++) {
		const unsigned table = (unsigned)(loads[i].table.text[1] - '0');
		assert_true(table < LIFE_TABLES);
		out->chunks[table] = (uint32_t)loads[i].progress.next_chunk;
		out->rows[table] = (uint32_t)loads[i].progress.rows;
		out->ended[table] = loads[i].ended;
	}
	free(loads);
}

static void find_release(struct life *life, const char *name, struct life_release *out)
{
	const struct release *release;
	const struct snapshot *snapshot = snapshot_begin(life->scratch->store);
	*out = (struct life_release){0};
	if (snapshot_release(snapshot, name, &release, NULL) == STATUS_OK) {
		out->state = release->state == RELEASE_OPEN ? LIFE_OPEN : LIFE_SEALED;
		out->tables = (unsigned)release->table_count;
	}
	snapshot_end(life->scratch->store);
	if (out->state == LIFE_OPEN) {
		find_loads(life, name, out);
	}
	if (out->state != LIFE_NONE) {
		struct error err = {0};
		const enum status status =
			tensor_fixture_get(life->scratch, name, "w", &out->tensor, &err);
		if (status != STATUS_NOT_FOUND) {
			scratch_must(status, &err);
		}
	}
}

static int number_of(const struct snapshot *snapshot, const struct release *release)
{
	assert_non_null(release);
	assert_non_null(snapshot);
	assert_int_equal(release->id.text[0], 'm');
	return release->id.text[1] - '0';
}

static void find_catalog(struct life *life, struct life_catalog *out)
{
	*out = (struct life_catalog){.live = -1};
	for (unsigned i = 0; i < MODEL_RELEASES; i++) {
		find_release(life, model_release_name(i), &out->releases[i]);
	}
	find_release(life, "r1", &out->samples);
	const struct snapshot *snapshot = snapshot_begin(life->scratch->store);
	if (snapshot->live != NULL) {
		out->live = number_of(snapshot, snapshot->live);
	}
	for (size_t i = 0; i < snapshot->history_count; i++) {
		out->history[out->history_count++] =
			number_of(snapshot, snapshot_find(snapshot, snapshot->history[i]));
	}
	snapshot_end(life->scratch->store);
}

/* ---- comparison ---- */

static void check_catalog(struct life *life)
{
	static struct life_catalog found;
	static struct text texts[3];
	struct life_world *world = life->world;
	memset(texts, 0, sizeof texts);
	find_catalog(life, &found);
	tell_catalog(&texts[0], &found);
	tell_catalog(&texts[1], life_now(world));
	if (world->catalog % 2 != 0) {
		tell_catalog(&texts[2], &world->catalogs[1 - world->catalog / 2]);
		const bool was_made = strcmp(texts[0].bytes, texts[2].bytes) == 0;
		if (!was_made && strcmp(texts[0].bytes, texts[1].bytes) != 0) {
			fail_msg("the store has\n%s\nknown is\n%s\nunder way was\n%s",
				texts[0].bytes, texts[1].bytes, texts[2].bytes);
		}
		life_change_end(life, was_made);
	} else {
		assert_string_equal(texts[0].bytes, texts[1].bytes);
	}
}

static void check_writes(struct life *life)
{
	struct life_world *world = life->world;
	(void)snapshot_begin(life->scratch->store);
	const uint64_t visible = store_visible(life->scratch->store);
	snapshot_end(life->scratch->store);
	if (visible < world->sequence) {
		fail_msg("write %" PRIu64
			 " was acknowledged, the last one that is there is %" PRIu64,
			world->sequence, visible);
	}
	while (world->queue_first < world->queue_end &&
		world->queue[world->queue_first].sequence <= visible) {
		life_write_made(life);
	}
	assert_int_equal(visible, world->sequence);
	world->queue_end = 0;
	world->queue_first = 0;
}

static void check_rows(struct life *life)
{
	enum { FETCHES = 4 };
	const struct life_catalog *now = life_now(life->world);
	for (unsigned i = 0; i < MODEL_RELEASES; i++) {
		if (now->releases[i].state != LIFE_SEALED) {
			continue;
		}
		for (unsigned table = 0; table < LIFE_TABLES; table++) {
			model_scan(&life->model, i, table);
		}
		for (unsigned j = 0; j < FETCHES; j++) {
			model_fetch(&life->model, i);
		}
	}
	if (now->samples.state == LIFE_SEALED) {
		const uint64_t samples = life->world->samples;
		assert_int_equal(samples_next(life->scratch, "s"),
			samples == 0 ? UINT64_MAX : samples);
		samples_expect(life->scratch, 0, samples);
		samples_expect_history(life->scratch, 0, samples);
	}
}

/* ---- files ---- */

/* Files of a release that begin so. */
static size_t count_files(const struct life *life, uint64_t number, const char *prefix)
{
	char folder[PATH_MAX];
	store_release_folder(life->scratch->store, number, folder);
	return scratch_count(folder, prefix);
}

static bool are_all_named(const struct life *life)
{
	char path[PATH_MAX];
	struct store *store = life->scratch->store;
	const struct snapshot *snapshot = snapshot_begin(store);
	bool named = true;
	for (size_t i = 0; i < snapshot->release_count; i++) {
		const struct release *release = snapshot->releases[i];
		size_t bases = 0;
		for (size_t j = 0; j < release->table_count; j++) {
			bases += table_file_count(release->tables[j]);
		}
		named = named && count_files(life, release->number, "base-") == bases &&
			count_files(life, release->number, "tensor-") == release->tensor_count &&
			count_files(life, release->number, "index-") <= bases;
	}
	const size_t count = snapshot->release_count;
	snapshot_end(store);
	scratch_path(life->scratch, path, "releases");
	named = named && scratch_count(path, "") == count;
	scratch_path(life->scratch, path, "");
	return named && scratch_count(path, "catalog") == 1 && scratch_count(path, "current") == 1;
}

/* Waits, since a merge may begin by itself, an index that is there may not stand in `current` yet, and the janitor
 * does not tell of a folder without files that it has still to remove. */
void life_check_files(struct life *life)
{
	struct wait wait = {0};
	while (!are_all_named(life)) {
		wait_a_moment(&wait);
	}
}

void life_check(struct life *life)
{
	check_catalog(life);
	check_writes(life);
	check_rows(life);
}
