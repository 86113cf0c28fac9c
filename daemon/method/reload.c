/* reload.c - the settings of the daemon are read anew, as by SIGHUP. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"

enum status reload_run(struct call *call)
{
	struct params params;
	params_begin(&params, call->params, "", no_names, &call->error);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	const struct service *service = call->service;
	if (service->reload == NULL) {
		return error_set(&call->error, STATUS_UNSUPPORTED,
			"reload: this process has read no settings");
	}
	const enum status status =
		service->reload(service->reload_arg, call_stop(call), call->out, &call->error);
	return status == STATUS_OK ? reply_end(call) : status;
}
