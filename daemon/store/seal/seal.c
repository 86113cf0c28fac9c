/* seal.c - from sorted runs to base files: divides the work on one table between threads. */
#include "daemon/store/seal/seal.h"

#include "daemon/store/seal/seal_worker.h"
#include "daemon/store/system/file.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Workers of a table that has more than one segment. Two are worth it, since to copy rows into fresh
 * pages takes a processor as long as the disk takes to write them. */
enum { SEAL_WORKERS = 2 };

/* ---- the table ---- */

void seal_output_fini(struct seal_output *output)
{
	for (size_t i = 0; i < output->file_count; i++) {
		base_file_info_fini(&output->files[i]);
	}
	free(output->files);
	*output = (struct seal_output){0};
}

/* ---- workers ---- */

struct step {
	struct seal_worker *worker;
	void (*run)(struct seal_worker *worker);
};

static void *run_step(void *arg)
{
	const struct step *step = arg;
	step->run(step->worker);
	return NULL;
}

/* Runs one step of every worker, the first in this thread and each other in one of its own. If no
 * thread can be had, this one runs the step. */
static enum status run_all(struct seal_worker *workers, size_t count,
	void (*run)(struct seal_worker *worker), struct error *err)
{
	struct step steps[SEAL_WORKERS];
	pthread_t threads[SEAL_WORKERS];
	bool started[SEAL_WORKERS] = {false};
	assert(count >= 1);
	assert(count <= SEAL_WORKERS);
	for (size_t i = 0; i < count; i++) {
		steps[i] = (struct step){.worker = &workers[i], .run = run};
		started[i] = i > 0 && pthread_create(&threads[i], NULL, run_step, &steps[i]) == 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (!started[i]) {
			run(&workers[i]);
		}
	}
	enum status status = STATUS_OK;
	for (size_t i = 0; i < count; i++) {
		if (started[i]) {
			(void)pthread_join(threads[i], NULL);
		}
		if (status == STATUS_OK && workers[i].status != STATUS_OK) {
			status = error_set(err, workers[i].status, "%s", workers[i].err.text);
		}
	}
	return status;
}

/* Moves the files of every worker into one output. */
static enum status collect(struct seal_worker *workers, size_t count, struct seal_output *out)
{
	size_t total = 0;
	*out = (struct seal_output){0};
	for (size_t i = 0; i < count; i++) {
		total += workers[i].files.file_count;
	}
	out->files = calloc(total + 1, sizeof *out->files);
	for (size_t i = 0; i < count && out->files != NULL; i++) {
		struct base_files *part = &workers[i].files;
		assert(part->writer == NULL); /* the last one is finished */
		if (part->file_count > 0) {
			memcpy(out->files + out->file_count, part->files,
				part->file_count * sizeof *part->files);
		}
		out->file_count += part->file_count;
		out->rows += part->rows;
		part->file_count = 0; /* moved */
	}
	assert(out->files == NULL || out->file_count == total);
	return out->files == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status write_table(struct seal_job *job, struct seal_output *out, struct error *err)
{
	struct seal_worker workers[SEAL_WORKERS] = {0};
	const uint64_t expected = job->runs->rows * job->row_cost;
	const struct base_extent extent = {
		.bytes = expected,
		.rows = job->runs->rows,
		.is_indexed = job->owner->spec.index != INDEX_NONE,
	};
	const uint32_t bits = base_range_bits(&job->sizes, &extent);
	/* There is one part, of all hashes; or two, by the first bit of the hash, each with files of its own. */
	const bool is_small =
		expected <= job->sizes.segment_bytes || (extent.is_indexed && bits == 0);
	job->worker_count = is_small ? 1 : SEAL_WORKERS;
	for (size_t i = 0; i < job->worker_count; i++) {
		workers[i].job = job;
		workers[i].number = i;
		workers[i].prefix = (uint64_t)i << 63;
		workers[i].bits = is_small ? 0 : 1;
		workers[i].files = (struct base_files){
			.folder = job->folder,
			.owner = job->owner,
			.sizes = job->sizes,
			.next_file = &job->next_file,
			.expected_bytes =
				base_range_expected(expected / (bits == 0 ? job->worker_count : 1),
					bits),
			.range_bits = bits,
		};
	}
	enum status status = run_all(workers, job->worker_count, seal_worker_check, err);
	if (status == STATUS_OK) {
		status = run_all(workers, job->worker_count, seal_worker_write, err);
	}
	if (status == STATUS_OK && atomic_load(&job->runs->damaged) != 0) {
		status = error_set(err, STATUS_CORRUPT, "seal: a load's file cannot be read");
	}
	if (status == STATUS_OK && collect(workers, job->worker_count, out) != STATUS_OK) {
		status = error_set(err, STATUS_NO_MEMORY, "seal: the list of files");
	}
	assert(status != STATUS_OK || out->rows <= job->runs->rows); /* each key once */
	for (size_t i = 0; i < job->worker_count; i++) {
		base_files_fini(&workers[i].files, BASE_FILES_REMOVE);
	}
	return status;
}

enum status seal_table(const struct seal_input *input, struct seal_output *out, struct error *err)
{
	const struct table_spec *spec = &input->owner->spec;
	struct runs runs;
	enum status status = runs_open(input->sources, input->count, &runs, err);
	if (status != STATUS_OK) {
		return status;
	}
	*out = (struct seal_output){0};
	if (runs.rows > 0) {
		struct seal_job job = {
			.folder = input->folder,
			.owner = input->owner,
			.sizes = input->sizes,
			.runs = &runs,
			.stop = input->stop,
			.done = input->done,
			/* Row, time, tags, scale, key, and a slot and a half. */
			.row_cost =
				spec_stored_bytes(spec) + 8 + 8 + 4 + 12 +
				(spec->key_type == KEY_U64 ? 8 : 4 + runs.blob_bytes / runs.rows),
		};
		status = write_table(&job, out, err);
	}
	runs_close(&runs);
	return status;
}
