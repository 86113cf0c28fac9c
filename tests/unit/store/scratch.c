/* scratch.c - scratch folders, and a store in one that is quickly filled and read. */
#include "tests/unit/store/scratch.h"

#include "daemon/store/base/at_hand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store/admin/admin.h"
#include "daemon/store/load/load.h"
#include "daemon/store/read/lookup.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"

/* ---- fixture ---- */

static void on_event(void *arg, const char *line)
{
	struct scratch *scratch = arg;
	(void)pthread_mutex_lock(&scratch->lock);
	const size_t len = strlen(scratch->events);
	(void)snprintf(scratch->events + len, sizeof scratch->events - len, "%s\n", line);
	(void)pthread_mutex_unlock(&scratch->lock);
	const char *held = atomic_load(&scratch->held);
	for (; held != NULL && strstr(line, held) != NULL; held = atomic_load(&scratch->held)) {
		(void)usleep(1000);
	}
}

int scratch_setup(void **state)
{
	struct scratch *scratch = calloc(1, sizeof *scratch);
	assert_non_null(scratch);
	/* In memory where that can be: hundreds of syncs then cost nothing. */
	(void)snprintf(scratch->folder, sizeof scratch->folder, "%s/repstore_test.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(scratch->folder));
	(void)snprintf(scratch->data, sizeof scratch->data, "%s/data", scratch->folder);
	scratch->catalog_bytes = 16u << 20;
	scratch->sizes.first_look_ms = 1; /* and not when much was done already */
	(void)pthread_mutex_init(&scratch->lock, NULL);
	grace_register();
	*state = scratch;
	return 0;
}

int scratch_setup_quiet(void **state)
{
	(void)scratch_setup(state);
	struct scratch *scratch = *state;
	scratch->sizes.look_ms = (uint64_t)24 * 3600 * 1000;
	scratch->sizes.first_look_ms = scratch->sizes.look_ms;
	return 0;
}

int scratch_setup_store(void **state)
{
	(void)scratch_setup(state);
	scratch_open(*state);
	return 0;
}

int scratch_setup_small(void **state)
{
	(void)scratch_setup(state);
	struct scratch *scratch = *state;
	scratch->sizes = (struct store_sizes){
		.segment_bytes = 16384,
		.file_bytes = 65536,
		.index_rows_min = 500,
		.index_retry_ms = 10,
	};
	return 0;
}

int scratch_setup_small_store(void **state)
{
	(void)scratch_setup_small(state);
	scratch_open(*state);
	return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_teardown(void **state)
{
	struct scratch *scratch = *state;
	scratch_close(scratch);
	grace_unregister();
	(void)pthread_mutex_destroy(&scratch->lock);
	(void)nftw(scratch->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(scratch);
	return 0;
}

const struct key_seed scratch_seed = {{UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344)}};

enum status scratch_try_open(struct scratch *scratch, struct error *err)
{
	const struct store_options options = {
		.folder = scratch->data,
		.backup_folder = scratch->folder,
		.write = scratch->write,
		.sizes = scratch->sizes,
		.load_memory_bytes = 128u << 20,
		.catalog_bytes = scratch->catalog_bytes,
		.seed = scratch_seed,
		.on_event = on_event,
		.on_event_arg = scratch,
	};
	return store_open(&options, &scratch->store, err);
}

void scratch_open(struct scratch *scratch)
{
	struct error err = {0};
	scratch_must(scratch_try_open(scratch, &err), &err);
}

void scratch_close(struct scratch *scratch)
{
	store_close(scratch->store);
	scratch->store = NULL;
}

void scratch_reopen(struct scratch *scratch)
{
	scratch_close(scratch);
	scratch_open(scratch);
}

bool scratch_heard(struct scratch *scratch, const char *text)
{
	(void)pthread_mutex_lock(&scratch->lock);
	const bool heard = strstr(scratch->events, text) != NULL;
	(void)pthread_mutex_unlock(&scratch->lock);
	return heard;
}

void scratch_must(enum status status, const struct error *err)
{
	if (status != STATUS_OK) {
		fail_msg("%s: %s", status_name(status), err->text);
	}
}

/* ---- files ---- */

void scratch_path(const struct scratch *scratch, char out[PATH_MAX], const char *name)
{
	(void)snprintf(out, PATH_MAX, "%s/%s", scratch->data, name);
}

bool scratch_exists(const char *path)
{
	struct stat info;
	return stat(path, &info) == 0;
}

struct scratch_file scratch_read(const char *path)
{
	struct scratch_file file = {0};
	FILE *from = fopen(path, "rbe");
	struct stat info;
	if (from == NULL || fstat(fileno(from), &info) != 0) {
		fail_msg("open '%s': %s", path, strerror(errno));
		return file;
	}
	file.len = (size_t)info.st_size;
	file.data = malloc(file.len + 1);
	assert_non_null(file.data);
	assert_int_equal(fread(file.data, 1, file.len, from), file.len);
	(void)fclose(from);
	return file;
}

void scratch_write(const char *path, const void *data, size_t len)
{
	FILE *to = fopen(path, "wbe");
	if (to == NULL) {
		fail_msg("create '%s': %s", path, strerror(errno));
		return;
	}
	assert_int_equal(fwrite(data, 1, len, to), len);
	assert_int_equal(fclose(to), 0);
}

void scratch_cut(const char *path, size_t len)
{
	assert_int_equal(truncate(path, (off_t)len), 0);
}

void scratch_flip(const char *path, uint64_t offset)
{
	uint8_t byte;
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

size_t scratch_count(const char *folder, const char *prefix)
{
	size_t count = 0;
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		count += entry->d_name[0] != '.' &&
			 strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return count;
}

/* ---- tables and rows ---- */

struct table_spec scratch_spec(const char *name, enum dtype dtype, enum key_type key_type,
	uint32_t dim)
{
	struct table_spec spec = {
		.entity = ENTITY_ITEM,
		.kind = KIND_IR,
		.dtype = dtype,
		.key_type = key_type,
		.dim = dim,
		.views = 1,
	};
	(void)snprintf(spec.name.text, sizeof spec.name.text, "%s", name);
	return spec;
}

void scratch_row(uint64_t key, uint32_t version, float row[SCRATCH_DIM])
{
	row[0] = (float)(key & 0xffff);
	row[1] = (float)version;
	row[2] = (float)(key >> 16 & 0xffff);
	row[3] = (float)(key % 7 + version);
}

void scratch_release(struct scratch *scratch, const char *id)
{
	struct error err = {0};
	struct name name = {0};
	uint64_t number;
	const struct release_labels labels = {.model = "m", .checkpoint = id};
	(void)snprintf(name.text, sizeof name.text, "%s", id);
	scratch_must(store_release_create(scratch->store, &name, &labels, &number, &err), &err);
	struct table_spec spec = scratch_spec("t", DTYPE_F32, KEY_U64, SCRATCH_DIM);
	spec.index = scratch->indexed ? INDEX_BALLS : INDEX_NONE;
	scratch_must(store_table_create(scratch->store, id, &spec, NULL, &err), &err);
}

enum status scratch_try_chunk(struct scratch *scratch, const char *release, struct load_chunk chunk,
	struct scratch_rows what, struct error *err)
{
	const uint32_t count = what.count;
	uint64_t *keys = malloc(count * sizeof *keys + 1);
	float *rows = malloc(count * sizeof(float[SCRATCH_DIM]) + 1);
	assert_non_null(keys);
	assert_non_null(rows);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = what.from + i;
		scratch_row(keys[i], what.version, rows + (size_t)i * SCRATCH_DIM);
	}
	chunk.release = release;
	chunk.table = "t";
	chunk.batch.keys = (struct keys){KEY_U64, count, (const uint8_t *)keys, NULL};
	chunk.batch.dtype = DTYPE_F32;
	chunk.batch.rows = (const uint8_t *)rows;
	chunk.batch.rows_bytes = (size_t)count * SCRATCH_DIM * sizeof *rows;
	chunk.now_ms = SCRATCH_NOW_MS;
	struct load_progress progress;
	enum status status = store_load_chunk(scratch->store, &chunk, &progress, err);
	if (status == STATUS_OK) {
		status = store_load_sync(scratch->store, err);
	}
	free(keys);
	free(rows);
	return status;
}

static struct load_chunk name_chunk(const char *load, uint64_t chunk)
{
	struct load_chunk named = {.chunk = chunk};
	(void)snprintf(named.load.text, sizeof named.load.text, "%s", load);
	return named;
}

void scratch_chunk(struct scratch *scratch, const char *release, const char *load, uint64_t chunk,
	struct scratch_rows rows)
{
	struct error err = {0};
	scratch_must(scratch_try_chunk(scratch, release, name_chunk(load, chunk), rows, &err),
		&err);
}

void scratch_end(struct scratch *scratch, const char *release, const char *load, uint64_t chunks,
	uint64_t rows)
{
	struct error err = {0};
	struct load_chunk which = name_chunk(load, 0);
	which.release = release;
	which.table = "t";
	scratch_must(store_load_end(scratch->store, &which, chunks, rows, &err), &err);
}

void scratch_seal(struct scratch *scratch, const char *release)
{
	struct error err = {0};
	struct seal_result result;
	scratch_must(store_seal(scratch->store, release, NULL, &result, &err), &err);
}

void scratch_publish(struct scratch *scratch, const char *release)
{
	struct error err = {0};
	struct name previous;
	scratch_must(store_release_publish(scratch->store, release, NULL, &previous, &err), &err);
}

void scratch_sealed(struct scratch *scratch, const char *id, uint64_t from, uint32_t count,
	uint32_t version)
{
	scratch_release(scratch, id);
	scratch_chunk(scratch, id, "all", 0, (struct scratch_rows){from, count, version});
	scratch_end(scratch, id, "all", 1, count);
	scratch_seal(scratch, id);
}

enum status scratch_try_put(struct scratch *scratch, const char *release, const uint64_t *keys,
	uint32_t count, uint32_t version, struct error *err)
{
	float(*rows)[SCRATCH_DIM] = malloc(count * sizeof *rows);
	assert_non_null(rows);
	for (uint32_t i = 0; i < count; i++) {
		scratch_row(keys[i], version, rows[i]);
	}
	const struct table_write part = {
		.table = "t",
		.batch = {.keys = {KEY_U64, count, (const uint8_t *)keys, NULL},
			.dtype = DTYPE_F32,
			.rows = (const uint8_t *)rows,
			.rows_bytes = count * sizeof *rows},
	};
	const struct row_write write = {
		.release = release,
		.parts = &part,
		.part_count = 1,
		.now_ms = SCRATCH_NOW_MS,
	};
	struct write_result result;
	struct write_ticket *ticket;
	enum status status = (version == 0 ? store_delete : store_put)(scratch->store, &write,
		&result, &ticket, err);
	if (status == STATUS_OK) {
		status = store_write_wait(ticket, err);
		/* Of a delete it counts the keys that were there. */
		assert_true(version == 0 ? result.count <= count : result.count == count);
	}
	free(rows);
	return status;
}

void scratch_put(struct scratch *scratch, const char *release, struct scratch_rows rows)
{
	struct error err = {0};
	uint64_t *keys = malloc(rows.count * sizeof *keys);
	assert_non_null(keys);
	for (uint32_t i = 0; i < rows.count; i++) {
		keys[i] = rows.from + i;
	}
	scratch_must(scratch_try_put(scratch, release, keys, rows.count, rows.version, &err), &err);
	free(keys);
}

void scratch_mark(struct base_segment *segment, enum base_page_state pages,
	enum base_segment_state state)
{
	for (uint32_t i = 0; i < segment->view.page_count; i++) {
		atomic_store(&segment->pages[i], (unsigned char)pages);
	}
	if (state == BASE_READY) {
		atomic_store(&segment->state, BASE_READY);
	} else {
		base_segment_lose(segment, state);
	}
}

const struct table *scratch_table(struct scratch *scratch, const char *name)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, "r1", &release, &err), &err);
	scratch_must(release_table(release, name, &table, &err), &err);
	return table;
}

