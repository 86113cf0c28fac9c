/* sink.h - where a dump's rows go: npy arrays, npz, safetensors, msgpack or jsonl.
 *
 * All files appear when everything is written; after an error nothing is left of them.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_FORMAT_SINK_H
#define TOOLS_FORMAT_SINK_H

#include "repstore.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stdint.h>

enum sink_order {
	SINK_AS_SCANNED, /* by the hash of the key */
	SINK_BY_KEY,     /* ascending; byte strings by memcmp */
	SINK_BY_FILE,    /* as in the file `order` */
};

struct sink_options {
	const struct rep_table_spec *spec; /* of the table, but with the dump's dtype; borrowed */
	const char *path; /* the other formats; msgpack, jsonl: "-" is standard output */
	/* npy */
	const char *keys; /* or NULL */
	const char *rows;
	const char *times;   /* or NULL */
	const char *scales;  /* or NULL */
	const char *tags;    /* or NULL */
	const char *weights; /* of a raw dump; or NULL */
	/* Of a table with a history, whose spec's `views` are those of all places here; or NULL. */
	const char *counts;
	const char *history_times;
	bool raw; /* rows are the sums of a table of kind cr, not what a fetch reads */
	enum sink_order sort;
	const char *order; /* npy of keys, for SINK_BY_FILE */
};

struct sink {
	enum status (*write)(struct sink *sink, const struct rep_scan *scan, struct error *err);
	/* Writes the rest and puts the files in their places. */
	enum status (*finish)(struct sink *sink, struct error *err);
	void (*close)(struct sink *sink); /* after finish, or instead of it */
	uint64_t rows;                    /* written so far; after finish, rows of the files */
};

enum status sink_open_npy(const struct sink_options *options, struct sink **out, struct error *err);
enum status sink_open_npz(const struct sink_options *options, struct sink **out, struct error *err);
enum status sink_open_safetensors(const struct sink_options *options, struct sink **out,
	struct error *err);
enum status sink_open_msgpack(const struct sink_options *options, struct sink **out,
	struct error *err);
enum status sink_open_jsonl(const struct sink_options *options, struct sink **out,
	struct error *err);

#endif
