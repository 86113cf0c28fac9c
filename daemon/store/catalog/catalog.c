/* catalog.c - the catalog in LMDB: all of it is read at the start, and a change is one
 * transaction. */
#include "daemon/store/catalog/catalog.h"

#include "daemon/store/catalog/catalog_add.h"
#include "daemon/store/catalog/catalog_key.h"
#include "daemon/store/catalog/record.h"
#include "daemon/store/snapshot/level.h"
#include "daemon/store/system/file.h"
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMIT_BYTES_ABOUT = 1 << 20 };

struct catalog {
	MDB_env *env;
	MDB_dbi dbi;
	const struct catalog_form *form; /* borrowed */
	size_t bytes;                    /* that records may grow to */
	size_t map_bytes;                /* size of the map as it is set now; 0: not known */
	uint64_t records;                /* how many there are */
	uint64_t sequence;               /* of the change that was read or committed last */
	/* Until all is read, every map is watched: a file that was cut faults where it is read. */
	struct mapfault *watch;
	_Atomic unsigned char damaged;
};

static enum status status_of_lmdb(int code)
{
	switch (code) {
	case MDB_MAP_FULL:
		return STATUS_DISK_FULL;
	case MDB_PANIC: /* a write before has failed */
		return STATUS_IO;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		return STATUS_CORRUPT;
	case MDB_VERSION_MISMATCH:
		return STATUS_UNSUPPORTED;
	default:
		return status_of_errno(code);
	}
}

static enum status fail(struct error *err, const char *what, int code)
{
	return error_set(err, status_of_lmdb(code), "catalog: %s: %s", what,
		code > 0 ? file_reason(code) : mdb_strerror(code));
}

/* ---- write ---- */

static int put_writer(MDB_txn *txn, MDB_dbi dbi, struct record_key key, struct wire_writer *writer)
{
	int code = writer->status == STATUS_OK          ? 0
		   : writer->status == STATUS_NO_MEMORY ? ENOMEM
							: EINVAL;
	if (code == 0) {
		const uint64_t hash = record_hash(key.bytes, key.len, writer->data, writer->len);
		MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
		MDB_val v = {.mv_size = writer->len + RECORD_HASH_BYTES};
		code = mdb_put(txn, dbi, &k, &v, MDB_RESERVE);
		if (code == 0) {
			memcpy(v.mv_data, writer->data, writer->len);
			memcpy((uint8_t *)v.mv_data + writer->len, &hash, RECORD_HASH_BYTES);
		}
	}
	wire_writer_clear(writer);
	return code;
}

/* Deletes every record whose key begins with `prefix`. */
static int delete_all(MDB_txn *txn, MDB_dbi dbi, struct record_key prefix)
{
	MDB_cursor *cursor;
	assert(prefix.len > 1); /* a letter alone would be the records of all releases */
	int code = mdb_cursor_open(txn, dbi, &cursor);
	if (code != 0) {
		return code;
	}
	MDB_val k = {.mv_size = prefix.len, .mv_data = prefix.bytes};
	MDB_val v;
	code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (code == 0 && k.mv_size >= prefix.len &&
		memcmp(k.mv_data, prefix.bytes, prefix.len) == 0) {
		code = mdb_cursor_del(cursor, 0);
		if (code == 0) {
			/* After a deletion the cursor stands on the next record. */
			code = mdb_cursor_get(cursor, &k, &v, MDB_GET_CURRENT);
		}
	}
	mdb_cursor_close(cursor);
	/* MDB_GET_CURRENT gives EINVAL behind the last record. */
	return code == MDB_NOTFOUND || code == EINVAL ? 0 : code;
}

static int delete_release(MDB_txn *txn, MDB_dbi dbi, uint64_t number)
{
	int code = 0;
	for (size_t i = 0; code == 0 && i < CATALOG_LETTERS; i++) {
		code = delete_all(txn, dbi, record_key(catalog_letters[i].letter, &number, 1));
	}
	return code;
}

static int put_release(MDB_txn *txn, MDB_dbi dbi, const struct release *release,
	struct wire_writer *writer)
{
	record_write_release(writer, release);
	int code = put_writer(txn, dbi, record_key('r', &release->number, 1), writer);
	for (size_t i = 0; code == 0 && i < release->table_count; i++) {
		const struct table *table = release->tables[i];
		uint64_t numbers[3] = {release->number, table->number, 0};
		record_write_table(writer, table);
		code = put_writer(txn, dbi, record_key('t', numbers, 2), writer);
		const size_t files = table_file_count(table);
		for (size_t j = 0; code == 0 && j < files; j++) {
			const struct base_file_info *file = table_file(table, j);
			numbers[2] = file->number;
			record_write_file(writer, file);
			code = put_writer(txn, dbi, record_key('f', numbers, 3), writer);
		}
	}
	for (size_t i = 0; code == 0 && i < release->tensor_count; i++) {
		const uint64_t numbers[2] = {release->number, release->tensors[i]->number};
		assert(release->tensors[i]->file.segment_count == 1); /* its file comes first */
		record_write_tensor(writer, release->tensors[i]);
		code = put_writer(txn, dbi, record_key('n', numbers, 2), writer);
	}
	return code;
}

