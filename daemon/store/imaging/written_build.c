/* written_build.c - lists the rows of some places, and puts them into the balls of an index. */
#include "daemon/store/imaging/written_build.h"

#include "daemon/retrieval/balls/balls_image.h"
#include "daemon/retrieval/building/balls_build.h"
#include "daemon/store/index/index.h"
#include "daemon/store/index/written.h"
#include "daemon/store/memtable/generation.h"
#include "daemon/store/row/stored.h"
#include "daemon/store/system/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a build reads: the versions that an image lists. */
struct listed {
	const struct written_image *image;
	struct stored_reader reader;
};

static void read_rows(void *arg, uint32_t first, uint32_t count, float *out)
{
	const struct listed *listed = arg;
	const struct table_spec *spec = listed->reader.spec;
	for (uint32_t i = 0; i < count; i++) {
		const struct row_version *version = listed->image->rows[first + i].version;
		const struct stored_row row = {
			.data = version->row,
			.low = row_version_low(version, spec),
			.scale = &version->scale,
		};
		stored_read(&listed->reader, &row, (uint8_t *)(out + (size_t)i * spec->dim), NULL);
	}
}

/* Lists what a reader of `visible` finds; returns how many rows that are. */
static uint32_t list(const struct written_job *job, struct written_image *image)
{
	uint32_t count = 0;
	for (uint64_t place = job->from; place < job->end; place++) {
		const struct memtable_row *row = generation_place(job->generation, place);
		if (!row->version->deleted &&
			entry_version(row->entry, job->visible) == row->version) {
			image->rows[count++] = (struct written_row){row->entry, row->version};
		}
	}
	return count;
}

/* Finds the ball that each row has in the parts. They list their rows in the same order, with some more
 * that were superseded since. */
static enum status find_balls(const struct written_job *job, const struct written_image *image,
	uint32_t count, uint32_t *known)
{
	uint32_t at = 0;
	memset(known, 0xff, count * sizeof *known);
	for (size_t i = 0; i < job->part_count; i++) {
		const struct written_image *part = job->parts[i];
		uint32_t *balls = malloc(((size_t)part->balls.rows + 1) * sizeof *balls);
		if (balls == NULL) {
			return STATUS_NO_MEMORY;
		}
		if (part->balls.rows > 0) {
			balls_members(&part->balls, balls);
		}
		for (uint32_t row = 0; row < part->balls.rows && at < count; row++) {
			if (part->rows[row].version == image->rows[at].version) {
				known[at++] = balls[row];
			}
		}
		free(balls);
	}
	return STATUS_OK;
}

static enum status build(const struct written_job *job, struct written_image *image, uint32_t count,
	const uint32_t *known)
{
	struct listed listed = {.image = image};
	/* A reader into f32 takes no memory, so this does not fail. */
	enum status status = stored_reader_init(&listed.reader, job->spec, DTYPE_F32, false);
	const struct balls_source source = {
		.rows = count,
		.dim = job->spec->dim,
		.read = read_rows,
		.arg = &listed,
	};
	/* Searches take a factor of the index's recalls; this only keeps the image from being calibrated. */
	const struct balls_options options = {
		.previous = &job->index->balls,
		.recalls = job->index->balls.recalls,
		.query_count = *job->index->balls.queries,
		.known = known,
		.stop = job->stop,
	};
	struct balls_plan *plan = NULL;
	if (status == STATUS_OK) {
		status = balls_plan(&source, &options, &plan);
	}
	const size_t bytes = status == STATUS_OK ? balls_plan_bytes(plan) : 0;
	if (status == STATUS_OK) {
		status = written_image_make_room(image, bytes);
	}
	if (status == STATUS_OK) {
		status = balls_write(plan, image->data);
	}
	if (status == STATUS_OK) {
		status = balls_open(image->data, bytes, count, job->spec->dim, &image->balls, NULL);
		assert(status == STATUS_OK); /* it was just written */
	}
	balls_plan_close(plan);
	stored_reader_fini(&listed.reader);
	return status;
}

uint64_t written_image_bytes(const struct index *index, uint64_t places)
{
	const struct balls *of = &index->balls;
	const uint64_t rows = places < BALLS_ROWS_MAX ? places : BALLS_ROWS_MAX;
	/* A block of each ball is not full. */
	const uint64_t blocks = rows / BALLS_BLOCK_ROWS + (rows < of->balls ? rows : of->balls);
	const struct balls_shape shape = {
		.rows = (uint32_t)rows,
		.dim = of->dim,
		.prefix = of->prefix,
		.first = of->first,
		.balls = of->balls,
		.blocks = (uint32_t)blocks,
		.loose = (uint32_t)rows,
		.has_basis = of->basis != NULL,
	};
	struct balls_layout layout;
	balls_layout(&shape, &layout);
	return sizeof(struct written_image) + layout.bytes +
	       (rows + 1) * sizeof(struct written_row);
}

uint64_t written_build_bytes(const struct index *index, uint64_t places)
{
	const uint64_t rows = places < BALLS_ROWS_MAX ? places : BALLS_ROWS_MAX;
	/* Balls that are known; while they are found, those of a part, which are gone when the build begins. */
	return (rows + 1) * sizeof(uint32_t) + balls_build_bytes(&index->balls, (uint32_t)rows);
}

enum status written_build(const struct written_job *job, struct written_image **out)
{
	assert(job->from < job->end && job->end - job->from <= BALLS_ROWS_MAX);
	struct written_image *image =
		written_image_new(job->counted, (size_t)(job->end - job->from));
	if (image == NULL) {
		return STATUS_NO_MEMORY;
	}
	image->generation = job->generation->number;
	image->from = job->from;
	image->end = job->end;
	image->visible = job->visible;
	image->axes = job->index->axes;
	const uint32_t count = list(job, image);
	uint32_t *known = malloc(((size_t)count + 1) * sizeof *known);
	enum status status = known == NULL ? STATUS_NO_MEMORY : STATUS_OK;
	if (status == STATUS_OK) {
		status = find_balls(job, image, count, known);
	}
	if (status == STATUS_OK && count > 0) {
		status = build(job, image, count, known);
	}
	free(known);
	if (status != STATUS_OK) {
		written_image_drop(image);
		return status;
	}
	image->built_ms = (uint64_t)clock_monotonic_ms();
	*out = image;
	return STATUS_OK;
}
