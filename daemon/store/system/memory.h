/* memory.h - how much memory the process may take, and in which pages.
 *
 * Threads: any.
 */
#ifndef DAEMON_STORE_SYSTEM_MEMORY_H
#define DAEMON_STORE_SYSTEM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* That of the machine, or the limit of the control group that the process is in (MemoryMax= of a service), whichever
 * is less. Files that are mapped count to it too. 0: it cannot be told.
 * Source: cgroups(7), both versions. */
uint64_t memory_limit_bytes(void);

/* The limit of the group alone, from files of these names, for tests: what /proc/self/cgroup and /sys/fs/cgroup are
 * otherwise. UINT64_MAX: there is none. */
uint64_t memory_group_limit_bytes(const char *own_groups, const char *groups);

/* Asks the system for pages of 2 MiB in the place of those of 4 KiB in memory that nobody has written to yet, as far as
 * such pages lie within it: fewer faults, and fewer misses of the TLB. It is a wish; a system that has none gives small
 * ones. */
void memory_want_huge(void *at, size_t bytes);

/* Of a processor of x86-64, and of one of ARM with pages of 4 KiB. */
enum { MEMORY_HUGE_BYTES = 2 << 20 };

/* Maps whole huge pages and no more: an allocator that aligns would keep as much again in front of them. `bytes`: a
 * multiple of MEMORY_HUGE_BYTES. Zeroed; the caller unmaps it. NULL: no memory. */
void *memory_map_huge(size_t bytes);

#endif