/* A change that adds no record may use somewhat more than the bound. LMDB writes changed pages
 * anew, so a full catalog could otherwise not even drop a release. */
static int set_room(struct catalog *catalog, bool adds)
{
	const size_t wanted =
		adds ? catalog->bytes : catalog->bytes + catalog->bytes / 4 + (1u << 20);
	if (catalog->map_bytes == wanted) {
		return 0;
	}
	const int code = mdb_env_set_mapsize(catalog->env, wanted);
	catalog->map_bytes = code == 0 ? wanted : 0;
	return code;
}

enum status catalog_commit(struct catalog *catalog, const struct catalog_change *change,
	struct error *err)
{
	MDB_txn *txn = NULL;
	struct wire_writer writer = {0};
	const uint64_t records = record_count(change->after);
	assert(change->after->sequence >= catalog->sequence);
	/* What is removed is not there afterwards, and what is put is. */
	assert(change->remove == 0 || snapshot_find(change->after, change->remove) == NULL);
	assert(change->put == NULL ||
		snapshot_find(change->after, change->put->number) == change->put);
	int code = set_room(catalog, records > catalog->records);
	if (code == 0) {
		code = mdb_txn_begin(catalog->env, NULL, 0, &txn);
	}
	if (code == 0 && change->remove != 0) {
		code = delete_release(txn, catalog->dbi, change->remove);
	}
	if (code == 0 && change->put != NULL) {
		/* Its records are written anew, so that files which a merge has replaced are not
		 * named any more. */
		code = delete_release(txn, catalog->dbi, change->put->number);
	}
	if (code == 0 && change->put != NULL) {
		code = put_release(txn, catalog->dbi, change->put, &writer);
	}
	if (code == 0) {
		record_write_state(&writer, change->after);
		code = put_writer(txn, catalog->dbi, record_key('s', NULL, 0), &writer);
	}
	wire_writer_fini(&writer);
	if (code == 0) {
		code = mdb_txn_commit(txn);
	} else {
		mdb_txn_abort(txn);
	}
	int fd;
	if (code == EIO && mdb_env_get_fd(catalog->env, &fd) == 0 &&
		file_why_short(fd, COMMIT_BYTES_ABOUT) == STATUS_DISK_FULL) {
		code = ENOSPC; /* LMDB says EIO when a write is cut short */
	}
	if (code != 0) {
		return fail(err, "commit", code);
	}
	catalog->records = records;
	catalog->sequence = change->after->sequence;
	return STATUS_OK;
}

/* ---- read ---- */

/* Walks the records under one letter. */
struct walk {
	MDB_cursor *cursor;
	struct wire_message *message; /* of the current record */
	uint64_t numbers[3];
	size_t number_count; /* of numbers in a key of this letter */
	uint64_t records;    /* how many were met so far */
	char letter;
	enum status status;
};

static bool walk_next(struct walk *walk)
{
	MDB_val k = {.mv_size = 1, .mv_data = &walk->letter};
	MDB_val v;
	assert(walk->number_count <= sizeof walk->numbers / sizeof *walk->numbers);
	const MDB_cursor_op op = walk->message == NULL ? MDB_SET_RANGE : MDB_NEXT;
	wire_close(walk->message);
	walk->message = NULL;
	const int code = mdb_cursor_get(walk->cursor, &k, &v, op);
	if (code != 0 || k.mv_size == 0 || *(const char *)k.mv_data != walk->letter) {
		walk->status = code == 0 || code == MDB_NOTFOUND ? STATUS_OK
			       : code == ENOMEM                  ? STATUS_NO_MEMORY
								 : STATUS_CORRUPT;
		return false;
	}
	if (k.mv_size != 1 + walk->number_count * 8) {
		walk->status = STATUS_CORRUPT;
		return false;
	}
	for (size_t i = 0; i < walk->number_count; i++) {
		uint64_t number;
		memcpy(&number, (const uint8_t *)k.mv_data + 1 + i * 8, 8);
		walk->numbers[i] = be64toh(number);
	}
	walk->records++;
	walk->status = record_open(k.mv_data, k.mv_size, v.mv_data, v.mv_size, &walk->message);
	if (walk->status != STATUS_OK && walk->status != STATUS_NO_MEMORY) {
		walk->status = STATUS_CORRUPT;
	}
	return walk->status == STATUS_OK;
}

