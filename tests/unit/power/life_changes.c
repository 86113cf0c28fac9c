/* life_changes.c - makes random changes of the catalog; each is known to be under way before it begins. */
#include "tests/unit/power/life_changes.h"

#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/seal/seal_release.h"
#include "tests/unit/store/observe_fixture.h"
#include "tests/unit/store/tensor_fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Begins a change; returns the catalog as it will be, to be changed before `go`. */
static struct life_catalog *plan(struct life *life)
{
	struct life_world *world = life->world;
	struct life_catalog *next = &world->catalogs[1 - world->catalog / 2];
	assert_int_equal(world->catalog % 2, 0);
	*next = *life_now(world);
	world->has_chunk = false;
	return next;
}

/* From here on the change may be made. */
static void go(struct life *life, enum life_doing doing)
{
	life->world->doing = doing;
	life->world->catalog++;
}

/* Its call has returned. A full disk changes nothing; after other errors only a start can tell. */
static void done(struct life *life, enum status status, const struct error *err)
{
	if (life_accepts(life, status, err)) {
		life_change_end(life, true);
		life->world->done[life->world->doing]++;
	} else if (status == STATUS_DISK_FULL) {
		life_change_end(life, false);
	} else {
		life->is_over = true;
	}
}

static struct name name_of(const char *text)
{
	struct name name = {0};
	(void)snprintf(name.text, sizeof name.text, "%s", text);
	return name;
}

/* ---- releases ---- */

static void create(struct life *life, const char *id, struct life_release *next)
{
	struct error err = {0};
	uint64_t number;
	const struct name name = name_of(id);
	const struct release_labels labels = {0};
	*next = (struct life_release){.state = LIFE_OPEN};
	go(life, LIFE_CREATE);
	done(life, store_release_create(life->scratch->store, &name, &labels, &number, &err), &err);
}

static void create_table(struct life *life, const char *id, const struct table_spec *spec,
	struct life_release *next)
{
	struct error err = {0};
	next->tables++;
	go(life, LIFE_CREATE);
	done(life, store_table_create(life->scratch->store, id, spec, NULL, &err), &err);
}

static void seal(struct life *life, const char *id, struct life_release *next)
{
	struct error err = {0};
	struct seal_result result;
	next->state = LIFE_SEALED;
	go(life, LIFE_SEAL);
	done(life, store_seal(life->scratch->store, id, NULL, &result, &err), &err);
}

static void publish(struct life *life, unsigned release)
{
	struct error err = {0};
	struct name previous;
	struct life_catalog *next = plan(life);
	if (next->live == (int)release || next->history_count == LIFE_HISTORY_MAX) {
		return;
	}
	if (next->live >= 0) {
		next->history[next->history_count++] = next->live;
	}
	next->live = (int)release;
	go(life, LIFE_PUBLISH);
	done(life,
		store_release_publish(life->scratch->store, model_release_name(release), NULL,
			&previous, &err),
		&err);
}

static void roll_back(struct life *life)
{
	struct error err = {0};
	struct name now;
	struct name previous;
	struct life_catalog *next = plan(life);
	if (next->history_count == 0) {
		return;
	}
	next->live = next->history[--next->history_count];
	go(life, LIFE_ROLL_BACK);
	done(life, store_release_rollback(life->scratch->store, NULL, &now, &previous, &err), &err);
}

static void drop(struct life *life, unsigned release)
{
	struct error err = {0};
	struct life_catalog *next = plan(life);
	unsigned kept = 0;
	/* Writes that are not known to be on the disk are not forgotten yet. */
	if (next->live == (int)release || life->world->queue_first < life->world->queue_end) {
		return;
	}
	for (unsigned i = 0; i < next->history_count; i++) {
		const int at = next->history[i];
		if (at != (int)release && (kept == 0 || next->history[kept - 1] != at)) {
			next->history[kept++] = at;
		}
	}
	next->history_count = kept > 0 && next->history[kept - 1] == next->live ? kept - 1 : kept;
	next->releases[release] = (struct life_release){0};
	go(life, LIFE_DROP);
	done(life, store_release_drop(life->scratch->store, model_release_name(release), &err),
		&err);
}

/* ---- loads ---- */

static struct load_chunk chunk_of(struct life *life, unsigned release, unsigned table)
{
	const struct life_release *now = &life_now(life->world)->releases[release];
	return (struct load_chunk){
		.release = model_release_name(release),
		.table = life->model.plain[table].spec.name.text,
		.load = {"l"},
		.chunk = now->chunks[table],
		.now_ms = SCRATCH_NOW_MS,
	};
}

