/* bench_written.c - searches in process beside rows that were written since the index was built.
 *
 *   bench_written [ROWS [DIM [WRITTEN...]]]
 *                 default 1000000 64 0 1000 100000 100000m 200000m 1000000
 *
 * Two tables have the same ROWS rows and an index, which rows of users calibrate. Into one of them rows are put until
 * WRITTEN were, half of them of keys that are there; what is written is merged where an m stands behind, and else only if
 * it was before. Rows and queries are of 1000 clusters, of length 1, and the product is asked for the best 100. Each query
 * is asked of both tables in turn, once there are images of what was written. Times are those of the thread on a processor,
 * which a busy machine changes least. Prints the medians of both and their ratio, for a recall of 0.95 and for the exact
 * search; and the recall of the former, by the scores that the latter finds. Then whole calls of a reader of the folder
 * (librepstore-local), which makes images of its own, beside the same searches with the keys of what they find.
 */
#include "client/include/repstore_local.h"
#include "daemon/search/search.h"
#include "daemon/store/admin/admin.h"
#include "daemon/store/index/written.h"
#include "daemon/store/load/load.h"
#include "daemon/store/memtable/memtable.h"
#include "daemon/store/merge/merge.h"
#include "daemon/store/seal/seal_release.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/spill/load_chunk.h"
#include "daemon/store/state/options.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/store.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/retrieval/building/balls_random.h"

enum {
	CHUNK_ROWS = 4096,
	CLUSTERS = 1000,
	QUERIES = 300,
	K = 100,
	KEYS_AHEAD = 16, /* as the method retrieve asks */
	USERS = 1000,
	SETTLE_MS = 500,
	SAME_LOOKS = 3, /* that find nothing new */
	LEFT_MAX = 256, /* rows that may be without an image when nothing is written any more */
};

static const double noise = 0.5;
static const double asked_recall = 0.95;

struct bench {
	struct store *store;
	uint64_t rows;
	uint32_t dim;
	uint64_t random;
	float *centres;
	float *data; /* of a chunk */
	uint64_t *keys;
	uint64_t written;
	uint64_t next_key;
	uint64_t sequence; /* of the last write */
	rep_local *local;
	rep_client *reader;
	uint64_t images; /* that the reader had made when it was measured last */
};

static double thread_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static void must(enum status status, const struct error *err)
{
	if (status != STATUS_OK) {
		(void)fprintf(stderr, "bench_written: %s: %s\n", status_name(status), err->text);
		exit(1);
	}
}

static void *memory(size_t bytes)
{
	void *space = malloc(bytes);
	if (space == NULL) {
		exit(1);
	}
	return space;
}

static double gaussian(uint64_t *random)
{
	const double u = 1 - balls_random_unit(random);
	return sqrt(-2 * log(u)) * cos(6.283185307179586 * balls_random_unit(random));
}

/* As bench_balls.c draws them. */
static void draw(struct bench *bench, float *out)
{
	const float *centre =
		bench->centres + balls_random(&bench->random) % CLUSTERS * (size_t)bench->dim;
	double sum = 0;
	for (uint32_t d = 0; d < bench->dim; d++) {
		out[d] = centre[d] + (float)(gaussian(&bench->random) * noise / sqrt(d + 1));
		sum += (double)out[d] * (double)out[d];
	}
	for (uint32_t d = 0; d < bench->dim; d++) {
		out[d] = (float)((double)out[d] / sqrt(sum));
	}
}

static void prepare(struct bench *bench)
{
	bench->centres = memory((size_t)CLUSTERS * bench->dim * sizeof(float));
	bench->data = memory((size_t)CHUNK_ROWS * bench->dim * sizeof(float));
	bench->keys = memory(CHUNK_ROWS * sizeof(uint64_t));
	for (size_t i = 0; i < (size_t)CLUSTERS * bench->dim; i++) {
		bench->centres[i] =
			(float)(gaussian(&bench->random) / sqrt((double)(i % bench->dim) + 1));
	}
}

/* ---- tables ---- */

