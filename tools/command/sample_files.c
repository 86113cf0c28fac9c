/* sample_files.c - reads samples from NumPy arrays and sends them batch by batch. */
#include "tools/command/sample_files.h"

#include "tools/command/progress.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"
#include "tools/format/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BUSY_MS = 60000, PAUSE_MS = 20 };

/* What was sent, for the last line. */
struct outcome {
	uint64_t samples;
	uint64_t applied;
	uint64_t batches;
	uint64_t sequence;
};

/* Opens rows and times with the keys of one side. Both sides are cut into the same batches. */
static enum status open_side(const struct sample_files *files, const struct rep_table_spec *spec,
	const char *keys, struct source **out, struct error *err)
{
	const struct source_options options = {
		.spec = spec,
		.cannot_allow = true,
		.chunk_rows = (uint32_t)files->batch,
		.keys = keys,
		.rows = files->rows,
		.scales = files->scales,
		.time = files->time,
		.times = files->times,
	};
	*out = NULL;
	return keys == NULL ? STATUS_OK : source_open_npy(&options, out, err);
}

/* Reads the next batch of one side. count: out, the same for both sides; a side that the layer does
 * not have leaves it alone. */
static enum status next_side(struct source *source, struct rep_rows *rows, uint32_t *count,
	struct error *err)
{
	*rows = (struct rep_rows){0};
	if (source == NULL) {
		return STATUS_OK;
	}
	const enum status status = source->next(source, rows, err);
	*count = rows->keys.count;
	return status;
}

/* Sends a batch of samples into a table of histories. */
static enum rep_status append(rep_client *client, const struct sample_files *files,
	const struct rep_samples *samples, struct rep_written *written, struct rep_error *err)
{
	const struct rep_vectors vectors = {
		.table = files->layer,
		.keys = samples->users,
		.times = samples->times,
		.dtype = samples->dtype,
		.any_time = samples->any_time,
		.rows = samples->rows,
		.rows_bytes = samples->rows_bytes,
		.scales = samples->scales,
		.source = samples->source,
		.position = samples->position,
		.first = samples->first,
	};
	return rep_append(client, files->release_id, &vectors, written, err);
}

/* Sends a batch, again and again while the daemon answers BUSY: it has changed nothing then. */
static enum rep_status send_batch(rep_client *client, const struct sample_files *files,
	const struct rep_samples *samples, struct rep_written *written, struct rep_error *err)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	enum rep_status status = REP_BUSY;
	for (unsigned waited = 0; status == REP_BUSY && waited < BUSY_MS; waited += PAUSE_MS) {
		if (waited > 0) {
			(void)nanosleep(&pause, NULL);
		}
		status = files->appends
				 ? append(client, files, samples, written, err)
				 : rep_observe(client, files->release_id, samples, written, err);
	}
	return status;
}

/* Reads the next batch of both sides and sends it. A batch without samples is the end. */
static enum rep_status step(struct session *session, const struct sample_files *files,
	struct source *sides[2], struct outcome *outcome, struct rep_error *rep_err)
{
	struct rep_rows rows[2];
	struct error err = {0};
	uint32_t count = 0;
	enum status status = interrupt_seen() ? error_set(&err, STATUS_CLOSED, "interrupted")
					      : next_side(sides[0], &rows[0], &count, &err);
	if (status == STATUS_OK) {
		status = next_side(sides[1], &rows[1], &count, &err);
	}
	if (status != STATUS_OK) {
		rep_err->status = (enum rep_status)status;
		memcpy(rep_err->text, err.text, sizeof rep_err->text);
		return rep_err->status;
	}
	if (count == 0) {
		return REP_OK;
	}
	const struct rep_rows *given = sides[0] != NULL ? &rows[0] : &rows[1];
	const struct rep_samples samples = {
		.layer = files->layer,
		.count = count,
		.users = rows[0].keys,
		.items = rows[1].keys,
		.times = given->times,
		.dtype = given->dtype,
		.any_time = files->time.any,
		.rows = given->rows,
		.rows_bytes =
			count * rep_row_bytes(given->dtype, files->spec.dim, files->spec.views),
		.scales = given->scales,
		.source = files->source,
		.position = files->position + outcome->samples,
		.first = files->first,
	};
	struct rep_written written = {0};
	const enum rep_status sent =
		send_batch(session->client, files, &samples, &written, rep_err);
	if (sent == REP_OK) {
		outcome->samples += count;
		outcome->applied += written.count;
		outcome->sequence = written.sequence;
		outcome->batches++;
	}
	return sent;
}