uint32_t scratch_version_in(struct scratch *scratch, const struct table *table, uint64_t key)
{
	struct error err = {0};
	float row[SCRATCH_DIM];
	float expected[SCRATCH_DIM];
	uint8_t found;
	uint8_t why;
	struct lookup lookup = {
		.table = table,
		.keys = {KEY_U64, 1, (const uint8_t *)&key, NULL},
		.dtype = DTYPE_F32,
		.visible = store_visible(scratch->store),
		.now_ms = SCRATCH_NOW_MS,
		.may_block = true,
		.rows = (uint8_t *)row,
		.found = &found,
		.why = &why,
	};
	scratch_must(table_lookup(&lookup, &err), &err);
	if (why != WHY_FOUND) {
		assert_int_equal(found, 0);
		return why == WHY_CORRUPT ? UINT32_MAX : 0;
	}
	scratch_row(key, (uint32_t)row[1], expected);
	assert_memory_equal(row, expected, sizeof row);
	return (uint32_t)row[1];
}

uint32_t scratch_version(struct scratch *scratch, const char *id, uint64_t key)
{
	struct error err = {0};
	const struct release *release;
	const struct table *table;
	const struct snapshot *snapshot = snapshot_begin(scratch->store);
	scratch_must(snapshot_release(snapshot, id, &release, &err), &err);
	scratch_must(release_table(release, "t", &table, &err), &err);
	const uint32_t version = scratch_version_in(scratch, table, key);
	snapshot_end(scratch->store);
	return version;
}

void scratch_expect(struct scratch *scratch, const char *release, uint64_t from, uint32_t count,
	uint32_t version)
{
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(scratch_version(scratch, release, from + i), version);
	}
}