static void load(struct bench *bench, const char *table, uint64_t rows)
{
	struct error err = {0};
	struct load_progress progress = {0};
	const uint64_t random = bench->random;
	struct load_chunk chunk = {.release = "r",
		.load = {"bench"},
		.batch.dtype = DTYPE_F32,
		.batch.rows = (const uint8_t *)bench->data,
		.now_ms = 1};
	chunk.table = table;
	bench->random = 2; /* both tables get the same rows */
	for (uint64_t first = 0; first < rows; first += CHUNK_ROWS, chunk.chunk++) {
		const uint32_t count =
			rows - first < CHUNK_ROWS ? (uint32_t)(rows - first) : CHUNK_ROWS;
		for (uint32_t i = 0; i < count; i++) {
			bench->keys[i] = first + i;
			draw(bench, bench->data + (size_t)i * bench->dim);
		}
		chunk.batch.keys =
			(struct keys){KEY_U64, count, (const uint8_t *)bench->keys, NULL};
		chunk.batch.rows_bytes = (size_t)count * bench->dim * sizeof(float);
		must(store_load_chunk(bench->store, &chunk, &progress, &err), &err);
		if (store_load_is_full(bench->store)) {
			must(store_load_sync(bench->store, &err), &err);
		}
	}
	must(store_load_end(bench->store, &chunk, chunk.chunk, rows, &err), &err);
	bench->random = random;
}

static void create(struct bench *bench, const char *name, enum entity entity, enum kind kind)
{
	struct error err = {0};
	struct table_spec spec = {.entity = entity,
		.kind = kind,
		.dtype = DTYPE_F32,
		.key_type = KEY_U64,
		.dim = bench->dim,
		.views = 1,
		.index = entity == ENTITY_ITEM ? INDEX_BALLS : INDEX_NONE};
	(void)snprintf(spec.name.text, sizeof spec.name.text, "%s", name);
	must(store_table_create(bench->store, "r", &spec, NULL, &err), &err);
	load(bench, name, entity == ENTITY_ITEM ? bench->rows : USERS);
}

static bool has_index(struct bench *bench, const char *name)
{
	struct error err = {0};
	const struct table *table;
	must(release_table(snapshot_begin(bench->store)->live, name, &table, &err), &err);
	const bool has = atomic_load(&((struct table *)table)->index) != NULL;
	snapshot_end(bench->store);
	return has;
}

static void fill(struct bench *bench)
{
	struct error err = {0};
	uint64_t number;
	struct name id = {"r"};
	struct name previous;
	struct seal_result result;
	const struct release_labels labels = {0};
	must(store_release_create(bench->store, &id, &labels, &number, &err), &err);
	create(bench, "ur", ENTITY_USER, KIND_UR);
	create(bench, "ir", ENTITY_ITEM, KIND_IR);
	create(bench, "ir_still", ENTITY_ITEM, KIND_IR);
	must(store_seal(bench->store, "r", NULL, &result, &err), &err);
	must(store_release_publish(bench->store, "r", NULL, &previous, &err), &err);
	while (!has_index(bench, "ir") || !has_index(bench, "ir_still")) {
		(void)poll(NULL, 0, 10);
	}
	bench->next_key = bench->rows;
}

static void put_until(struct bench *bench, uint64_t written)
{
	struct error err = {0};
	while (bench->written < written) {
		const uint64_t left = written - bench->written;
		const uint32_t count = left < CHUNK_ROWS ? (uint32_t)left : CHUNK_ROWS;
		for (uint32_t i = 0; i < count; i++) {
			bench->keys[i] = i % 2 == 0 ? balls_random(&bench->random) % bench->rows
						    : bench->next_key++;
			draw(bench, bench->data + (size_t)i * bench->dim);
		}
		const struct table_write part = {.table = "ir",
			.batch = {.keys = {KEY_U64, count, (const uint8_t *)bench->keys, NULL},
				.dtype = DTYPE_F32,
				.rows = (const uint8_t *)bench->data,
				.rows_bytes = (size_t)count * bench->dim * sizeof(float)}};
		const struct row_write put = {.release = "r",
			.parts = &part,
			.part_count = 1,
			.now_ms = 1};
		struct write_result result;
		struct write_ticket *ticket;
		must(store_put(bench->store, &put, &result, &ticket, &err), &err);
		must(store_write_wait(ticket, &err), &err);
		bench->sequence = result.sequence;
		bench->written += count;
	}
}

/* How many rows above the base have no image: of the memtable, and of deltas. *count: the images of the former. */
static uint64_t without_image(const struct table *table, size_t *count)
{
	const struct written_images *images = atomic_load(&table->memtable->images);
	uint64_t left = memtable_rows(table->memtable);
	*count = images == NULL ? 0 : images->count;
	for (size_t i = 0; i < *count; i++) {
		left -= images->images[i]->balls.rows;
	}
	for (size_t i = 1; i < table->level_count; i++) {
		left += atomic_load(&table->levels[i]->images) == NULL ? table->levels[i]->rows : 0;
	}
	return left;
}

/* Waits until the images have all that they are to have, and are as few as they will be; prints what
 * there is. */
