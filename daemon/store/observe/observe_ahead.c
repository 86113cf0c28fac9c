/* observe_ahead.c - the tables that a batch of samples is for, and its keys of each. */
#include "daemon/store/observe/observe_ahead.h"

#include "daemon/store/observe/observe.h"
#include "daemon/store/snapshot/layer.h"
#include "daemon/store/snapshot/level.h"

/* The keys that the samples have for a table, if it could have them. */
static void take_keys(const struct observation *given, const struct table *table,
	struct write_ahead_part *part)
{
	part->keys = table->spec.entity == ENTITY_USER ? &given->users : &given->items;
	part->table = part->keys->type == table->spec.key_type ? table : NULL;
}

static bool part_at(const void *write, const struct release *release, size_t i,
	struct write_ahead_part *part)
{
	const struct observation *given = write;
	const struct table *table = NULL;
	part->table = NULL;
	if (given->table != NULL) {
		if (i == 0 && release_table(release, given->table, &table, NULL) == STATUS_OK) {
			take_keys(given, table, part);
		}
		return i == 0;
	}
	if (i < release->table_count && layer_has(release->tables[i], given->layer)) {
		take_keys(given, release->tables[i], part);
	}
	return i < release->table_count;
}

struct write_ahead observe_ahead(const struct observation *given)
{
	return (struct write_ahead){
		.release = given->release,
		.at = part_at,
		.write = given,
		.wants = FIND_ROWS | FIND_TIMES | FIND_TAGS | FIND_LOWS,
		.stop = given->stop,
	};
}
