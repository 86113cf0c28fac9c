/* local_methods.c - the methods of the daemon that only read what is in the folder. */
#include "daemon/local/local_methods.h"

#include "daemon/local/local.h"
#include "daemon/local/local_release.h"
#include "daemon/method/methods.h"

#include <assert.h>
#include <string.h>

/* As in the daemon's method table, which would need all that writes. */
const struct method local_methods[] = {
	{"fetch", METHOD_INLINE, ROLE_READ, fetch_run, fetch_names},
	{"hello", METHOD_INLINE, ROLE_ANYBODY, hello_run, hello_names},
	{"info", METHOD_INLINE, ROLE_READ, info_run, no_names},
	{"layer.list", METHOD_INLINE, ROLE_READ, layer_list_run, release_only_names},
	{"ping", METHOD_INLINE, ROLE_ANYBODY, ping_run, no_names},
	{"release.list", METHOD_INLINE, ROLE_READ, release_list_run, no_names},
	{"release.show", METHOD_POOL, ROLE_READ, local_release_show_run, release_only_names},
	{"retrieve", METHOD_SEARCH, ROLE_READ, retrieve_run, retrieve_names},
	{"scan", METHOD_POOL, ROLE_READ, scan_run, scan_names},
	{"score", METHOD_SEARCH, ROLE_READ, score_run, score_names},
	{"table.list", METHOD_INLINE, ROLE_READ, table_list_run, release_only_names},
	{"table.show", METHOD_INLINE, ROLE_READ, table_show_run, release_table_names},
	{"tensor.get", METHOD_POOL, ROLE_READ, tensor_get_run, tensor_names},
	{"tensor.list", METHOD_INLINE, ROLE_READ, tensor_list_run, release_only_names},
};
const size_t local_method_count = sizeof local_methods / sizeof local_methods[0];
static_assert(sizeof local_methods / sizeof local_methods[0] == LOCAL_METHODS, "each is counted");

const char *const local_methods_left[] = {
	"access.check",
	"append",
	"backup",
	"delete",
	"layer.choose",
	"load",
	"load.abort",
	"load.end",
	"merge",
	"observe",
	"positions",
	"positions.forget",
	"put",
	"release.adopt",
	"release.create",
	"release.drop",
	"release.export",
	"release.publish",
	"release.rollback",
	"release.seal",
	"reload",
	"repair",
	"slowlog",
	"stats",
	"table.create",
	"tensor.delete",
	"tensor.put",
	"verify",
	"whoami",
	NULL,
};

static bool is_name(const char *method, const char *name, size_t len)
{
	return strlen(method) == len && memcmp(method, name, len) == 0;
}

enum status local_method_find(const char *name, size_t len, const struct method **out,
	struct error *err)
{
	for (size_t i = 0; i < local_method_count; i++) {
		if (is_name(local_methods[i].name, name, len)) {
			*out = &local_methods[i];
			return STATUS_OK;
		}
	}
	for (size_t i = 0; local_methods_left[i] != NULL; i++) {
		if (is_name(local_methods_left[i], name, len)) {
			return error_set(err, STATUS_UNSUPPORTED,
				"%s: this is a reader of a folder; connect to the daemon",
				local_methods_left[i]);
		}
	}
	return error_set(err, STATUS_UNSUPPORTED, "method '%.*s': there is none of that name",
		(int)len, name);
}
