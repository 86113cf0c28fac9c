/* import_load.c - sends the rows of an import as a load, goes on with an earlier one, drops one. */
#include "tools/command/import_load.h"

#include "tools/command/progress.h"
#include "tools/format/buffer.h"
#include "tools/format/interrupt.h"
#include "tools/format/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Takes the name that --load gave, or makes one. */
static bool name_load(struct import *import, const struct source *source)
{
	if (import->load == NULL) {
		return load_name_make(&import->place, &import->source, import->format,
			source->content, &import->name);
	}
	import->name.again = true;
	return snprintf(import->name.text, sizeof import->name.text, "%s", import->load) <
	       (int)sizeof import->name.text;
}

/* ---- sending ---- */

/* What was sent, for the last line. */
struct outcome {
	uint64_t chunks;
	uint64_t next_chunk; /* the first that the daemon did not have */
	uint64_t skipped;    /* chunks that it had from an earlier run */
	uint64_t rows;
	bool input_wrong; /* the rows are wrong, so a later run cannot go on either */
	bool goes_on;     /* a later run can go on with it */
	bool stays;       /* the daemon still has it, and it keeps the release from being sealed */
};

static bool is_wrong_input(enum rep_status status)
{
	return status == REP_BAD_REQUEST || status == REP_TOO_LARGE;
}

/* Sends the rows that the daemon does not have. */
static enum rep_status send_rows(struct source *source, rep_load *load, struct outcome *outcome,
	struct rep_error *err)
{
	struct progress progress;
	progress_begin(&progress, "import");
	enum rep_status status = REP_OK;
	for (;;) {
		struct rep_rows rows = {0};
		struct error why;
		const enum status read = interrupt_seen()
						 ? error_set(&why, STATUS_CLOSED, "interrupted")
						 : source->next(source, &rows, &why);
		if (read != STATUS_OK) {
			err->status = (enum rep_status)read;
			memcpy(err->text, why.text, sizeof err->text);
			outcome->input_wrong = !interrupt_seen();
			status = err->status;
			break;
		}
		if (rows.keys.count == 0) {
			break;
		}
		if (outcome->chunks >= outcome->next_chunk) {
			status = rep_load_chunk(load, &rows, err);
			if (mapping_check(&why) != STATUS_OK) { /* also the reason of a failure */
				err->status = status = (enum rep_status)why.status;
				memcpy(err->text, why.text, sizeof err->text);
			}
			if (status != REP_OK) {
				outcome->input_wrong = is_wrong_input(status);
				break;
			}
		} else {
			outcome->skipped++;
		}
		outcome->chunks++;
		outcome->rows += rows.keys.count;
		progress_update(&progress, source->done, source->total, outcome->rows);
	}
	progress_end(&progress);
	return status;
}

/* Makes the daemon forget the load, if it has it. found: out, may be NULL. */
static enum rep_status drop_load(rep_client *client, const struct place *place, const char *name,
	bool *found, struct rep_error *err)
{
	rep_load *load = NULL;
	uint64_t next_chunk = 0;
	const enum rep_status status =
		rep_load_begin(client, place->release, place->table, name, &load, &next_chunk, err);
	if (status != REP_OK) {
		return status;
	}
	if (found != NULL) {
		*found = next_chunk > 0;
	}
	return rep_load_abort(load, err);
}

/* Ends the load. A load that cannot become whole is dropped, since it would stand in the way of a
 * seal. A load that a later run can go on with stays. */
static enum rep_status end_load(struct session *session, const struct import *import,
	rep_load *load, enum rep_status status, struct outcome *outcome, struct rep_error *err)
{
	struct rep_error ignored;
	if (status == REP_OK && outcome->chunks == 0 && outcome->next_chunk == 0) {
		rep_load_leave(load); /* there was nothing to import */
		return REP_OK;
	}
	if (status == REP_OK) {
		status = rep_load_end(load, NULL, err);
		outcome->input_wrong = is_wrong_input(status);
	} else {
		rep_load_leave(load);
	}
	outcome->goes_on = status != REP_OK && !outcome->input_wrong && import->name.again;
	outcome->stays = outcome->goes_on;
	if (status != REP_OK && !outcome->goes_on) {
		outcome->stays = drop_load(session->client, &import->place, import->name.text, NULL,
					 &ignored) != REP_OK;
	}
	return status;
}

