/* zip_write.c - writes members with their headers, and the directory behind them. */
#include "tools/format/zip_write.h"

#include "tools/format/little.h"
#include "tools/format/output.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

enum {
	VERSION = 45,           /* of the format: the first that has zip64 */
	DATE_1980 = 1 << 5 | 1, /* the first that there is, so that equal rows make equal files */
	HEADER_BYTES = 30,
	HEADER_EXTRA_BYTES = 4 + 16,
	ENTRY_BYTES = 46,
	ENTRY_EXTRA_BYTES = 4 + 24,
	END64_BYTES = 56,
	LOCATOR_BYTES = 20,
	END_BYTES = 22,
	NAME_BYTES_MAX = 160,
};

/* A record under construction: numbers, one after the other. */
struct record {
	uint8_t bytes[ENTRY_BYTES + ENTRY_EXTRA_BYTES + NAME_BYTES_MAX];
	size_t len;
};

static void add(struct record *record, size_t bytes, uint64_t value)
{
	assert(record->len + bytes <= sizeof record->bytes);
	little_write(record->bytes + record->len, bytes, value);
	record->len += bytes;
}

static void add_name(struct record *record, const char *name)
{
	const size_t len = strlen(name);
	assert(len <= NAME_BYTES_MAX && record->len + len <= sizeof record->bytes);
	memcpy(record->bytes + record->len, name, len);
	record->len += len;
}

/* What a member's header and its entry begin with: from the version to the length of the name. */
static void add_facts(struct record *record, const char *name, uint32_t crc)
{
	add(record, 2, VERSION);
	add(record, 2, 0); /* flags */
	add(record, 2, 0); /* stored */
	add(record, 2, 0); /* midnight */
	add(record, 2, DATE_1980);
	add(record, 4, crc);
	add(record, 4, UINT32_MAX); /* both sizes stand in the field of zip64 */
	add(record, 4, UINT32_MAX);
	add(record, 2, strlen(name));
}

static void add_zip64(struct record *record, size_t bytes, uint64_t len)
{
	add(record, 2, 1); /* the field's number */
	add(record, 2, bytes - 4);
	add(record, 8, len);
	add(record, 8, len);
}

static enum status write_bytes(struct zip_writer *writer, const void *data, size_t len,
	struct error *err)
{
	writer->at += len;
	return output_write(writer->output, data, len, err);
}

/* Writes the header of a member, and adds its entry to the directory. */
static enum status begin_member(struct zip_writer *writer, const char *name, const void *data,
	size_t len, struct error *err)
{
	const uint32_t crc = (uint32_t)crc32_z(0, len > 0 ? data : "", len);
	struct record header = {0};
	struct record entry = {0};
	add(&header, 4, 0x04034b50);
	add_facts(&header, name, crc);
	add(&header, 2, HEADER_EXTRA_BYTES);
	assert(header.len == HEADER_BYTES);
	add_name(&header, name);
	add_zip64(&header, HEADER_EXTRA_BYTES, len);
	assert(header.len == zip_write_header_bytes(name));

	add(&entry, 4, 0x02014b50);
	add(&entry, 2, VERSION);
	add_facts(&entry, name, crc);
	add(&entry, 2, ENTRY_EXTRA_BYTES);
	add(&entry, 2, 0); /* comment */
	add(&entry, 2, 0); /* disk */
	add(&entry, 2, 0); /* attributes */
	add(&entry, 4, 0);
	add(&entry, 4, UINT32_MAX); /* where it is stands in the field of zip64, too */
	assert(entry.len == ENTRY_BYTES);
	add_name(&entry, name);
	add_zip64(&entry, ENTRY_EXTRA_BYTES, len);
	add(&entry, 8, writer->at);

	if (buffer_add(&writer->directory, entry.bytes, entry.len) != STATUS_OK) {
		return error_set(err, STATUS_NO_MEMORY, "no memory for the directory of '%s'",
			writer->output->path);
	}
	writer->members++;
	return write_bytes(writer, header.bytes, header.len, err);
}

enum status zip_write_member(struct zip_writer *writer, const char *name, const void *data,
	size_t len, struct error *err)
{
	const enum status status = begin_member(writer, name, data, len, err);
	return status == STATUS_OK ? write_bytes(writer, data, len, err) : status;
}

size_t zip_write_header_bytes(const char *name)
{
	return HEADER_BYTES + strlen(name) + HEADER_EXTRA_BYTES;
}

enum status zip_write_placed(struct zip_writer *writer, const char *name, const void *data,
	size_t len, struct error *err)
{
	const enum status status = begin_member(writer, name, data, len, err);
	if (status == STATUS_OK && fseeko(writer->output->file, (off_t)len, SEEK_CUR) != 0) {
		return error_set(err, STATUS_IO, "'%s': it has no places to go to",
			writer->output->path);
	}
	writer->at += len;
	return status;
}

enum status zip_write_end(struct zip_writer *writer, struct error *err)
{
	struct record end = {0};
	const uint64_t directory_at = writer->at;
	const uint64_t end_at = directory_at + writer->directory.len;
	add(&end, 4, 0x06064b50);
	add(&end, 8, END64_BYTES - 12);
	add(&end, 2, VERSION);
	add(&end, 2, VERSION);
	add(&end, 4, 0); /* this disk, and that of the directory */
	add(&end, 4, 0);
	add(&end, 8, writer->members);
	add(&end, 8, writer->members);
	add(&end, 8, writer->directory.len);
	add(&end, 8, directory_at);
	assert(end.len == END64_BYTES);
	add(&end, 4, 0x07064b50);
	add(&end, 4, 0);
	add(&end, 8, end_at);
	add(&end, 4, 1); /* disks */
	assert(end.len == END64_BYTES + LOCATOR_BYTES);
	add(&end, 4, 0x06054b50);
	add(&end, 4, 0);          /* disks */
	add(&end, 4, UINT32_MAX); /* entries: twice 16 bits, both in the record before */
	add(&end, 4, UINT32_MAX);
	add(&end, 4, UINT32_MAX);
	add(&end, 2, 0); /* comment */
	assert(end.len == END64_BYTES + LOCATOR_BYTES + END_BYTES);
	const enum status status =
		write_bytes(writer, writer->directory.data, writer->directory.len, err);
	return status == STATUS_OK ? write_bytes(writer, end.bytes, end.len, err) : status;
}

void zip_writer_fini(struct zip_writer *writer)
{
	buffer_fini(&writer->directory);
}
