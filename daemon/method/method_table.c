/* method_table.c - the method table: where each method runs, who may call it, and the names that its
 * params may have. */
#include "daemon/method/methods.h"

#include "daemon/method/call/service.h"
#include "daemon/store/load/load.h"
#include "daemon/store/system/grace.h"
#include "daemon/store/write/write.h"

#include <assert.h>
#include <string.h>

/* Sorted by name: method_find is a binary search. */
const struct method method_table[] = {
	{"access.check", METHOD_OPERATOR, ROLE_ADMIN, access_check_run, access_check_names},
	{"append", METHOD_WRITE, ROLE_WRITE, append_run, append_names},
	{"backup", METHOD_BACKUP, ROLE_ADMIN, backup_run, backup_names},
	{"delete", METHOD_WRITE, ROLE_WRITE, delete_run, delete_names},
	{"fetch", METHOD_INLINE, ROLE_READ, fetch_run, fetch_names},
	{"hello", METHOD_INLINE, ROLE_ANYBODY, hello_run, hello_names},
	{"info", METHOD_INLINE, ROLE_READ, info_run, no_names},
	{"layer.choose", METHOD_ADMIN, ROLE_ADMIN, layer_choose_run, layer_choose_names},
	{"layer.list", METHOD_INLINE, ROLE_READ, layer_list_run, release_only_names},
	{"load", METHOD_LOAD, ROLE_WRITE, load_run, load_names},
	{"load.abort", METHOD_LOAD, ROLE_WRITE, load_abort_run, load_abort_names},
	{"load.end", METHOD_LOAD, ROLE_WRITE, load_end_run, load_end_names},
	{"merge", METHOD_MERGE, ROLE_ADMIN, merge_run, merge_names},
	{"observe", METHOD_WRITE, ROLE_WRITE, observe_run, observe_names},
	{"ping", METHOD_INLINE, ROLE_ANYBODY, ping_run, no_names},
	{"positions", METHOD_OPERATOR, ROLE_READ, positions_run, release_only_names},
	{"positions.forget", METHOD_WRITE, ROLE_ADMIN, positions_forget_run,
		positions_forget_names},
	{"put", METHOD_WRITE, ROLE_WRITE, put_run, put_names},
	{"release.adopt", METHOD_BACKUP, ROLE_ADMIN, release_adopt_run, release_adopt_names},
	{"release.create", METHOD_ADMIN, ROLE_WRITE, release_create_run, release_create_names},
	{"release.drop", METHOD_ADMIN, ROLE_ADMIN, release_drop_run, release_only_names},
	{"release.export", METHOD_BACKUP, ROLE_ADMIN, release_export_run, release_export_names},
	{"release.list", METHOD_INLINE, ROLE_READ, release_list_run, no_names},
	{"release.publish", METHOD_PUBLISH, ROLE_PUBLISH, release_publish_run, release_only_names},
	{"release.rollback", METHOD_ROLLBACK, ROLE_PUBLISH, release_rollback_run, no_names},
	{"release.seal", METHOD_SEAL, ROLE_WRITE, release_seal_run, release_only_names},
	{"release.show", METHOD_POOL, ROLE_READ, release_show_run, release_only_names},
	{"reload", METHOD_ROLLBACK, ROLE_ADMIN, reload_run, no_names},
	{"repair", METHOD_MERGE, ROLE_ADMIN, repair_run, repair_names},
	{"retrieve", METHOD_SEARCH, ROLE_READ, retrieve_run, retrieve_names},
	{"scan", METHOD_POOL, ROLE_READ, scan_run, scan_names},
	{"score", METHOD_SEARCH, ROLE_READ, score_run, score_names},
	{"slowlog", METHOD_OPERATOR, ROLE_ADMIN, slowlog_run, slowlog_names},
	{"stats", METHOD_OPERATOR, ROLE_READ, stats_run, no_names},
	{"table.create", METHOD_ADMIN, ROLE_WRITE, table_create_run, table_create_names},
	{"table.list", METHOD_INLINE, ROLE_READ, table_list_run, release_only_names},
	{"table.show", METHOD_INLINE, ROLE_READ, table_show_run, release_table_names},
	{"tensor.delete", METHOD_ADMIN, ROLE_WRITE, tensor_delete_run, tensor_names},
	{"tensor.get", METHOD_POOL, ROLE_READ, tensor_get_run, tensor_names},
	{"tensor.list", METHOD_INLINE, ROLE_READ, tensor_list_run, release_only_names},
	{"tensor.put", METHOD_ADMIN, ROLE_WRITE, tensor_put_run, tensor_put_names},
	{"verify", METHOD_VERIFY, ROLE_ADMIN, verify_run, verify_names},
	{"whoami", METHOD_INLINE, ROLE_ANYBODY, whoami_run, no_names},
};
const size_t method_count = sizeof method_table / sizeof method_table[0];

/* As strcmp of the first `len` bytes of `name` and the whole of `method`. */
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
	assert(from == to && to <= method_count);
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

bool method_write_is_crowded(struct service *service)
{
	return store_write_is_crowded(service->store);
}

void method_write_then(struct write_ticket *ticket,
	void (*done)(void *arg, enum status status, const struct error *err), void *arg)
{
	store_write_then(ticket, done, arg);
}

void method_thread_begin(void)
{
	grace_register();
	slot_take();
}

void method_thread_end(void)
{
	slot_give();
	grace_unregister();
}
