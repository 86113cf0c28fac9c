/* verify.h - compares every file of a data folder, a backup, or an exported release, with its checksums.
 *
 * What is damaged is told by file, release, table and segment, with the keys whose rows are in it. The
 * disk is read, where it lets be, and not what the system has in memory of it. Nothing is changed, but that
 * a live store answers CORRUPT for a segment from then on whose bytes in memory are damaged too.
 *
 * Threads: any that may block; one at a time of a store.
 */
#ifndef DAEMON_STORE_VERIFY_VERIFY_H
#define DAEMON_STORE_VERIFY_VERIFY_H

#include "schema/key.h"
#include "schema/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stop;
struct store;

/* Keys of a damaged segment: those that can still be read, and whose hashes belong there. */
struct verify_keys {
	enum key_type type;
	uint64_t known;        /* how many there are */
	size_t count;          /* of these, those that follow */
	const uint8_t *packed; /* as the wire packs keys: u64, or a length byte and the bytes */
	size_t packed_bytes;
};

struct verify_damage {
	const char *file;    /* its path below the folder */
	const char *release; /* NULL: of none */
	const char *table;   /* or tensor; NULL: of none */
	const char *what;    /* for a person */
	bool has_segment;
	size_t segment;                 /* its number in the file */
	uint64_t rows;                  /* that it has */
	const struct verify_keys *keys; /* NULL: they cannot be told, or were not asked for */
};

struct verify_wish {
	void (*found)(void *arg, const struct verify_damage *damage); /* may be NULL */
	void *arg;
	size_t keys; /* of each damaged segment, how many are told at most */
};

struct verify_result {
	uint64_t files;
	uint64_t bytes;
	uint64_t damaged; /* how often `found` was called */
};

/* Verifies a store that works, at merge_rate. Errors: IO, NO_MEMORY; those of `stop` (NULL: nothing).
 * Damage is none. */
enum status store_verify(struct store *store, const struct verify_wish *wish,
	const struct stop *stop, struct verify_result *out, struct error *err);

/* Verifies a folder that no daemon works in. Errors: BUSY  one does; NOT_FOUND; IO, NO_MEMORY;
 * UNSUPPORTED  its catalog is of another version. */
enum status verify_folder(const char *path, const struct verify_wish *wish,
	struct verify_result *out, struct error *err);

#endif
