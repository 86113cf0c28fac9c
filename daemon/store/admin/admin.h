/* admin.h - releases, their tables and tensors: create, publish, roll back, drop.
 *
 * Each is one change of the catalog, durable when the call returns (change.h).
 *
 * Threads: any, one after the other (admin_lock).
 */
#ifndef DAEMON_STORE_ADMIN_ADMIN_H
#define DAEMON_STORE_ADMIN_ADMIN_H

#include "schema/name.h"
#include "schema/spec.h"
#include "schema/status.h"
#include "schema/tensor.h"

#include <stdint.h>

struct default_row;
struct stop;
struct store;

struct release_labels {
	const char *model;      /* borrowed; NULL: "" */
	const char *checkpoint; /* borrowed; NULL: "" */
};

enum status store_release_create(struct store *store, const struct name *id,
	const struct release_labels *labels, uint64_t *number, struct error *err);
/* Both read the release in before anything changes, until `caller` (NULL: nothing) ends that.
 * previous: "" when there was none. */
enum status store_release_publish(struct store *store, const char *id, const struct stop *caller,
	struct name *previous, struct error *err);
enum status store_release_rollback(struct store *store, const struct stop *caller, struct name *now,
	struct name *previous, struct error *err);
enum status store_release_drop(struct store *store, const char *id, struct error *err);
/* Chooses the layer that a table's name without @layer means. previous: "" when there was none. */
enum status store_layer_choose(struct store *store, const char *release, const char *layer,
	struct name *chosen_in, struct name *previous, struct error *err);
/* row: borrowed, the row of a spec with DEFAULT_ROW; NULL for any other. Errors: TOO_LARGE  also when
 * the default rows of all tables would take more than LIMIT_DEFAULTS_BYTES. */
enum status store_table_create(struct store *store, const char *release,
	const struct table_spec *spec, const struct default_row *row, struct error *err);

struct tensor_given {
	struct tensor_spec spec;
	const uint8_t *data; /* borrowed; tensor_bytes(&spec) */
};
/* Puts 1 to LIMIT_TENSORS_PUT tensors, no two of one name, into a release, open or sealed. Each
 * replaces one of the same name. Readers see all of them or none, and so does a restart. Errors,
 * after which nothing has changed: NOT_FOUND  the release; TOO_LARGE  LIMIT_TENSORS; DISK_FULL, IO,
 * NO_MEMORY. */
enum status store_tensors_put(struct store *store, const char *release,
	const struct tensor_given *given, size_t count, struct name *resolved,
	struct error *err); /* resolved: the release that it was */
enum status store_tensor_delete(struct store *store, const char *release, const char *tensor,
	struct name *resolved, struct error *err);

#endif