static enum status read_state(struct walk *walk, struct snapshot *snapshot,
	struct record_state *state)
{
	if (walk_next(walk)) {
		walk->status = record_read_state(wire_root(walk->message), snapshot, state);
	}
	return walk->status;
}

static enum status read_letter(MDB_cursor *cursor, const struct catalog_form *form,
	const struct catalog_letter *letter, struct snapshot *snapshot, uint64_t *records)
{
	struct walk walk = {
		.cursor = cursor,
		.letter = letter->letter,
		.number_count = letter->number_count,
	};
	while (walk_next(&walk)) {
		walk.status = letter->add(form, snapshot, walk.numbers, wire_root(walk.message));
		if (walk.status != STATUS_OK) {
			break;
		}
	}
	wire_close(walk.message);
	*records += walk.records;
	return walk.status;
}

static enum status read_all(MDB_cursor *cursor, const struct catalog_form *form,
	struct snapshot *snapshot)
{
	struct record_state state = {0};
	struct walk walk = {.cursor = cursor, .letter = 's'};
	enum status status = read_state(&walk, snapshot, &state);
	wire_close(walk.message);
	uint64_t records = 0;
	for (size_t i = 0; status == STATUS_OK && i < CATALOG_LETTERS; i++) {
		status = read_letter(cursor, form, &catalog_letters[i], snapshot, &records);
	}
	if (status == STATUS_OK && records != state.records) {
		status = STATUS_CORRUPT;
	}
	if (status == STATUS_OK && state.live != 0) {
		snapshot->live = snapshot_find(snapshot, state.live);
		status = snapshot->live == NULL ? STATUS_CORRUPT : STATUS_OK;
	}
	return status == STATUS_OK ? catalog_check_rows(snapshot) : status;
}

enum status catalog_read(struct catalog *catalog, struct snapshot **out, struct error *err)
{
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	const struct snapshot empty = {.next_release = 1};
	struct snapshot *snapshot = snapshot_copy(&empty);
	if (snapshot == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "catalog: read");
	}
	int code = mdb_txn_begin(catalog->env, NULL, MDB_RDONLY, &txn);
	if (code == 0) {
		code = mdb_cursor_open(txn, catalog->dbi, &cursor);
	}
	enum status status = code == 0 ? STATUS_OK : fail(err, "read", code);
	if (status == STATUS_OK) {
		status = read_all(cursor, catalog->form, snapshot);
		mdb_cursor_close(cursor);
		if (status == STATUS_OK && atomic_load(&catalog->damaged) != 0) {
			status = STATUS_CORRUPT;
		}
		if (status != STATUS_OK) {
			error_set(err, status, "catalog: a record cannot be read");
		}
	}
	mdb_txn_abort(txn);
	mapfault_forget(catalog->watch);
	catalog->watch = NULL;
	if (status != STATUS_OK) {
		snapshot_drop(snapshot);
		return status;
	}
	catalog->records = record_count(snapshot);
	catalog->sequence = snapshot->sequence;
	*out = snapshot;
	return STATUS_OK;
}

enum status catalog_rehearse(struct catalog *catalog)
{
	MDB_txn *txn = NULL;
	struct record_key key = record_key('s', NULL, 0);
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v = {.mv_size = sizeof key, .mv_data = &key};
	int code = mdb_txn_begin(catalog->env, NULL, 0, &txn);
	if (code == 0) {
		code = mdb_put(txn, catalog->dbi, &k, &v, 0);
		mdb_txn_abort(txn);
	}
	return code == 0 ? STATUS_OK : fail(NULL, "rehearse", code);
}

/* ---- open ---- */

/* Writes the version into a new catalog, and checks that of an old one. */
static enum status check_version(struct catalog *catalog, unsigned flags, struct error *err)
{
	MDB_txn *txn = NULL;
	int code = mdb_txn_begin(catalog->env, NULL, flags, &txn);
	if (code == 0) {
		code = mdb_dbi_open(txn, NULL, 0, &catalog->dbi);
	}
	struct record_key key = record_key('v', NULL, 0);
	MDB_val k = {.mv_size = key.len, .mv_data = key.bytes};
	MDB_val v = {0};
	uint32_t version = CATALOG_VERSION;
	if (code == 0) {
		code = mdb_get(txn, catalog->dbi, &k, &v);
	}
	if (code == MDB_NOTFOUND) {
		v = (MDB_val){.mv_size = sizeof version, .mv_data = &version};
		code = mdb_put(txn, catalog->dbi, &k, &v, 0);
	} else if (code == 0) {
		version = 0;
		memcpy(&version, v.mv_data, v.mv_size < 4 ? v.mv_size : 4);
	}
	if (code == 0) {
		code = mdb_txn_commit(txn);
	} else {
		mdb_txn_abort(txn);
	}
	if (code != 0) {
		return fail(err, "open", code);
	}
	return catalog_check_version(catalog->form, version, err);
}

