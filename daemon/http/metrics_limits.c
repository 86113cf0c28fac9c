/* metrics_limits.c - the settings that are limits, to be held against what they bound. */
#include "daemon/http/metrics.h"

#include "daemon/http/exposition.h"
#include "daemon/net/net_figures.h"
#include "daemon/store/figures.h"

static void write_limit(struct text *text, const char *name, const struct limit_figure *limit)
{
	if (limit->unit == LIMIT_IN_MS) {
		metric_ms(text, name, LABELS("setting", limit->setting), (int64_t)limit->value);
	} else {
		metric_uint(text, name, LABELS("setting", limit->setting), limit->value);
	}
}

void metrics_of_limits(struct text *text, const struct stats_sources *net,
	const struct store_figures *figures)
{
	static const struct {
		const char *name;
		const char *help;
	} units[] = {
		[LIMIT_IN_COUNT] = {"limit_number",
			"Settings that bound how many there are of something."},
		[LIMIT_IN_BYTES] = {"limit_bytes",
			"Settings that are sizes; least_rate is of a second."},
		[LIMIT_IN_MS] = {"limit_seconds", "Settings that are times."},
	};
	const struct limit_figure reserve = {"disk_reserve", LIMIT_IN_BYTES, figures->disk_reserve};
	struct limit_figure limits[NET_LIMITS];
	net_figures_limits(net, limits);
	for (unsigned unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
		metric_head(text, units[unit].name, "gauge", units[unit].help);
		for (unsigned i = 0; i < NET_LIMITS; i++) {
			if ((unsigned)limits[i].unit == unit) {
				write_limit(text, units[unit].name, &limits[i]);
			}
		}
		if ((unsigned)reserve.unit == unit) {
			write_limit(text, units[unit].name, &reserve);
		}
	}
}
