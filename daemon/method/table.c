/* table.c - which methods are there, where does each run, what may each be given? */
#include "daemon/method/methods.h"

#include "daemon/method/service.h"
#include "daemon/store/grace.h"
#include "daemon/store/load.h"
#include "daemon/store/write.h"

#include <string.h>

const char *const no_names[] = {NULL};
const char *const release_only_names[] = {"release", NULL};
const char *const release_table_names[] = {"release", "table", NULL};

/* In the order of their names: method_find looks by halves. */
const struct method method_table[] = {
	{"delete", METHOD_WRITE, delete_run},
	{"fetch", METHOD_INLINE, fetch_run},
	{"hello", METHOD_INLINE, hello_run},
	{"info", METHOD_INLINE, info_run},
	{"layer.choose", METHOD_ADMIN, layer_choose_run},
	{"layer.list", METHOD_INLINE, layer_list_run},
	{"load", METHOD_LOAD, load_run},
	{"load.abort", METHOD_LOAD, load_abort_run},
	{"load.end", METHOD_LOAD, load_end_run},
	{"merge", METHOD_MERGE, merge_run},
	{"observe", METHOD_WRITE, observe_run},
	{"ping", METHOD_INLINE, ping_run},
	{"positions", METHOD_WRITE, positions_run},
	{"put", METHOD_WRITE, put_run},
	{"release.create", METHOD_ADMIN, release_create_run},
	{"release.drop", METHOD_ADMIN, release_drop_run},
	{"release.list", METHOD_INLINE, release_list_run},
	{"release.publish", METHOD_ADMIN, release_publish_run},
	{"release.rollback", METHOD_ADMIN, release_rollback_run},
	{"release.seal", METHOD_SEAL, release_seal_run},
	{"release.show", METHOD_POOL, release_show_run},
	{"retrieve", METHOD_SEARCH, retrieve_run},
	{"scan", METHOD_POOL, scan_run},
	{"score", METHOD_SEARCH, score_run},
	{"stats", METHOD_POOL, stats_run},
	{"table.create", METHOD_ADMIN, table_create_run},
	{"table.list", METHOD_INLINE, table_list_run},
	{"table.show", METHOD_INLINE, table_show_run},
	{"tensor.delete", METHOD_ADMIN, tensor_delete_run},
	{"tensor.get", METHOD_POOL, tensor_get_run},
	{"tensor.list", METHOD_INLINE, tensor_list_run},
	{"tensor.put", METHOD_ADMIN, tensor_put_run},
};
const size_t method_count = sizeof method_table / sizeof method_table[0];

/* Beside method_table, entry by entry. */
static const char *const *const names_table[] = {
	delete_names,
	fetch_names,
	hello_names,
	no_names, /* info */
	layer_choose_names,
	release_only_names, /* layer.list */
	load_names,
	load_abort_names,
	load_end_names,
	no_names, /* merge */
	observe_names,
	no_names,
	release_only_names, /* ping, positions */
	put_names,
	release_create_names,
	release_only_names, /* release.drop */
	no_names,           /* release.list */
	release_only_names, /* release.publish */
	no_names,           /* release.rollback */
	release_only_names, /* release.seal */
	release_only_names, /* release.show */
	retrieve_names,
	scan_names,
	score_names,
	no_names, /* stats */
	table_create_names,
	release_only_names,  /* table.list */
	release_table_names, /* table.show */
	tensor_names,
	tensor_names,
	release_only_names, /* tensor.list */
	tensor_put_names,
};
_Static_assert(sizeof names_table / sizeof names_table[0] ==
		       sizeof method_table / sizeof method_table[0],
	"each method has its names");

const char *const *method_names(const struct method *method)
{
	return names_table[method - method_table];
}

/* As strcmp of `name` cut at `len` with `method`. */
static int compare(const char *name, size_t len, const char *method)
{
	int order = strncmp(name, method, len);
	return order != 0 || method[len] == '\0' ? order : -1;
}

const struct method *method_find(const char *name, size_t len)
{
	size_t from = 0;
	size_t to = method_count;
	if (len == 0 || memchr(name, '\0', len) != NULL) {
		return NULL;
	}
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = compare(name, len, method_table[middle].name);
		if (order == 0) {
			return &method_table[middle];
		}
		if (order < 0) {
			to = middle;
		} else {
			from = middle + 1;
		}
	}
	return NULL;
}

enum status method_load_sync(struct service *service, struct error *err)
{
	return store_load_sync(service->store, err);
}

bool method_load_is_full(struct service *service)
{
	return store_load_is_full(service->store);
}

void method_write_then(struct write_ticket *ticket,
	void (*done)(void *arg, enum status status, const struct error *err), void *arg)
{
	store_write_then(ticket, done, arg);
}

void method_thread_begin(void)
{
	grace_register();
}

void method_thread_end(void)
{
	grace_unregister();
}
