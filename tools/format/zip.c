/* zip.c - finds the directory at the end of a zip archive, and steps through it. */
#include "tools/format/zip.h"

#include "tools/format/file_kind.h"
#include "tools/format/little.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
	/* The record at the end of every archive, with a comment of up to 64 KiB behind it. */
	END_BYTES = 22,
	COMMENT_BYTES_MAX = 65535,
	/* Those of zip64, before it. */
	LOCATOR_BYTES = 20,
	END64_BYTES = 56,
	/* An entry of the directory, and a member's own header, before their names. */
	ENTRY_BYTES = 46,
	HEADER_BYTES = 30,
	EXTRA_ZIP64 = 1,
	FLAG_ENCRYPTED = 1,
};
static const uint64_t signature_end = 0x06054b50;
static const uint64_t signature_locator = 0x07064b50;
static const uint64_t signature_end64 = 0x06064b50;
static const uint64_t signature_entry = 0x02014b50;
static const uint64_t signature_header = 0x04034b50;

/* In a field of 16 or 32 bits: the number stands in that of zip64. */
static const uint64_t elsewhere16 = UINT16_MAX;
static const uint64_t elsewhere32 = UINT32_MAX;

static enum status damaged(const struct zip *zip, const char *what, struct error *err)
{
	return error_set(err, STATUS_BAD_REQUEST, "'%s': %s; it is cut or damaged", zip->name,
		what);
}

static enum status damaged_member(const struct zip *zip, const struct zip_member *member,
	const char *what, struct error *err)
{
	char quoted[ERROR_QUOTE_BYTES];
	return error_set(err, STATUS_BAD_REQUEST, "'%s: %s': %s; it is cut or damaged", zip->name,
		error_quote(quoted, member->name, member->name_len), what);
}

/* ---- the end ---- */

/* Where the record at the end is; false: there is none. */
static bool find_end(const uint8_t *file, size_t len, size_t *out)
{
	for (size_t comment = 0; comment <= COMMENT_BYTES_MAX && comment + END_BYTES <= len;
		comment++) {
		const size_t at = len - END_BYTES - comment;
		if (little_read(file + at, 4) == signature_end &&
			little_read(file + at + 20, 2) == comment) {
			*out = at;
			return true;
		}
	}
	return false;
}

/* Where the directory is said to be. */
struct place {
	uint64_t entries;
	uint64_t bytes;
	uint64_t at;
	size_t end; /* what follows the directory */
};

static enum status read_end64(const struct zip *zip, struct place *place, struct error *err)
{
	const size_t end_at = place->end;
	if (end_at < LOCATOR_BYTES + END64_BYTES ||
		little_read(zip->file + end_at - LOCATOR_BYTES, 4) != signature_locator) {
		return damaged(zip, "the zip archive has not the end that it should have", err);
	}
	const size_t locator_at = end_at - LOCATOR_BYTES;
	const uint64_t at = little_read(zip->file + locator_at + 8, 8);
	if (at > locator_at - END64_BYTES || little_read(zip->file + at, 4) != signature_end64) {
		return damaged(zip, "the zip archive has not the end that it should have", err);
	}
	const uint8_t *record = zip->file + at;
	*place = (struct place){
		.entries = little_read(record + 32, 8),
		.bytes = little_read(record + 40, 8),
		.at = little_read(record + 48, 8),
		.end = (size_t)at,
	};
	return STATUS_OK;
}