static int report(const struct session *session, const struct sample_files *files,
	const struct outcome *outcome, double seconds)
{
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", files->release_id);
		json_write_text(&json, files->appends ? "table" : "layer", files->layer);
		json_write_u64(&json, "samples", outcome->samples);
		json_write_u64(&json, "applied", outcome->applied);
		json_write_u64(&json, "batches", outcome->batches);
		json_write_u64(&json, "sequence", outcome->sequence);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf(files->appends ? "%" PRIu64 " vectors into table %s of %s in %.1f s"
				      : "%" PRIu64 " samples of layer %s into %s in %.1f s",
			outcome->applied, files->layer, files->release_id, seconds);
		if (outcome->applied != outcome->samples) {
			printf("; %" PRIu64 " more were counted before",
				outcome->samples - outcome->applied);
		}
		putchar('\n');
	}
	return session_finish(session, EXIT_DONE);
}

static int send_all(struct session *session, const struct sample_files *files,
	struct source *sides[2], uint64_t total)
{
	struct outcome outcome = {0};
	struct rep_error err = {0};
	struct progress progress;
	enum rep_status status = REP_OK;
	progress_begin(&progress, files->appends ? "append" : "observe");
	interrupt_watch();
	uint64_t before;
	do {
		before = outcome.samples;
		status = step(session, files, sides, &outcome, &err);
		progress_update(&progress, outcome.samples, total, outcome.samples);
	} while (status == REP_OK && outcome.samples > before);
	const double seconds = progress_end(&progress);
	if (status == REP_OK) {
		return report(session, files, &outcome, seconds);
	}
	session_refuse_text(session, (enum status)status,
		"%s; %" PRIu64 " samples were acknowledged", err.text, outcome.samples);
	if (files->source != NULL && session_may_repeat(status) && !session->json) {
		fputs("repstore: the same command again counts each sample once\n", stderr);
	}
	if (files->source == NULL && outcome.samples > 0 && !session->json) {
		fputs("repstore: the same command again would count those once more; with --source "
		      "NAME samples are numbered, and each counts once\n",
			stderr);
	}
	interrupt_end();
	return EXIT_REFUSED;
}

/* Opens the sides that the layer has. */
static enum status open_sides(const struct sample_files *files, struct source *sides[2],
	struct error *err)
{
	struct rep_table_spec user_spec = files->spec;
	struct rep_table_spec item_spec = files->spec;
	enum status status = STATUS_OK;
	user_spec.key_type = files->user_key;
	item_spec.key_type = files->item_key;
	if (files->user_key != 0) {
		status = open_side(files, &user_spec, files->users, &sides[0], err);
	}
	if (status == STATUS_OK && files->item_key != 0) {
		status = open_side(files, &item_spec, files->items, &sides[1], err);
	}
	if (status == STATUS_OK && sides[0] != NULL && sides[1] != NULL &&
		sides[0]->total != sides[1]->total) {
		return error_set(err, STATUS_BAD_REQUEST,
			"'%s' has %" PRIu64 " keys, '%s' has %" PRIu64, files->users,
			sides[0]->total, files->items, sides[1]->total);
	}
	return status;
}

static int send_sides(struct session *session, const struct sample_files *files,
	struct source *sides[2])
{
	const uint64_t total = sides[0] != NULL   ? sides[0]->total
			       : sides[1] != NULL ? sides[1]->total
						  : 0;
	return send_all(session, files, sides, total);
}

int sample_files_send(struct session *session, const struct sample_files *files)
{
	struct source *sides[2] = {NULL, NULL};
	struct error err = {0};
	const int status = open_sides(files, sides, &err) == STATUS_OK
				   ? send_sides(session, files, sides)
				   : session_refuse_error(session, &err);
	for (size_t i = 0; i < 2; i++) {
		if (sides[i] != NULL) {
			sides[i]->close(sides[i]);
		}
	}
	return status;
}

int sample_files_check(const struct session *session, struct sample_files *files)
{
	const char *command = files->appends ? "append" : "observe";
	if (files->rows == NULL || files->times == NULL) {
		return session_usage(session, "%s: --rows and --times are needed", command);
	}
	if (files->appends && files->users == NULL) {
		return session_usage(session, "append: --keys is needed");
	}
	if (files->source == NULL && files->position != sample_files_no_position) {
		return session_usage(session, "%s: --position comes with --source", command);
	}
	if (files->source == NULL && files->first) {
		return session_usage(session, "%s: --first comes with --source", command);
	}
	if (files->batch == 0 || files->batch > 1u << 20) {
		return session_usage(session, "--batch: %" PRIu64 ", 1 to 1048576", files->batch);
	}
	files->position = files->position == sample_files_no_position ? 0 : files->position;
	return EXIT_DONE;
}
