/* dump_format.h - the msgpack dump: a stream of MessagePack maps.
 *
 *   {format: "repstore-dump", version: 1, table, entity, kind, dim, views, dtype, key,
 *    ttl_ms, tags}                                    first: what the table is
 *   {n, keys: bin, rows: bin, scales?: bin f32[n], times?: bin i64[n], tags?: bin u64[n]}
 *                                                     then, any number of times: rows
 *   {rows: uint}                                      last: how many there were
 *
 * Keys and rows are packed as on the wire (schema/PROTOCOL.md); dtype is that of the
 * rows. A stream without its last map was cut off. A reader refuses other versions.
 */
#ifndef TOOLS_FORMAT_DUMP_FORMAT_H
#define TOOLS_FORMAT_DUMP_FORMAT_H

#define DUMP_FORMAT_NAME "repstore-dump"

/* RAW: the rows are the sums of a table of kind cr, and each map has their `weights`: bin f32[n].
 * It is a version of its own, so that a reader that does not know it does not take sums for rows.
 */
enum { DUMP_FORMAT_VERSION = 1, DUMP_FORMAT_VERSION_RAW = 2 };

#endif