enum status zip_open(const uint8_t *file, size_t len, const char *name, struct zip *out,
	struct error *err)
{
	struct zip zip = {.file = file, .name = name};
	struct place place = {0};
	if (len < 4 || memcmp(file, "PK", 2) != 0) {
		const char *kind = file_kind_by_content(file, len);
		return error_set(err, STATUS_BAD_REQUEST, "'%s': not an npz file%s%s", name,
			kind != NULL ? ", but " : "", kind != NULL ? kind : "");
	}
	if (!find_end(file, len, &place.end)) {
		return damaged(&zip, "the zip archive has no directory at its end", err);
	}
	place.entries = little_read(file + place.end + 10, 2);
	place.bytes = little_read(file + place.end + 12, 4);
	place.at = little_read(file + place.end + 16, 4);
	if (place.entries == elsewhere16 || place.bytes == elsewhere32 || place.at == elsewhere32) {
		const enum status status = read_end64(&zip, &place, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	if (place.at > place.end || place.bytes != place.end - place.at) {
		return damaged(&zip, "the directory of the zip archive is not where its end says",
			err);
	}
	zip.directory_at = (size_t)place.at;
	zip.directory_end = place.end;
	zip.at = zip.directory_at;
	zip.left = place.entries;
	*out = zip;
	return STATUS_OK;
}

/* ---- entries ---- */

/* The sizes and the place of a member, as its entry has them. */
struct sizes {
	uint64_t bytes;
	uint64_t packed_bytes;
	uint64_t at;
};

/* Takes those that 32 bits could not hold from the field of zip64 among the extra ones. */
static bool read_extra(const uint8_t *extra, size_t len, struct sizes *sizes)
{
	uint64_t *const numbers[] = {&sizes->bytes, &sizes->packed_bytes, &sizes->at};
	const bool wanted = sizes->bytes == elsewhere32 || sizes->packed_bytes == elsewhere32 ||
			    sizes->at == elsewhere32;
	size_t at = 0;
	while (wanted && len - at >= 4) {
		const uint64_t id = little_read(extra + at, 2);
		const size_t field_bytes = (size_t)little_read(extra + at + 2, 2);
		at += 4;
		if (field_bytes > len - at) {
			return false;
		}
		if (id != EXTRA_ZIP64) {
			at += field_bytes;
			continue;
		}
		const size_t end = at + field_bytes;
		for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
			if (*numbers[i] != elsewhere32) {
				continue;
			}
			if (end - at < 8) {
				return false;
			}
			*numbers[i] = little_read(extra + at, 8);
			at += 8;
		}
		return true;
	}
	return !wanted;
}

/* Finds a member's bytes behind its own header, which must name the same member. */
static enum status find_bytes(const struct zip *zip, const struct sizes *sizes,
	struct zip_member *member, struct error *err)
{
	static const char none[] = "it is not where the directory of the zip archive says";
	if (sizes->at > zip->directory_at || zip->directory_at - sizes->at < HEADER_BYTES) {
		return damaged_member(zip, member, none, err);
	}
	const uint8_t *header = zip->file + sizes->at;
	const uint64_t room = zip->directory_at - sizes->at - HEADER_BYTES;
	const size_t name_len = (size_t)little_read(header + 26, 2);
	const uint64_t before = name_len + little_read(header + 28, 2);
	if (little_read(header, 4) != signature_header || before > room ||
		name_len != member->name_len ||
		memcmp(header + HEADER_BYTES, member->name, name_len) != 0) {
		return damaged_member(zip, member, none, err);
	}
	if (sizes->packed_bytes > room - before) {
		return damaged_member(zip, member, "it is longer than what is there of it", err);
	}
	member->at = (size_t)sizes->at;
	member->packed = header + HEADER_BYTES + before;
	member->packed_bytes = (size_t)sizes->packed_bytes;
	member->end = (size_t)(sizes->at + HEADER_BYTES + before + sizes->packed_bytes);
	return STATUS_OK;
}

enum status zip_next(struct zip *zip, struct zip_member *out, bool *more, struct error *err)
{
	*more = zip->left > 0;
	if (!*more) {
		return zip->at == zip->directory_end
			       ? STATUS_OK
			       : damaged(zip,
					 "the directory of the zip archive is longer than its entries",
					 err);
	}
	assert(zip->at <= zip->directory_end);
	const uint8_t *entry = zip->file + zip->at;
	const size_t room = zip->directory_end - zip->at;
	if (room < ENTRY_BYTES || little_read(entry, 4) != signature_entry) {
		return damaged(zip, "the directory of the zip archive lacks entries", err);
	}
	struct zip_member member = {
		.name = (const char *)entry + ENTRY_BYTES,
		.name_len = (size_t)little_read(entry + 28, 2),
		.crc = (uint32_t)little_read(entry + 16, 4),
	};
	const size_t extra_len = (size_t)little_read(entry + 30, 2);
	const size_t entry_bytes =
		ENTRY_BYTES + member.name_len + extra_len + (size_t)little_read(entry + 32, 2);
	struct sizes sizes = {
		.bytes = little_read(entry + 24, 4),
		.packed_bytes = little_read(entry + 20, 4),
		.at = little_read(entry + 42, 4),
	};
	if (entry_bytes > room ||
		!read_extra(entry + ENTRY_BYTES + member.name_len, extra_len, &sizes)) {
		return damaged(zip, "an entry of the directory of the zip archive is too long",
			err);
	}
	char quoted[ERROR_QUOTE_BYTES];
	const uint64_t method = little_read(entry + 10, 2);
	if ((little_read(entry + 8, 2) & FLAG_ENCRYPTED) != 0 ||
		(method != ZIP_STORED && method != ZIP_DEFLATED)) {
		return error_set(err, STATUS_UNSUPPORTED,
			"'%s: %s': method %" PRIu64
			" of the zip archive%s; members that are stored (np.savez) or deflated (np.savez_compressed) are read",
			zip->name, error_quote(quoted, member.name, member.name_len), method,
			method == ZIP_STORED || method == ZIP_DEFLATED ? ", encrypted" : "");
	}
	member.method = (enum zip_method)method;
	member.bytes = sizes.bytes;
	const enum status status = find_bytes(zip, &sizes, &member, err);
	if (status != STATUS_OK) {
		return status;
	}
	if (member.method == ZIP_STORED && member.bytes != member.packed_bytes) {
		return damaged_member(zip, &member, "it is stored and has two sizes", err);
	}
	zip->at += entry_bytes;
	zip->left--;
	*out = member;
	return STATUS_OK;
}
