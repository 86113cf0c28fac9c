/* spin.h - whether who waits for a message looks for it before it sleeps: a loop of the daemon for requests, a
 * client for its answer.
 *
 * To wake a thread costs more than to answer a small request. Who looks again and again for a while needs no
 * waking when the next message comes within that while. It takes a processor for it, so it looks only while
 * messages do come so close together: after some looks in vain it sleeps at once, until a sleep was so short
 * that a look would have been enough.
 *
 * Threads: one at a time. Nothing here reads a clock.
 */
#ifndef SCHEMA_SPIN_H
#define SCHEMA_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SPIN_VAIN_MAX = 3,
	SPIN_US_MAX = 10000, /* of the settings of both */
};

/* Zeroed, it never looks. */
struct spin {
	uint64_t most_ns; /* how long to look; 0: not at all */
	unsigned vain;    /* looks in a row after which it had to sleep */
};

/* most_us: the setting. A process that has one processor only does not look, since its peer could not send
 * meanwhile. */
void spin_init(struct spin *spin, unsigned most_us);

/* Whether to look now. */
static inline bool spin_wanted(const struct spin *spin)
{
	return spin->most_ns > 0 && spin->vain < SPIN_VAIN_MAX;
}

/* A look has ended: there was something to do, or nothing. */
void spin_note_look(struct spin *spin, bool was_vain);

/* A sleep has ended, after so long. */
void spin_note_sleep(struct spin *spin, uint64_t slept_ns);

#endif