static void settle(struct bench *bench, const char *state)
{
	uint64_t left = UINT64_MAX;
	size_t count = 0;
	size_t levels = 0;
	bool has_index = false;
	do {
		struct error err = {0};
		const struct table *table;
		(void)poll(NULL, 0, SETTLE_MS);
		must(release_table(snapshot_begin(bench->store)->live, "ir", &table, &err), &err);
		left = without_image(table, &count);
		levels = table->level_count;
		has_index = atomic_load(&((struct table *)table)->index) != NULL;
		snapshot_end(bench->store);
	} while (left >= LEFT_MAX || count > 1 || !has_index);
	printf("written_%s\n  without_image %llu rows\n  levels %zu\n", state,
		(unsigned long long)left, levels);
}

/* Brings the table to a state: so many rows written and, with an m behind, merged. */
static void bring_to(struct bench *bench, const char *state)
{
	struct error err = {0};
	struct merge_result result;
	char *behind;
	put_until(bench, strtoull(state, &behind, 10));
	if (*behind == 'm') {
		must(store_merge(bench->store, NULL, &result, &err), &err);
	}
	settle(bench, state);
}

/* ---- searches ---- */

/* What a search has found. */
struct outcome {
	double took_us;
	float kth;        /* the last score */
	uint32_t reached; /* how many hits have at least the limit */
};

/* The keys of what was found, as an answer has them. */
static void copy_keys(const struct search *search, const struct topk *top)
{
	static uint64_t keys[K];
	for (size_t i = 0; i < top->count; i++) {
		const uint8_t *key;
		size_t key_len;
		if (i + KEYS_AHEAD < top->count) {
			search_prefetch_key(search, top->hits[i + KEYS_AHEAD].id);
		}
		if (search_key(search, top->hits[i].id, &key, &key_len) == STATUS_OK) {
			memcpy(&keys[i], key, key_len);
		}
	}
}

static struct outcome search_once(struct bench *bench, const char *name, const float *vector,
	double recall, float limit)
{
	struct error err = {0};
	struct outcome outcome = {0};
	struct search search = {0};
	const struct filter filter = {0};
	const struct query query = {.count = 1, .parts = 1, .dim = bench->dim, .vectors = vector};
	const double start = thread_us();
	const struct snapshot *snapshot = snapshot_begin(bench->store);
	struct search_place place = {.metric = METRIC_INNER_PRODUCT,
		.visible = store_visible(bench->store),
		.now_ms = 1};
	must(release_table(snapshot->live, name, &place.items, &err), &err);
	const struct search_options options = {.place = &place,
		.query = &query,
		.filter = &filter,
		.k = K,
		.min_score = -INFINITY,
		.recall = recall,
		.may_block = true};
	must(search_begin(&search, &options, &err), &err);
	must(search_run(&search, &err), &err);
	const struct topk *top = search_hits(&search, 0);
	copy_keys(&search, top);
	outcome.took_us = thread_us() - start;
	outcome.kth = top->hits[top->count - 1].score;
	for (size_t i = 0; i < top->count; i++) {
		outcome.reached += top->hits[i].score >= limit;
	}
	search_end(&search);
	snapshot_end(bench->store);
	return outcome;
}

static void must_read(enum rep_status status, const struct rep_error *err)
{
	if (status != REP_OK) {
		(void)fprintf(stderr, "bench_written: %s\n", err->text);
		exit(1);
	}
}

/* *compared: rows that were looked at; UINT64_MAX: all were, though the search need not be exact. */
static struct outcome read_once(struct bench *bench, const float *vector, double recall,
	float limit, uint64_t *compared)
{
	struct rep_error err;
	struct rep_retrieved got = {0};
	struct outcome outcome = {0};
	const struct rep_retrieval asked = {.query = {.keys = {.count = 1},
						    .rows = vector,
						    .rows_bytes = bench->dim * sizeof *vector,
						    .dtype = REP_F32,
						    .dim = bench->dim},
		.in = "ir",
		.k = K,
		.approximate = recall < 1 ? recall : 0};
	const double start = thread_us();
	must_read(rep_retrieve(bench->reader, "r", &asked, &got, &err), &err);
	outcome.took_us = thread_us() - start;
	outcome.kth = got.parts[0].scores[got.parts[0].n - 1];
	for (uint32_t i = 0; i < got.parts[0].n; i++) {
		outcome.reached += got.parts[0].scores[i] >= limit;
	}
	*compared = got.exact && recall < 1 ? UINT64_MAX : got.compared;
	rep_retrieved_free(&got);
	return outcome;
}

