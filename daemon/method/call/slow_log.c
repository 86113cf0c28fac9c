/* slow_log.c - a ring of the last slow requests. */
#include "daemon/method/call/slow_log.h"

#include <assert.h>
#include <stdio.h>

enum { NS_PER_MS = 1000 * 1000 };

void slow_log_init(struct slow_log *log, unsigned threshold_ms)
{
	lock_init(&log->lock);
	log->count = 0;
	log->sum_us = 0;
	log->from = 1;
	slow_log_set_threshold(log, threshold_ms);
}

void slow_log_fini(struct slow_log *log)
{
	lock_fini(&log->lock);
}

void slow_log_set_threshold(struct slow_log *log, unsigned threshold_ms)
{
	atomic_store_explicit(&log->threshold_ns,
		threshold_ms == 0 ? UINT64_MAX : (uint64_t)threshold_ms * NS_PER_MS,
		memory_order_relaxed);
}

unsigned slow_log_threshold_ms(const struct slow_log *log)
{
	const uint64_t ns = atomic_load_explicit(&log->threshold_ns, memory_order_relaxed);
	return ns == UINT64_MAX ? 0 : (unsigned)(ns / NS_PER_MS);
}

void slow_log_add(struct slow_log *log, struct slow_entry *entry)
{
	lock_take(&log->lock);
	entry->id = ++log->count;
	log->sum_us += entry->total_us;
	log->entries[entry->id % SLOW_LOG_ENTRIES] = *entry;
	lock_release(&log->lock);
}

unsigned slow_log_read(struct slow_log *log, struct slow_entry *out, unsigned cap)
{
	unsigned count = 0;
	lock_take(&log->lock);
	const uint64_t kept = log->count > SLOW_LOG_ENTRIES ? log->count - SLOW_LOG_ENTRIES : 0;
	const uint64_t oldest = log->from > kept + 1 ? log->from : kept + 1;
	for (uint64_t id = log->count; id >= oldest && count < cap; id--) {
		out[count] = log->entries[id % SLOW_LOG_ENTRIES];
		assert(out[count].id == id);
		count++;
	}
	lock_release(&log->lock);
	return count;
}

void slow_log_reset(struct slow_log *log)
{
	lock_take(&log->lock);
	log->from = log->count + 1;
	lock_release(&log->lock);
}

void slow_log_figures(struct slow_log *log, uint64_t *count, uint64_t *sum_us)
{
	lock_take(&log->lock);
	*count = log->count;
	*sum_us = log->sum_us;
	lock_release(&log->lock);
}

void slow_entry_text(const struct slow_entry *entry, char *out, size_t size)
{
	const struct {
		const char *name;
		const char *value;
	} texts[] = {{"release", entry->release}, {"layer", entry->layer},
		{"tables", entry->tables}, {"peer", entry->peer}, {"client", entry->client},
		{"trace", entry->trace}};
	const char *code = entry->status == STATUS_OK ? "OK" : status_name(entry->status);
	const int head = snprintf(out, size, "method=%s code=%s", entry->method, code);
	size_t len = head > 0 && (size_t)head < size ? (size_t)head : 0;
	out[len] = '\0';
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (texts[i].value[0] == '\0') {
			continue;
		}
		const int more = snprintf(out + len, size - len, " %s=\"%s\"", texts[i].name,
			texts[i].value);
		if (more > 0 && (size_t)more < size - len) {
			len += (size_t)more;
		}
		out[len] = '\0';
	}
}
