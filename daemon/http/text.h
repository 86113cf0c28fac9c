/* text.h - a text that grows: what an answer over HTTP is made of.
 *
 * After an allocation was refused, all calls do nothing, and `failed` says so.
 *
 * Threads: one at a time.
 */
#ifndef DAEMON_HTTP_TEXT_H
#define DAEMON_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it is empty. */
struct text {
	char *data; /* owned; NUL-terminated once something was added */
	size_t len;
	size_t cap;
	bool failed;
};

void text_fini(struct text *text);

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a text that a peer may have chosen, in double quotes, as a label of a metric: backslash, quote
 * and newline are escaped. */
void text_add_label(struct text *text, const char *value);

/* The same as a JSON string. Bytes that are no UTF-8, control characters, and what could end a script
 * element are escaped. */
void text_add_json(struct text *text, const char *value);

#endif