/* Tells how a load that stays is gone on with, and how it is dropped. */
static void tell_rest(struct session *session, const struct import *import,
	const struct outcome *outcome, enum rep_status status)
{
	/* A release that was dropped or sealed meanwhile takes no more rows. */
	if (session->json || status == REP_NOT_FOUND || status == REP_SEALED) {
		return;
	}
	if (outcome->goes_on) {
		fputs("repstore: the same command again goes on where this one stopped\n", stderr);
	}
	if (outcome->stays) {
		fprintf(stderr,
			"repstore: `repstore import %s/%s --forget %s` drops what was sent\n",
			import->place.release, import->place.table, import->name.text);
	} else if (outcome->rows > 0) {
		fputs("repstore: nothing of it is kept\n", stderr);
	}
}

static int report(struct session *session, const struct import *import,
	const struct outcome *outcome, double seconds)
{
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_text(&json, "release", import->place.release);
		json_write_text(&json, "table", import->place.table);
		json_write_text(&json, "load", import->name.text);
		json_write_u64(&json, "rows", outcome->rows);
		json_write_u64(&json, "chunks", outcome->chunks);
		json_write_u64(&json, "chunks_skipped", outcome->skipped);
		json_write_fixed(&json, "seconds", seconds, 3);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		printf("%" PRIu64 " rows into %s/%s in %.1f s", outcome->rows,
			import->place.release, import->place.table, seconds);
		if (outcome->skipped > 0) {
			printf("; %" PRIu64 " of %" PRIu64 " chunks were there already",
				outcome->skipped, outcome->chunks);
		}
		putchar('\n');
	}
	return session_finish(session, EXIT_DONE);
}

static int send_source(struct session *session, const struct import *import, struct source *source)
{
	struct rep_error err = {0};
	rep_load *load = NULL;
	struct outcome outcome = {0};
	struct progress progress;
	progress_begin(&progress, "");
	interrupt_watch();
	enum rep_status status = rep_load_begin(session->client, import->place.release,
		import->place.table, import->name.text, &load, &outcome.next_chunk, &err);
	if (status != REP_OK) {
		return session_refuse(session, &err);
	}
	status = send_rows(source, load, &outcome, &err);
	status = end_load(session, import, load, status, &outcome, &err);
	if (status == REP_OK) {
		return report(session, import, &outcome, progress_end(&progress));
	}
	session_refuse(session, &err);
	tell_rest(session, import, &outcome, status);
	interrupt_end();
	return EXIT_REFUSED;
}

int import_load(struct session *session, struct import *import, struct source *source)
{
	return name_load(import, source)
		       ? send_source(session, import, source)
		       : session_refuse_text(session, STATUS_BAD_REQUEST,
				 "the load could not be given a name of at most %d characters",
				 LOAD_NAME_BYTES - 1);
}

/* ---- forgetting ---- */

int import_forget(struct session *session, struct import *import)
{
	struct rep_error err;
	bool found = false;
	if (drop_load(session->client, &import->place, import->forget, &found, &err) != REP_OK) {
		return session_refuse(session, &err);
	}
	if (!found) {
		return session_refuse_text(session, STATUS_NOT_FOUND,
			"--forget: table '%s' of release '%s' has no load '%s'; `repstore release show %s` lists them",
			import->place.table, import->place.release, import->forget,
			import->place.release);
	}
	if (session->json) {
		struct json_writer json = {.out = stdout};
		json_write_object(&json, NULL);
		json_write_object_end(&json);
		json_write_line(&json);
	} else {
		puts("forgotten");
	}
	return session_finish(session, EXIT_DONE);
}
