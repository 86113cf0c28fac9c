/* fuzz_spill.c - any bytes are a load's file or are not, and seal reads only what is in it.
 *
 * The first byte says of which table (16: one of kind cr), and whether the checksums of heads and
 * bodies are put right first, so that what they guard is reached too.
 */
#include "daemon/store/seal/seal_runs.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/system/mapfault.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DTYPES = 5, DIM = 5, HASH_AT = SPILL_HEAD_BYTES - 8, BODY_HASH_AT = 56, SALT_AT = 56 };

/* Keeps the compiler from dropping what is only read. */
static volatile unsigned seen;

static void require(bool holds)
{
	if (!holds) {
		abort();
	}
}

static struct base_owner owner_of(uint8_t choice)
{
	const bool aggregates = (choice & 16) != 0;
	return (struct base_owner){
		.release = 1,
		.table = 1,
		.spec =
			{
				.name = {"t"},
				.entity = ENTITY_ITEM,
				.kind = aggregates ? KIND_CR : KIND_IR,
				.state = !aggregates         ? STATE_NONE
					 : (choice & 1) != 0 ? STATE_F32X2
							     : STATE_F32,
				.dtype = aggregates
						 ? DTYPE_F32
						 : (enum dtype)(choice % 16 % DTYPES + DTYPE_F32),
				.key_type = (choice & 32) != 0 ? KEY_BYTES : KEY_U64,
				.dim = DIM,
				.views = 1,
				.tags = (choice & 64) != 0,
			},
	};
}

/* Puts the checksums of the file's head and of every frame right. */
static void repair(uint8_t *data, size_t len)
{
	uint64_t salt = 0;
	if (len >= SPILL_HEAD_BYTES) {
		memcpy(&salt, data + SALT_AT, 8);
	}
	for (size_t at = 0; at + SPILL_HEAD_BYTES <= len;) {
		uint64_t body = 0;
		memcpy(&body, data + at + 8, 8);
		const size_t behind = at + SPILL_HEAD_BYTES;
		const size_t room = len - behind;
		if (at > 0 && body <= room) {
			const uint64_t hash = XXH3_64bits(data + behind, body);
			memcpy(data + at + BODY_HASH_AT, &hash, 8);
		}
		const uint64_t hash = at == 0 ? XXH3_64bits(data, HASH_AT)
					      : XXH3_64bits_withSeed(data + at, HASH_AT, salt);
		memcpy(data + at + HASH_AT, &hash, 8);
		if (at > 0 && body > room) {
			break;
		}
		at = at == 0 ? behind : behind + body;
	}
}

/* Reads what seal reads of each run. */
static void read_runs(const struct spill *spill)
{
	const struct seal_source source = {.spill = spill};
	struct runs runs;
	struct error err = {0};
	const enum status status = runs_open(&source, 1, &runs, &err);
	require(status == STATUS_OK);
	require(runs.count == spill->run_count);
	unsigned sum = 0;
	for (size_t i = 0; i < runs.count; i++) {
		const struct run *run = &runs.runs[i];
		const size_t row_bytes = spec_row_bytes(&spill->owner.spec);
		if (run_check(run, &err) != STATUS_OK) {
			require(err.status == STATUS_CORRUPT);
			continue;
		}
		for (uint32_t row = 0; row < run->rows; row++) {
			size_t key_len;
			const uint8_t *key = run_key(run, row, &key_len);
			require(key_len > 0 && key_len <= LIMIT_KEY_BYTES);
			sum += key[0] + key[key_len - 1] + (unsigned)run->hashes[row];
			sum += run->row_data[row * row_bytes] + (unsigned)run->times[row];
			sum += run->tags != NULL ? (unsigned)run->tags[row] : 0;
			sum += run->scales != NULL && run->scales[row] == 1;
		}
		struct chunk_content content;
		const enum status found =
			spill_content(spill, run->source->first_chunk, &content, &err);
		require(found == STATUS_OK || found == STATUS_CORRUPT);
		require(run_lower_bound(run, 0) == 0 || run->rows > 0);
		require(run_lower_bound(run, UINT64_MAX) <= run->rows);
	}
	seen = sum;
	require(atomic_load(&runs.damaged) == 0);
	runs_close(&runs);
}

static char folder[64];

static void remove_folder(void)
{
	char path[96];
	(void)snprintf(path, sizeof path, "%s/s", folder);
	(void)unlink(path);
	(void)rmdir(folder);
}

/* In memory where there is such a folder: a file that is cut is synced. */
static void make_folder(void)
{
	if (folder[0] != 0) {
		return;
	}
	(void)snprintf(folder, sizeof folder, "%s/fuzz_spill.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	require(mkdtemp(folder) != NULL);
	require(atexit(remove_folder) == 0);
}

static void write_file(const uint8_t *data, size_t len)
{
	char path[96];
	(void)snprintf(path, sizeof path, "%s/s", folder);
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	uint8_t *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 128) != 0) {
		repair(copy, size - 1);
	}
	make_folder();
	write_file(copy, size - 1);
	const struct base_owner owner = owner_of(data[0]);
	struct spill spill;
	struct error err = {0};
	const enum status status = spill_open(folder, "s", &owner, &spill, &err);
	/* AGAIN: it was never a load, and was removed. */
	require(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED ||
		status == STATUS_AGAIN);
	if (status == STATUS_OK) {
		read_runs(&spill);
		spill_close(&spill);
	}
	free(copy);
	return 0;
}
