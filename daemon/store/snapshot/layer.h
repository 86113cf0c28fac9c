/* layer.h - extraction layers: the tables of kind cr of one release that are fed by the same
 * samples.
 *
 * cr_user@fm and cr_item@fm are tables of layer fm. All aggregating tables of a layer take each
 * sample of it, the users' under its user, the items' under its item; so they agree in the length
 * of a row, and those of one entity in the type of key.
 *
 * Threads: any, within a snapshot; a change is the admin's.
 */
#ifndef DAEMON_STORE_SNAPSHOT_LAYER_H
#define DAEMON_STORE_SNAPSHOT_LAYER_H

#include "daemon/store/snapshot/snapshot.h"

/* Whether a table aggregates samples of this layer. */
bool layer_has(const struct table *table, const char *layer);

/* What all tables of a layer have in common. */
struct layer_shape {
	uint32_t dim;
	uint32_t views;
	enum key_type user_key; /* KEY_NONE: no table of users */
	enum key_type item_key;
	size_t tables;
};
/* Errors: NOT_FOUND  no table of the release aggregates this layer. */
enum status layer_find(const struct release *release, const char *layer, struct layer_shape *out,
	struct error *err);

/* Whether a new table fits those of its layer. Errors: BAD_REQUEST; TOO_LARGE. */
enum status layer_check_table(const struct release *release, const struct table_spec *spec,
	struct error *err);

/* The first layer of a release is chosen until another one is. */
void layer_choose_first(struct release *release, const struct table_spec *spec);

#endif
