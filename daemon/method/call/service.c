/* service.c - adds up what the threads have counted. */
#include "daemon/method/call/service.h"

#include "daemon/store/snapshot/table_counts.h"

#include <assert.h>

static_assert((int)TABLE_RESULTS == (int)WHY_COUNT, "a count for each result");

void service_figures(const struct service *service, struct service_figures *out)
{
	*out = (struct service_figures){0};
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		const struct service_slot *slot = &service->slots[i];
		for (unsigned why = 0; why < WHY_COUNT; why++) {
			out->fetch_counts[why] += counter_read(&slot->fetch_counts[why]);
		}
		histogram_read(&slot->fetch_keys, &out->fetch_keys);
		histogram_read(&slot->fetch_reply_bytes, &out->fetch_reply_bytes);
		histogram_read(&slot->compared_rows, &out->compared_rows);
		out->retrieves_exact += counter_read(&slot->retrieves_exact);
		out->retrieves_approximate += counter_read(&slot->retrieves_approximate);
	}
	histogram_read(&service->seal_times, &out->seal_times);
}

const char *service_why_name(enum why why)
{
	static const char *const names[WHY_COUNT] = {
		[WHY_FOUND] = "found",
		[WHY_ABSENT] = "absent",
		[WHY_EXPIRED] = "expired",
		[WHY_TOO_OLD] = "too_old",
		[WHY_CORRUPT] = "corrupt",
		[WHY_DEFAULTED] = "defaulted",
	};
	assert((unsigned)why < WHY_COUNT);
	return names[why];
}
