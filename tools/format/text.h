/* text.h - aligned columns and numbers for a person.
 *
 * Threads: one a table.
 */
#ifndef TOOLS_FORMAT_TEXT_H
#define TOOLS_FORMAT_TEXT_H

#include "schema/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Cells are added row by row; text_print aligns, prints and frees them. A cell for which there is
 * no memory is left out. With only `columns` set the table is ready. */
struct text_table {
	size_t columns;
	/* A table that would be wider than 80 columns has its first cells, which are names, in lines of
	 * their own, and the words of its last one in as many as they need. */
	bool fold;
	char **cells; /* owned */
	size_t count;
	size_t cap;
};

void text_cell(struct text_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints to stdout. Columns whose cells below the first row are all numbers are aligned right. */
void text_print(struct text_table *table);
/* Frees the cells of one that is not printed. */
void text_free(struct text_table *table);

enum { TEXT_BYTES = 40 };

/* Each fills `text`, char[TEXT_BYTES], and returns it. */
const char *text_size(uint64_t bytes, char *text);            /* 1.5 MiB */
const char *text_time(int64_t unix_ms, char *text);           /* 2026-11-24 02:22:11.042Z */
const char *text_duration(uint64_t milliseconds, char *text); /* 3d 4h; 7.2 s */

/* Prints the entries of a map as lines `name value`; those of inner maps as `outer.inner`. */
void text_map(struct wire_value map);
/* The same but for the entry of that name. */
void text_map_but(struct wire_value map, const char *name);

/* The field `rows` of a release or table: 1234, or at most 1234. Fills `text`, char[TEXT_BYTES], and returns it. */
const char *text_rows(struct wire_value map, char *text);

/* A field of a map; 0 when it is missing. */
uint64_t text_uint_of(struct wire_value map, const char *name);
/* The same for a string: fills `text`, char[size], and returns it; "" when it is missing. Control
 * characters are replaced. */
const char *text_str_of(struct wire_value map, const char *name, char *text, size_t size);

#endif
