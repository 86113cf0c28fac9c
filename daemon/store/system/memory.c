/* memory.c - reads the limits of memory from the system, and maps huge pages. */
#include "daemon/store/system/memory.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The number in a file; UINT64_MAX: there is none, or it says that there is no limit. */
static uint64_t read_limit(const char *groups, const char *group, const char *name)
{
	char path[PATH_MAX];
	char text[32] = "";
	char *end = text;
	const int len = snprintf(path, sizeof path, "%s/%s/%s", groups, group, name);
	FILE *file = len > 0 && (size_t)len < sizeof path ? fopen(path, "re") : NULL;
	if (file == NULL) {
		return UINT64_MAX;
	}
	const bool has_text = fgets(text, sizeof text, file) != NULL;
	(void)fclose(file);
	const uint64_t limit = strtoull(text, &end, 10);
	return has_text && end != text ? limit : UINT64_MAX; /* "max" is no number */
}

/* A line of the list is "number:controllers:group"; the second version has neither. */
static uint64_t limit_of_line(const char *groups, char *line)
{
	char inside[PATH_MAX];
	line[strcspn(line, "\n")] = 0;
	char *controllers = strchr(line, ':');
	char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
	if (group == NULL) {
		return UINT64_MAX;
	}
	*group++ = 0;
	if (controllers[1] == 0) {
		return read_limit(groups, group, "memory.max");
	}
	const int len = snprintf(inside, sizeof inside, "%s/memory", groups);
	const bool fits = len > 0 && (size_t)len < sizeof inside;
	return fits && strcmp(controllers + 1, "memory") == 0
		       ? read_limit(inside, group, "memory.limit_in_bytes")
		       : UINT64_MAX;
}

uint64_t memory_group_limit_bytes(const char *own_groups, const char *groups)
{
	char line[PATH_MAX];
	uint64_t least = UINT64_MAX;
	FILE *file = fopen(own_groups, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		const uint64_t limit = limit_of_line(groups, line);
		least = limit < least ? limit : least;
	}
	if (file != NULL) {
		(void)fclose(file);
	}
	return least;
}

uint64_t memory_limit_bytes(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES);
	const long page_bytes = sysconf(_SC_PAGESIZE);
	const uint64_t group = memory_group_limit_bytes("/proc/self/cgroup", "/sys/fs/cgroup");
	if (pages <= 0 || page_bytes <= 0) {
		return group == UINT64_MAX ? 0 : group;
	}
	const uint64_t machine = (uint64_t)pages * (uint64_t)page_bytes;
	return machine < group ? machine : group;
}

void memory_want_huge(void *at, size_t bytes)
{
	const uintptr_t begin =
		((uintptr_t)at + MEMORY_HUGE_BYTES - 1) & ~(uintptr_t)(MEMORY_HUGE_BYTES - 1);
	const uintptr_t end = ((uintptr_t)at + bytes) & ~(uintptr_t)(MEMORY_HUGE_BYTES - 1);
	if (begin < end) {
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): within what was given. */
		(void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
	}
}

void *memory_map_huge(size_t bytes)
{
	const size_t whole = bytes + MEMORY_HUGE_BYTES;
	assert(bytes % MEMORY_HUGE_BYTES == 0);
	uint8_t *map =
		mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		return NULL;
	}
	const size_t in_front =
		(MEMORY_HUGE_BYTES - (uintptr_t)map % MEMORY_HUGE_BYTES) % MEMORY_HUGE_BYTES;
	if (in_front > 0) {
		(void)munmap(map, in_front);
	}
	(void)munmap(map + in_front + bytes, whole - in_front - bytes);
	memory_want_huge(map + in_front, bytes);
	return map + in_front;
}
