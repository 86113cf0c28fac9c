/* utf8.h - whether text is UTF-8. Answers carry text as str, which strict readers of MessagePack and
 * of JSON refuse as a whole message when one byte of it is not.
 *
 * Threads: any; there is no state.
 * Source: RFC 3629, section 4
 */
#ifndef SCHEMA_UTF8_H
#define SCHEMA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of `text` up to the first that begins no well-formed sequence; `len` when all are UTF-8.
 * Surrogates and overlong forms are not. */
size_t utf8_valid_bytes(const void *text, size_t len);

/* Puts '?' in the place of each byte that is not UTF-8. */
void utf8_repair(void *text, size_t len);

#endif
