/* role.h - what a peer may do: a set of roles, each of which lets it call some methods.
 *
 * A method wants one role (the method table says which). A peer has a set of them: those that the settings
 * give it, with all that they contain.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_ACCESS_ROLE_H
#define DAEMON_ACCESS_ROLE_H

#include <stddef.h>

/* Bits of a set. 0 is none of them, so that a method whose role was forgotten can be called by nobody. */
enum role {
	ROLE_ANYBODY = 1, /* everybody who is connected has it */
	ROLE_READ = 2,
	ROLE_WRITE = 4,   /* contains ROLE_READ */
	ROLE_PUBLISH = 8, /* contains ROLE_READ */
	ROLE_ADMIN = 16,  /* contains all */
};

enum {
	ROLE_COUNT = 5,
	/* The text of any set. */
	ROLE_TEXT_BYTES = 40,
};

/* The name of one role: "none" of ROLE_ANYBODY, as nobody has to give it; else "read" and so on. */
const char *role_name(enum role role);

/* The role number `i` of ROLE_COUNT, from the least to the most. */
enum role role_at(unsigned i);

/* The role of a name that the settings may give: "read", "write", "publish" or "admin". 0: it is none. */
enum role role_of_name(const char *name, size_t len);

/* All that a peer has whom the settings give this one. */
unsigned role_contained(enum role role);

/* Writes the names of a set, "read write"; "none" when nothing was given. Returns `out`. */
const char *role_text(char out[ROLE_TEXT_BYTES], unsigned roles);

#endif
