/* dump_format.h - the msgpack dump: a stream of MessagePack maps.
 *
 *   {format: "repstore-dump", version: 1, table, entity, kind, dim, views, dtype, key,
 *    ttl_ms, tags}                                    first: what the table is
 *   {n, keys: bin, rows: bin, scales?: bin f32[n], times?: bin i64[n], tags?: bin u64[n]}
 *                                                     then, any number of times: rows
 *   {rows: uint}                                      last: how many there were
 *
 * Keys and rows are packed as on the wire (schema/PROTOCOL.md); dtype is that of the
 * rows, but for sums (below). A stream without its last map was cut off. A reader refuses other versions.
 */
#ifndef TOOLS_FORMAT_DUMP_FORMAT_H
#define TOOLS_FORMAT_DUMP_FORMAT_H

#define DUMP_FORMAT_NAME "repstore-dump"

/* RAW: the rows are the sums of a table of kind cr, f64 whatever its dtype, and each map has their
 * `weights`: bin f64[n]. It is a version of its own, so that a reader that does not know it does not take
 * sums for rows. RAW_F32 is how version 0.1 wrote them: both in f32. */
enum {
	DUMP_FORMAT_VERSION = 1,
	DUMP_FORMAT_VERSION_RAW_F32 = 2,
	DUMP_FORMAT_VERSION_RAW = 3,
};

#endif
