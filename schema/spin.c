/* spin.c - when to look, and when to leave it. */
#include "schema/spin.h"

#include <sched.h>

static bool has_other_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
}

void spin_init(struct spin *spin, unsigned most_us)
{
	*spin = (struct spin){
		.most_ns = has_other_processors() ? (uint64_t)most_us * 1000 : 0,
	};
}

void spin_note_look(struct spin *spin, bool was_vain)
{
	spin->vain = was_vain ? spin->vain + 1 : 0;
}

void spin_note_sleep(struct spin *spin, uint64_t slept_ns)
{
	if (slept_ns < spin->most_ns) {
		spin->vain = 0;
	}
}
