/* status.h - the closed set of outcomes, shared by disk, wire and library.
 *
 * A function that can fail returns an enum status and nothing else. Text is added where a person
 * will read it: error_set() fills a struct error. Any caller may pass NULL in its place.
 *
 * Threads: any; there is no state.
 */
#ifndef SCHEMA_STATUS_H
#define SCHEMA_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/* Numbers and names are part of the wire and never reused. The public header
 * of the client repeats them (client/status.c asserts that they agree). */
enum status {
	STATUS_OK = 0,
	STATUS_BAD_REQUEST = 1,  /* an argument is wrong; the text says which */
	STATUS_NOT_FOUND = 2,    /* no such release, table, load */
	STATUS_EXISTS = 3,       /* the name is taken */
	STATUS_CONFLICT = 4,     /* not while things are as they are (drop of the live release) */
	STATUS_NOT_SEALED = 5,   /* needs a sealed release */
	STATUS_SEALED = 6,       /* needs an unsealed release */
	STATUS_TOO_LARGE = 7,    /* over a limit; the text says which and how much is allowed */
	STATUS_BUSY = 8,         /* a bound is reached now; the same request may pass later */
	STATUS_GAP = 9,          /* a chunk or position beyond the next expected one */
	STATUS_DENIED = 10,      /* not allowed to this peer */
	STATUS_CORRUPT = 11,     /* stored bytes are damaged; never a wrong answer instead */
	STATUS_DISK_FULL = 12,   /* nothing was kept of the request */
	STATUS_READ_ONLY = 13,   /* writes have stopped until a restart */
	STATUS_NO_MEMORY = 14,   /* an allocation was refused; nothing has changed */
	STATUS_IO = 15,          /* the system said no: file, folder, socket */
	STATUS_UNSUPPORTED = 16, /* a format, version or method that this build does not know */
	STATUS_PROTOCOL = 17,    /* the byte stream is not what the protocol allows */
	STATUS_TIMEOUT = 18,     /* the client stopped waiting; the outcome is not known */
	STATUS_CLOSED = 19,      /* the connection is gone */
	STATUS_INTERNAL = 20,    /* a mistake of ours */
	STATUS_COUNT,       /* those above are on the wire, those below only inside a process */
	STATUS_AGAIN = 100, /* needs more bytes, or a thread that may block */
};

enum { ERROR_TEXT_BYTES = 480 };

/* What went wrong, for a person. A value: copy it freely. */
struct error {
	enum status status;
	char text[ERROR_TEXT_BYTES]; /* NUL-terminated, no newline, printable */
};

/* The upper-case name, which never changes: "NOT_FOUND". Numbers that are not on the wire, also
 * STATUS_AGAIN, give "INTERNAL". */
const char *status_name(enum status status);

/* The status of a name that came over the wire; STATUS_INTERNAL when unknown. */
enum status status_of_name(const char *name, size_t len);

/* The status that a system error number means (ENOSPC, EDQUOT, EFBIG: DISK_FULL;
 * ENOMEM, EMFILE, ENFILE: NO_MEMORY; ENOENT: NOT_FOUND; everything else: IO). */
enum status status_of_errno(int error_number);

/* Fills `err` (may be NULL) and returns `status`, so that callers can write
 * `return error_set(err, STATUS_IO, "open '%s': %s", ...)`. A text that is too long is cut; bytes
 * that are not printable ASCII become '?'. */
enum status error_set(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The longest name fits, and "..." behind a text that is cut. */
enum { ERROR_QUOTE_BYTES = 136 };

/* Writes text from outside into `out`, so that an error can quote it with '%s'. A byte that is not
 * printable ASCII, also a NUL, becomes '?'; a text that is too long is cut. Returns `out`. */
const char *error_quote(char out[ERROR_QUOTE_BYTES], const void *text, size_t len);

#endif