static void load(struct life *life, unsigned release, unsigned table)
{
	struct error err = {0};
	struct model_batch batch;
	struct load_progress progress;
	struct life_release *next = &plan(life)->releases[release];
	struct load_chunk chunk = chunk_of(life, release, table);
	model_make_batch(&life->model, release, table, &batch);
	chunk.batch = model_row_batch(&life->model, &batch);
	life->world->chunk = batch.rows;
	life->world->has_chunk = true;
	next->chunks[table]++;
	next->rows[table] += batch.rows.count;
	go(life, LIFE_LOAD);
	enum status status = store_load_chunk(life->scratch->store, &chunk, &progress, &err);
	if (status == STATUS_OK) {
		status = store_load_sync(life->scratch->store, &err);
	}
	done(life, status, &err);
	model_free_batch(&batch);
}

static void end_load(struct life *life, unsigned release, unsigned table)
{
	struct error err = {0};
	/* When it fails, or is cut, the load may be known as whole to its file alone: then it takes no chunk
	 * any more, and has to be ended again. */
	life_now(life->world)->releases[release].is_whole[table] = true;
	struct life_release *next = &plan(life)->releases[release];
	const struct load_chunk which = chunk_of(life, release, table);
	next->ended[table] = true;
	go(life, LIFE_LOAD);
	done(life,
		store_load_end(life->scratch->store, &which, next->chunks[table], next->rows[table],
			&err),
		&err);
}

/* A chunk more, an end of a load, or the seal. */
static void load_or_seal(struct life *life, unsigned release)
{
	const struct life_release *now = &life_now(life->world)->releases[release];
	const unsigned table = model_below(&life->model, LIFE_TABLES);
	const uint32_t what = model_below(&life->model, 3);
	if (!now->is_whole[table] && what > 0) {
		load(life, release, table);
		return;
	}
	for (unsigned i = 0; i < LIFE_TABLES; i++) {
		if (now->chunks[i] > 0 && !now->ended[i]) {
			end_load(life, release, i);
			return;
		}
	}
	seal(life, model_release_name(release), &plan(life)->releases[release]);
}

/* ---- tensors ---- */

static void put_tensor(struct life *life, unsigned release)
{
	struct error err = {0};
	struct life_release *next = &plan(life)->releases[release];
	next->tensor = next->tensor % 1000 + 1;
	go(life, LIFE_TENSOR);
	done(life,
		tensor_fixture_try_put(life->scratch, model_release_name(release), "w",
			next->tensor, &err),
		&err);
}

static void delete_tensor(struct life *life, unsigned release)
{
	struct error err = {0};
	struct name resolved;
	struct life_release *next = &plan(life)->releases[release];
	if (next->tensor == 0) {
		return;
	}
	next->tensor = 0;
	go(life, LIFE_TENSOR);
	done(life,
		store_tensor_delete(life->scratch->store, model_release_name(release), "w",
			&resolved, &err),
		&err);
}

/* ---- which ---- */

/* The next step of the release that takes samples. */
static void go_on_with_samples(struct life *life)
{
	struct life_release *next = &plan(life)->samples;
	if (next->state == LIFE_NONE) {
		create(life, "r1", next);
	} else if (next->tables < LIFE_SAMPLES_TABLES) {
		const struct table_spec spec =
			next->tables == 2
				? samples_history_spec()
				: samples_spec(next->tables == 0 ? ENTITY_USER : ENTITY_ITEM);
		create_table(life, "r1", &spec, next);
	} else {
		seal(life, "r1", next);
	}
}

static void change_release(struct life *life, unsigned release)
{
	struct life_release *next = &plan(life)->releases[release];
	const uint32_t what = model_below(&life->model, 16);
	if (next->state == LIFE_NONE) {
		create(life, model_release_name(release), next);
	} else if (next->tables < LIFE_TABLES) {
		create_table(life, model_release_name(release),
			&life->model.plain[next->tables].spec, next);
	} else if (what < 3) {
		put_tensor(life, release);
	} else if (what == 3) {
		delete_tensor(life, release);
	} else if (what == 4) {
		drop(life, release);
	} else if (next->state == LIFE_OPEN) {
		load_or_seal(life, release);
	} else if (what < 12) {
		publish(life, release);
	} else {
		roll_back(life);
	}
}

void life_change(struct life *life)
{
	const unsigned release = model_below(&life->model, MODEL_RELEASES);
	if (life_now(life->world)->samples.state != LIFE_SEALED && release % 2 == 0) {
		go_on_with_samples(life);
	} else {
		/* Two releases get most of the changes, so that they soon have rows. */
		change_release(life, model_below(&life->model, 4) == 0 ? release : release % 2);
	}
}
