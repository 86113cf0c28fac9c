/* call.c - runs a method, within the time that its caller allows. */
#include "daemon/method/call/method.h"

#include "daemon/method/call/params.h"
#include "daemon/store/system/clock.h"
#include "schema/limits.h"

#include <inttypes.h>

/* Reads `timeout_ms`, which every method takes. */
static enum status read_timeout(const struct method *method, struct call *call)
{
	const bool is_search = method->place == METHOD_SEARCH;
	const uint64_t most = is_search ? LIMIT_SEARCH_MS_MAX : LIMIT_TIMEOUT_MS;
	struct params params = {.map = call->params, .where = "", .err = &call->error};
	uint64_t given;
	const bool is_given = params_uint_given(&params, "timeout_ms", &given);
	if (params.status == STATUS_OK && is_given && (given == 0 || given > most)) {
		params_fail(&params, STATUS_BAD_REQUEST, "timeout_ms",
			"%" PRIu64 " given, 1..%" PRIu64 " allowed", given, most);
	}
	/* A loop has no time for what could take longer. */
	if (call->may_block) {
		const uint64_t own = call->stop.timeout_ms; /* of who runs the call */
		call->stop.timeout_ms = is_given   ? given
					: own != 0 ? own
						   : method_timeout_ms(method);
		call->stop.read_ms = call->stop.read_ms != 0 ? call->stop.read_ms
							     : (uint64_t)clock_monotonic_ms();
	}
	return params.status;
}

uint64_t method_timeout_ms(const struct method *method)
{
	return method->place == METHOD_SEARCH ? LIMIT_SEARCH_MS : 0;
}

enum status method_run(const struct method *method, struct call *call)
{
	const enum status status = read_timeout(method, call);
	return status == STATUS_OK ? method->run(call) : status;
}
