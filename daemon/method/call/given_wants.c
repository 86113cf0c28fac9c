/* given_wants.c - reads which columns are wanted, and refuses those that a table has not. */
#include "daemon/method/call/given_wants.h"

#include "daemon/store/snapshot/snapshot.h"

unsigned given_wants_read(struct params *params, const struct table *table, enum dtype dtype)
{
	unsigned want = dtype == DTYPE_I8 ? WANT_SCALES : 0;
	want |= params_flag(params, "times") ? WANT_TIMES : 0;
	want |= params_flag(params, "tags") ? WANT_TAGS : 0;
	want |= params_flag(params, "why") ? WANT_WHY : 0;
	want |= params_flag(params, "weights") ? WANT_WEIGHTS : 0;
	want |= table->spec.history != 0 ? WANT_HISTORY | WANT_COUNTS : 0;
	want |= params_flag(params, "history_times") ? WANT_HISTORY_TIMES : 0;
	if ((want & WANT_HISTORY_TIMES) != 0 && table->spec.history == 0) {
		params_fail(params, STATUS_BAD_REQUEST, "history_times",
			"table '%s' has no histories", table->spec.name.text);
	}
	if ((want & WANT_TAGS) != 0 && !table->spec.tags) {
		params_fail(params, STATUS_BAD_REQUEST, "tags", "table '%s' has no tags",
			table->spec.name.text);
	}
	if ((want & WANT_WEIGHTS) != 0 && !spec_aggregates(&table->spec)) {
		params_fail(params, STATUS_BAD_REQUEST, "weights",
			"table '%s' is of kind %s%s, which has none", table->spec.name.text,
			kind_name(table->spec.kind), table->spec.history ? " with a history" : "");
	}
	return want;
}
