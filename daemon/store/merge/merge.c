/* merge.c - asks the merger for a merge of all tables, or of some, and waits for it. */
#include "daemon/store/merge/merge.h"

#include "daemon/store/merge/merge_ask.h"
#include "daemon/store/state/reader.h"
#include "daemon/store/state/state.h"

#include <stdio.h>
#include <string.h>

static enum status ask(struct store *store, enum merge_reason reason,
	const struct merge_scope *scope, const struct stop *stop, struct merge_result *out,
	struct error *err)
{
	struct merge_ask wanted = {.reason = reason};
	if (scope != NULL) {
		wanted.scope = *scope;
	}
	const enum status status =
		merge_asks_wait(merger_asks(store->merger), store, &wanted, stop, err);
	*out = wanted.result;
	return status;
}

enum status store_merge(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err)
{
	return ask(store, MERGE_ASKED, NULL, stop, out, err);
}

enum status store_merge_full(struct store *store, const struct stop *stop, struct merge_result *out,
	struct error *err)
{
	return ask(store, MERGE_FULL, NULL, stop, out, err);
}

/* Says which table there is not, and as many as there is room for of those that there are. */
static enum status unknown(const struct release *release, const char *name, struct error *err)
{
	char there[300] = "";
	size_t len = 0;
	size_t i = 0;
	for (; i < release->table_count; i++) {
		const char *of = release->tables[i]->spec.name.text;
		if (len + strlen(of) + sizeof ", '' and more" > sizeof there) {
			break;
		}
		len += (size_t)snprintf(there + len, sizeof there - len, "%s'%s'",
			i > 0 ? ", " : "", of);
	}
	return error_set(err, STATUS_NOT_FOUND,
		"table: '%s' is not in release '%s', which has %s%s", name, release->id.text,
		release->table_count == 0 ? "none" : there,
		i < release->table_count ? " and more" : "");
}

enum status merge_scope_of(struct store *store, const struct merge_tables *which,
	struct merge_scope *out, struct error *err)
{
	const struct release *release = NULL;
	const struct snapshot *snapshot = snapshot_begin(store);
	enum status status = snapshot_release(snapshot, which->release, &release, err);
	if (status == STATUS_OK && release->state != RELEASE_SEALED) {
		status = error_set(err, STATUS_NOT_SEALED,
			"release: '%s' is not sealed, so its tables have no files yet",
			release->id.text);
	}
	*out = (struct merge_scope){0};
	for (size_t i = 0; status == STATUS_OK && i < which->count; i++) {
		const struct table *table = NULL;
		out->release = release->number;
		if (release_table(release, which->names[i].text, &table, NULL) != STATUS_OK) {
			status = unknown(release, which->names[i].text, err);
		} else if (!merge_scope_has(out, release->number, table->number) || i == 0) {
			out->tables[out->count++] = table->number;
		}
	}
	if (status == STATUS_OK) {
		out->release = release->number;
	}
	snapshot_end(store);
	return status;
}

enum status store_merge_tables(struct store *store, const struct merge_tables *which,
	const struct stop *stop, struct merge_result *out, struct error *err)
{
	struct merge_scope scope;
	const enum status status = merge_scope_of(store, which, &scope, err);
	return status == STATUS_OK
		       ? ask(store, which->full ? MERGE_FULL : MERGE_ASKED, &scope, stop, out, err)
		       : status;
}
