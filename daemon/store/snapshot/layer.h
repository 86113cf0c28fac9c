/* layer.h - extraction layers: the aggregating tables of a release that take the same samples.
 *
 * cr_user@fm and cr_item@fm are tables of layer fm. Each sample of a layer goes into all of its
 * tables: into those of users under its user, into those of items under its item. So all tables of
 * a layer have rows of the same length, and those of one entity have the same type of key.
 *
 * Threads: any, within a snapshot. Only the admin's code changes a release.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LAYER_H
#define DAEMON_STORE_SNAPSHOT_LAYER_H

#include "daemon/store/snapshot/snapshot.h"

/* Whether a table aggregates samples of this layer. */
bool layer_has(const struct table *table, const char *layer);

/* What the tables of a layer have in common. */
struct layer_shape {
	uint32_t dim;
	uint32_t views;
	enum key_type user_key; /* KEY_NONE: there is no table of users */
	enum key_type item_key; /* KEY_NONE: there is no table of items */
	size_t tables;          /* how many there are */
};
/* Errors: NOT_FOUND  no table of the release aggregates this layer. */
enum status layer_find(const struct release *release, const char *layer, struct layer_shape *out,
	struct error *err);

/* Checks that a new table fits those of its layer, and that no table with a history has a layer's name. Errors: BAD_REQUEST; TOO_LARGE. */
enum status layer_check_table(const struct release *release, const struct table_spec *spec,
	struct error *err);

/* Chooses the layer of the release's first aggregating table. It stays the chosen one until another
 * one is chosen. */
void layer_choose_first(struct release *release, const struct table_spec *spec);

#endif