/* Waits until the reader has what was written, and the indexes and images that it opens and makes. */
static void settle_reader(struct bench *bench, const float *vector)
{
	uint64_t compared = UINT64_MAX;
	struct rep_local_stats stats = {0};
	rep_set_min_sequence(bench->reader, bench->sequence);
	for (unsigned same = 0; same < SAME_LOOKS;) {
		const uint64_t before = compared;
		(void)poll(NULL, 0, SETTLE_MS);
		(void)read_once(bench, vector, asked_recall, 0, &compared);
		rep_local_stats(bench->local, &stats);
		const bool is_due = stats.rows >= LEFT_MAX && stats.images == bench->images;
		same = is_due || compared != before || compared == UINT64_MAX ? 0 : same + 1;
	}
	bench->images = stats.images;
	printf("  reader_compared %llu rows\n", (unsigned long long)compared);
}

static int by_value(const void *a, const void *b)
{
	const double left = *(const double *)a;
	const double right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(double *times)
{
	qsort(times, QUERIES, sizeof *times, by_value);
	return times[QUERIES / 2];
}

static void measure(struct bench *bench, const float *queries)
{
	static const char *const tables[] = {"ir_still", "ir"};
	static double times[2][2][QUERIES]; /* exact or not, table */
	static double read[2][QUERIES];     /* exact or not */
	uint32_t found = 0;
	uint32_t read_found = 0;
	uint64_t compared;
	settle_reader(bench, queries);
	for (size_t i = 0; i < QUERIES; i++) {
		for (size_t table = 0; table < 2; table++) {
			const float *vector = queries + i * bench->dim;
			const struct outcome exact =
				search_once(bench, tables[table], vector, 1, 0);
			const struct outcome fast =
				search_once(bench, tables[table], vector, asked_recall, exact.kth);
			times[0][table][i] = exact.took_us;
			times[1][table][i] = fast.took_us;
			found += table == 1 ? fast.reached : 0;
			if (table == 1) {
				read[0][i] = read_once(bench, vector, 1, 0, &compared).took_us;
				const struct outcome reader = read_once(bench, vector, asked_recall,
					exact.kth, &compared);
				read[1][i] = reader.took_us;
				read_found += reader.reached;
			}
		}
	}
	const double exact[] = {median(times[0][0]), median(times[0][1]), median(read[0])};
	const double fast[] = {median(times[1][0]), median(times[1][1]), median(read[1])};
	printf("  recall %.4f share\n", (double)found / QUERIES / K);
	printf("  none %.1f us\n  beside %.1f us\n  ratio %.2f ratio\n", fast[0], fast[1],
		fast[1] / fast[0]);
	printf("  exact_none %.1f us\n  exact_beside %.1f us\n  exact_ratio %.2f ratio\n", exact[0],
		exact[1], exact[1] / exact[0]);
	printf("  reader_recall %.4f share\n  reader %.1f us\n  reader_ratio %.2f ratio\n",
		(double)read_found / QUERIES / K, fast[2], fast[2] / fast[1]);
	printf("  exact_reader %.1f us\n  exact_reader_ratio %.2f ratio\n", exact[2],
		exact[2] / exact[1]);
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"0", "1000", "100000", "100000m", "200000m", "1000000"};
	struct bench bench = {
		.rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000,
		.dim = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 64,
		.random = 1,
	};
	char folder[] = "/var/tmp/bench_written.XXXXXX";
	struct error err = {0};
	const struct store_options options = {.folder = folder,
		.load_memory_bytes = 512u << 20,
		.catalog_bytes = 64u << 20,
		.write = {.memtable_rows = 64u << 20,
			.memtable_bytes = 64ull << 30,
			.log_bytes = 64ull << 30}};
	if (bench.rows == 0 || bench.dim == 0 || mkdtemp(folder) == NULL) {
		return 2;
	}
	prepare(&bench);
	float *queries = memory((size_t)QUERIES * bench.dim * sizeof *queries);
	for (size_t i = 0; i < QUERIES; i++) {
		draw(&bench, queries + i * bench.dim);
	}
	grace_register();
	must(store_open(&options, &bench.store, &err), &err);
	fill(&bench);
	struct rep_error rep_err;
	const struct rep_local_options local_options = {.folder = folder,
		.memory_max = UINT64_C(16) << 30};
	must_read(rep_open_local(&local_options, &bench.local, &rep_err), &rep_err);
	must_read(rep_local_client(bench.local, &bench.reader, &rep_err), &rep_err);
	const int count = argc > 3 ? argc - 3 : (int)(sizeof usual / sizeof *usual);
	for (int i = 0; i < count; i++) {
		bring_to(&bench, argc > 3 ? argv[3 + i] : usual[i]);
		measure(&bench, queries);
	}
	rep_close(bench.reader);
	rep_close_local(bench.local);
	store_close(bench.store);
	grace_unregister();
	free(queries);
	free(bench.centres);
	free(bench.data);
	free(bench.keys);
	char command[64];
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command) == 0 ? 0 : 1;
}
