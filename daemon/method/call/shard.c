/* shard.c - reads which shard is meant, and divides the hash. */
#include "daemon/method/call/shard.h"

#include "schema/limits.h"

#include <assert.h>
#include <inttypes.h>

struct shard shard_read(struct params *params, const char *name)
{
	const struct shard whole = {.number = 0, .count = 1};
	const struct wire_value pair = params_value(params, name, PARAM_OPTIONAL);
	if (params->status != STATUS_OK || pair.object == NULL) {
		return whole;
	}
	uint64_t number;
	uint64_t count;
	if (wire_type(pair) != WIRE_ARRAY || wire_size(pair) != 2 ||
		!wire_uint(wire_item(pair, 0), &number) || !wire_uint(wire_item(pair, 1), &count)) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"%s given, [i, n] allowed: the shard i of n, two uints",
			wire_type_name(wire_type(pair)));
		return whole;
	}
	if (count == 0 || count > LIMIT_SCAN_SHARDS || number >= count) {
		params_fail(params, STATUS_BAD_REQUEST, name,
			"[%" PRIu64 ", %" PRIu64
			"] given, [i, n] allowed with n 1..%u and i 0..n - 1",
			number, count, LIMIT_SCAN_SHARDS);
		return whole;
	}
	return (struct shard){.number = (uint32_t)number, .count = (uint32_t)count};
}

/* number * 2^64 / count, rounded down; 2^64 is 0. */
static uint64_t boundary(uint64_t number, uint64_t count)
{
	/* 2^64 = each * count + rest; with a count of 1, `each` is 2^64 and wraps to 0, as it must. */
	const uint64_t rest = (UINT64_MAX % count + 1) % count;
	const uint64_t each = UINT64_MAX / count + (rest == 0 ? 1 : 0);
	return number * each + number * rest / count;
}

uint64_t shard_first(const struct shard *shard)
{
	assert(shard->count > 0 && shard->number < shard->count);
	return boundary(shard->number, shard->count);
}

uint64_t shard_behind(const struct shard *shard)
{
	assert(shard->count > 0 && shard->number < shard->count);
	return boundary(shard->number + 1, shard->count);
}
