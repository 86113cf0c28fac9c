/* model.c - random writes, what they do to plain arrays, and what a store answers of them. */
#include "tests/unit/store/model.h"

#include "daemon/store/read/lookup.h"
#include "daemon/store/read/rows.h"
#include "daemon/store/state/reader.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t model_below(struct model *model, uint32_t bound)
{
	return (uint32_t)(plain_random(&model->random) % bound);
}

const char *model_release_name(unsigned release)
{
	static const char *const names[MODEL_RELEASES] = {"m0", "m1", "m2", "m3"};
	assert_true(release < MODEL_RELEASES);
	return names[release];
}

void model_init(struct model *model, model_spec_fn *spec_of)
{
	assert_true(model->tables <= MODEL_TABLES);
	assert_true(model->keys <= MODEL_KEYS);
	assert_true(model->pool <= model->keys);
	for (unsigned table = 0; table < model->tables; table++) {
		const struct table_spec spec = spec_of(table);
		plain_make(&model->plain[table], &spec, model->keys);
	}
}

void model_fini(struct model *model)
{
	for (unsigned table = 0; table < model->tables; table++) {
		plain_fini(&model->plain[table]);
	}
}

/* ---- batches ---- */

void model_make_batch(struct model *model, unsigned release, unsigned table,
	struct model_batch *batch)
{
	*batch = (struct model_batch){.rows = {.release = release, .table = table}};
	struct model_rows *rows = &batch->rows;
	rows->count = 1 + model_below(model, MODEL_BATCH_MAX);
	const struct plain *plain = &model->plain[table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	batch->data = malloc(rows->count * row_bytes);
	assert_non_null(batch->data);
	for (uint32_t i = 0; i < rows->count; i++) {
		rows->keys[i] = model_below(model, model->keys);
		rows->pool[i] = model_below(model, model->pool);
		rows->times[i] = SCRATCH_NOW_MS - model_below(model, 1000);
		rows->tags[i] = plain_random(&model->random);
		batch->scales[i] = plain->scales[rows->pool[i]];
		memcpy(batch->data + i * row_bytes, plain->rows + rows->pool[i] * row_bytes,
			row_bytes);
	}
	plain_batch(plain, rows->keys, rows->count, &batch->packed);
	model->operations += rows->count;
}

struct row_batch model_row_batch(const struct model *model, const struct model_batch *batch)
{
	const struct table_spec *spec = &model->plain[batch->rows.table].spec;
	return (struct row_batch){
		.keys = batch->packed,
		.dtype = spec->dtype,
		.rows = batch->data,
		.rows_bytes = batch->packed.count * spec_row_bytes(spec),
		.scales = spec->dtype == DTYPE_I8 ? (const uint8_t *)batch->scales : NULL,
		.times = (const uint8_t *)batch->rows.times,
		.tags = spec->tags ? (const uint8_t *)batch->rows.tags : NULL,
	};
}

void model_free_batch(struct model_batch *batch)
{
	free((void *)batch->packed.packed);
	free((void *)batch->packed.at);
	free(batch->data);
}

/* ---- writes ---- */

void model_make_write(struct model *model, unsigned release, struct model_write *write)
{
	write->count = 1 + model_below(model, MODEL_PARTS_MAX);
	for (size_t i = 0; i < write->count; i++) {
		const unsigned table = model_below(model, model->tables);
		model_make_batch(model, release, table, &write->batches[i]);
		write->parts[i] = (struct table_write){
			.table = model->plain[table].spec.name.text,
			.batch = model_row_batch(model, &write->batches[i]),
		};
	}
	write->row_write = (struct row_write){
		.release = model_release_name(release),
		.parts = write->parts,
		.part_count = write->count,
		.if_newer = model_below(model, 3) == 0,
		.now_ms = SCRATCH_NOW_MS,
	};
}

void model_free_write(struct model_write *write)
{
	for (size_t i = 0; i < write->count; i++) {
		model_free_batch(&write->batches[i]);
	}
}

uint64_t model_put(struct model *model, const struct model_rows *rows, bool if_newer)
{
	uint64_t applied = 0;
	for (uint32_t i = 0; i < rows->count; i++) {
		struct model_cell *cell =
			&model->cells->at[rows->release][rows->table][rows->keys[i]];
		if (if_newer && cell->there && rows->times[i] <= cell->time_ms) {
			continue;
		}
		applied++;
		*cell = (struct model_cell){true, rows->pool[i], rows->times[i],
			model->plain[rows->table].spec.tags ? rows->tags[i] : 0};
	}
	return applied;
}

uint64_t model_delete(struct model *model, const struct model_rows *rows)
{
	uint64_t deleted = 0;
	for (uint32_t i = 0; i < rows->count; i++) {
		struct model_cell *cell =
			&model->cells->at[rows->release][rows->table][rows->keys[i]];
		deleted += cell->there;
		cell->there = false;
	}
	return deleted;
}

/* ---- answers ---- */

const struct table *model_begin(struct model *model, unsigned release, unsigned table)
{
	struct error err = {0};
	const struct release *of;
	const struct table *found;
	const struct snapshot *snapshot = snapshot_begin(model->scratch->store);
	scratch_must(snapshot_release(snapshot, model_release_name(release), &of, &err), &err);
	scratch_must(release_table(of, model->plain[table].spec.name.text, &found, &err), &err);
	return found;
}

static void expect_row(const struct model *model, unsigned table, const struct model_cell *cell,
	const uint8_t *row, const uint8_t *scale)
{
	const struct plain *plain = &model->plain[table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	assert_memory_equal(row, plain->rows + cell->pool * row_bytes, row_bytes);
	if (plain->spec.dtype == DTYPE_I8) {
		assert_memory_equal(scale, &plain->scales[cell->pool], sizeof(float));
	}
}

void model_fetch(struct model *model, unsigned release)
{
	struct model_batch batch;
	struct error err = {0};
	model_make_batch(model, release, model_below(model, model->tables), &batch);
	struct model_rows *rows = &batch.rows;
	const struct table_spec *spec = &model->plain[rows->table].spec;
	const size_t row_bytes = spec_row_bytes(spec);
	uint8_t why[MODEL_BATCH_MAX];
	uint8_t found[MODEL_BATCH_MAX / 8];
	struct lookup lookup = {
		.table = model_begin(model, release, rows->table),
		.keys = batch.packed,
		.dtype = spec->dtype,
		.visible = store_visible(model->scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = batch.data,
		.found = found,
		.scales = spec->dtype == DTYPE_I8 ? (uint8_t *)batch.scales : NULL,
		.times = (uint8_t *)rows->times,
		.tags = spec->tags ? (uint8_t *)rows->tags : NULL,
		.why = why,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	snapshot_end(model->scratch->store);
	for (uint32_t i = 0; i < rows->count; i++) {
		const struct model_cell *cell =
			&model->cells->at[release][rows->table][rows->keys[i]];
		assert_int_equal(why[i], cell->there ? WHY_FOUND : WHY_ABSENT);
		if (cell->there) {
			expect_row(model, rows->table, cell, batch.data + i * row_bytes,
				(const uint8_t *)&batch.scales[i]);
			assert_int_equal(rows->times[i], cell->time_ms);
			assert_true(!spec->tags || rows->tags[i] == cell->tags);
		}
	}
	model_free_batch(&batch);
}

/* The number of a key that a scan has brought. */
static uint32_t number_of(const struct plain *plain, const uint8_t *key, size_t len)
{
	for (uint32_t i = 0; i < plain->count; i++) {
		const uint8_t *known = plain->packed + plain->at[i];
		const bool same = plain->spec.key_type == KEY_U64
					  ? memcmp(known, key, 8) == 0
					  : known[0] == len && memcmp(known + 1, key, len) == 0;
		if (same) {
			return i;
		}
	}
	fail_msg("a key that was never written");
	return 0;
}

static void expect_scanned(struct model *model, unsigned release, unsigned table,
	const struct scan *scan, bool *seen)
{
	const struct plain *plain = &model->plain[table];
	const size_t row_bytes = spec_row_bytes(&plain->spec);
	const uint8_t *key = scan->keys;
	for (uint32_t i = 0; i < scan->count; i++) {
		size_t len = 8;
		if (plain->spec.key_type == KEY_BYTES) {
			len = *key++;
		}
		const uint32_t number = number_of(plain, key, len);
		key += len;
		const struct model_cell *cell = &model->cells->at[release][table][number];
		assert_true(cell->there);
		assert_false(seen[number]);
		seen[number] = true;
		expect_row(model, table, cell, scan->rows + i * row_bytes,
			scan->scales == NULL ? NULL : scan->scales + (size_t)i * 4);
		assert_memory_equal(scan->times + (size_t)i * 8, &cell->time_ms, 8);
	}
}

void model_scan(struct model *model, unsigned release, unsigned table)
{
	bool seen[MODEL_KEYS] = {false};
	struct scan scan = {.limit = 1 + model_below(model, 200), .bytes_max = 1 << 20};
	do {
		struct error err = {0};
		scan.table = model_begin(model, release, table);
		scan.visible = store_visible(model->scratch->store);
		scan.dtype = scan.table->spec.dtype;
		scan.now_ms = SCRATCH_NOW_MS;
		scratch_must(table_scan(&scan, &err), &err);
		expect_scanned(model, release, table, &scan, seen);
		model->operations += scan.count;
		snapshot_end(model->scratch->store);
		scan_fini(&scan);
	} while (scan.more);
	for (uint32_t i = 0; i < model->keys; i++) {
		assert_int_equal(seen[i], model->cells->at[release][table][i].there);
	}
}

void model_walk(struct model *model, unsigned release, unsigned table)
{
	const struct model_cell *cells = model->cells->at[release][table];
	bool seen[MODEL_KEYS] = {false};
	struct rows rows;
	const struct table *walked = model_begin(model, release, table);
	assert_int_equal(rows_begin(&rows, walked, store_visible(model->scratch->store),
				 1 + model_below(model, 50)),
		STATUS_OK);
	do {
		assert_int_equal(rows_next(&rows), STATUS_OK);
		for (uint32_t i = 0; i < rows.block.count; i++) {
			struct frame_row row;
			const uint64_t id = row_block_id(&rows.block, i);
			assert_int_equal(rows_get(&rows, id, &row), STATUS_OK);
			if (rows_is_superseded(&rows, id, row.key, row.key_len)) {
				continue;
			}
			const uint32_t key = number_of(&model->plain[table], row.key, row.key_len);
			assert_true(cells[key].there);
			assert_false(seen[key]);
			seen[key] = true;
			expect_row(model, table, &cells[key], row.data,
				(const uint8_t *)&row.scale);
		}
		model->operations += rows.block.count;
	} while (rows.block.count > 0);
	rows_end(&rows);
	snapshot_end(model->scratch->store);
	for (uint32_t i = 0; i < model->keys; i++) {
		assert_int_equal(seen[i], cells[i].there);
	}
}
