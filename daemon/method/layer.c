/* layer.c - layer.choose: which extraction layer of a release a name without @layer means. */
#include "daemon/method/methods.h"

#include "daemon/method/call/params.h"
#include "daemon/method/call/reply.h"
#include "daemon/method/call/service.h"
#include "daemon/store/admin/admin.h"

const char *const layer_choose_names[] = {"release", "layer", NULL};

enum status layer_choose_run(struct call *call)
{
	struct params params;
	struct name id;
	struct name layer;
	params_begin(&params, call->params, "", layer_choose_names, &call->error);
	params_name(&params, "release", PARAM_REQUIRED, &id);
	params_name(&params, "layer", PARAM_REQUIRED, &layer);
	if (params.status != STATUS_OK) {
		return params.status;
	}
	struct name release;
	struct name previous;
	const enum status status = store_layer_choose(call->service->store, id.text, layer.text,
		&release, &previous, &call->error);
	if (status != STATUS_OK) {
		return status;
	}
	const bool had_one = previous.text[0] != '\0';
	wire_write_map(call->out, had_one ? 3 : 2);
	reply_str(call->out, "release", release.text);
	reply_str(call->out, "layer", layer.text);
	if (had_one) {
		reply_str(call->out, "previous", previous.text);
	}
	return reply_end(call);
}
