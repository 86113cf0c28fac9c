/* metrics_process.c - the seven standard metrics of a process. */
#include "daemon/http/metrics.h"

#include "daemon/http/exposition.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void number(struct text *text, const char *name, const char *type, const char *help,
	double value)
{
	metric_head(text, name, type, help);
	metric_double(text, name, NULL, value);
}

static double cpu_seconds(void)
{
	struct timespec used;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	double count = 0;
	while (folder != NULL && readdir(folder) != NULL) {
		count++;
	}
	if (folder != NULL) {
		(void)closedir(folder);
	}
	return count > 3 ? count - 3 : 0; /* . and .. and its own */
}

/* A limit that is none is left out by what reads it: -1 is what other programs say. */
static double limit_of(__rlimit_resource_t which)
{
	struct rlimit limit;
	if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
		return -1;
	}
	return (double)limit.rlim_cur;
}

/* Zero where there is no /proc. */
static void read_memory(double *virtual_bytes, double *resident_bytes)
{
	char line[128] = "";
	FILE *file = fopen("/proc/self/statm", "re");
	if (file != NULL) {
		(void)!fgets(line, sizeof line, file);
		(void)fclose(file);
	}
	char *rest;
	const unsigned long long pages = strtoull(line, &rest, 10);
	const unsigned long long resident = strtoull(rest, NULL, 10);
	*virtual_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
	*resident_bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
}

uint64_t process_resident_bytes(void)
{
	double virtual_bytes;
	double resident_bytes;
	read_memory(&virtual_bytes, &resident_bytes);
	return (uint64_t)resident_bytes;
}

void metrics_of_process(struct text *text, double started_s)
{
	double virtual_bytes;
	double resident_bytes;
	read_memory(&virtual_bytes, &resident_bytes);
	number(text, "process_cpu_seconds_total", "counter",
		"Total user and system CPU time spent in seconds.", cpu_seconds());
	number(text, "process_open_fds", "gauge", "Number of open file descriptors.",
		count_descriptors());
	number(text, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
		limit_of(RLIMIT_NOFILE));
	number(text, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
		virtual_bytes);
	number(text, "process_virtual_memory_max_bytes", "gauge",
		"Maximum amount of virtual memory available in bytes.", limit_of(RLIMIT_AS));
	number(text, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
		resident_bytes);
	number(text, "process_start_time_seconds", "gauge",
		"Start time of the process since unix epoch in seconds.", started_s);
}
