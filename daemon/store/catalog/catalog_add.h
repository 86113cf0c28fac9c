/* catalog_add.h - the kinds of records that belong to a release, and how each comes into a
 * snapshot.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_STORE_CATALOG_CATALOG_ADD_H
#define DAEMON_STORE_CATALOG_CATALOG_ADD_H

#include "daemon/store/snapshot/snapshot.h"
#include "schema/wire.h"

#include <stdint.h>

struct catalog_form;

struct catalog_letter {
	char letter;
	size_t number_count; /* of numbers behind the letter; the first is the release's */
	/* Puts one record into a snapshot that has the records of the letters before. Errors:
	 * CORRUPT, NO_MEMORY. */
	enum status (*add)(const struct catalog_form *form, struct snapshot *snapshot,
		const uint64_t *numbers, struct wire_value value);
};

/* In the order in which they are read. */
enum { CATALOG_LETTERS = 4 };
extern const struct catalog_letter catalog_letters[CATALOG_LETTERS];

/* A version of the catalog, and how its records are read (record.h). */
struct catalog_form {
	uint32_t version;
	enum status (*read_table)(struct wire_value value, struct table **out);
	enum status (*read_file)(struct wire_value value, struct base_file_info *out);
	enum status (*read_tensor)(struct wire_value value, struct tensor **out);
};
extern const struct catalog_form catalog_form; /* the one that is written */

/* Errors: UNSUPPORTED  the version that was found is not the form's. */
enum status catalog_check_version(const struct catalog_form *form, uint32_t found,
	struct error *err);

/* Checks, when all records are in, that each table has as many rows as the segments of its files:
 * these records are written together, and one of another moment was damaged. Errors: CORRUPT. */
enum status catalog_check_rows(const struct snapshot *snapshot);

#endif