/* LMDB opens by a path. It is given that of a descriptor, so what it opens is the file that was found
 * beneath the data folder, through no link. */
static int open_env(struct catalog *catalog, const char *path, unsigned flags)
{
	char opened[FILE_PROC_BYTES];
	const int fd = file_open(path, flags == MDB_RDONLY ? O_RDONLY : O_RDWR | O_CREAT, 0640);
	int code = fd < 0 ? errno : mdb_env_create(&catalog->env);
	file_proc_path(opened, fd);
	if (code == 0) {
		code = mdb_env_set_mapsize(catalog->env, catalog->bytes);
	}
	if (code == 0) {
		/* MDB_NOLOCK, because the folder's own lock keeps other daemons away. */
		code = mdb_env_open(catalog->env, opened,
			MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK | flags, 0640);
	}
	if (fd >= 0) {
		close(fd);
	}
	return code;
}

/* A process that was killed in a commit may have left a change in the system's memory alone. It is found
 * now, and others build upon it. */
static enum status sync_found(struct catalog *catalog, const char *path, struct error *err)
{
	const int code = mdb_env_sync(catalog->env, 1);
	return code == 0 ? STATUS_OK : fail(err, path, code);
}

static enum status open_catalog(const char *path, size_t bytes, unsigned flags,
	const struct catalog_form *form, struct catalog **out, struct error *err)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	if (catalog == NULL) {
		return error_set(err, STATUS_NO_MEMORY, "catalog: open '%s'", path);
	}
	catalog->form = form;
	catalog->bytes = bytes;
	catalog->map_bytes = bytes;
	/* LMDB does not tell where it puts its map, so all addresses are watched. No other map is
	 * read meanwhile, but where one is written for a copy. */
	if (flags != MDB_NOSYNC && mapfault_watch(NULL, SIZE_MAX, &catalog->damaged, 1,
					   &catalog->watch) != STATUS_OK) {
		free(catalog);
		return error_set(err, STATUS_NO_MEMORY, "catalog: open '%s'", path);
	}
	const int code = open_env(catalog, path, flags);
	enum status status =
		code == 0 ? check_version(catalog, flags & MDB_RDONLY, err) : fail(err, path, code);
	if (status == STATUS_OK && atomic_load(&catalog->damaged) != 0) {
		status = error_set(err, STATUS_CORRUPT, "catalog: '%s' ends too early", path);
	}
	if (status == STATUS_OK && flags == 0) {
		status = sync_found(catalog, path, err);
	}
	if (status != STATUS_OK) {
		catalog_close(catalog);
		return status;
	}
	*out = catalog;
	return STATUS_OK;
}

enum status catalog_open(const char *path, size_t bytes, struct catalog **out, struct error *err)
{
	return open_catalog(path, bytes, 0, &catalog_form, out, err);
}

enum status catalog_open_read(const char *path, size_t bytes, const struct catalog_form *form,
	struct catalog **out, struct error *err)
{
	return open_catalog(path, bytes, MDB_RDONLY, form, out, err);
}

enum status catalog_write(const char *path, size_t bytes, const struct snapshot *snapshot,
	struct error *err)
{
	struct catalog *catalog = NULL;
	if (file_remove(path) != 0 && errno != ENOENT) {
		return error_set(err, STATUS_IO, "remove '%s': %s", path, file_reason(errno));
	}
	/* One sync at the end: half a catalog is of no use. */
	enum status status = open_catalog(path, bytes, MDB_NOSYNC, &catalog_form, &catalog, err);
	struct catalog_change change = {.after = snapshot};
	assert(status != STATUS_OK || catalog != NULL);
	for (size_t i = 0; status == STATUS_OK && i <= snapshot->release_count; i++) {
		change.put = i < snapshot->release_count ? snapshot->releases[i] : NULL;
		status = catalog_commit(catalog, &change, err);
	}
	if (status == STATUS_OK) {
		const int code = mdb_env_sync(catalog->env, 1);
		status = code == 0 ? status : fail(err, path, code);
	}
	catalog_close(catalog);
	return status;
}

void catalog_close(struct catalog *catalog)
{
	if (catalog != NULL) {
		mapfault_forget(catalog->watch);
		mdb_env_close(catalog->env);
		free(catalog);
	}
}
