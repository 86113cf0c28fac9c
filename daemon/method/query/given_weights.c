/* given_weights.c - reads a weight for each vector of a query. */
#include "daemon/method/query/given_weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/method/query/given_query.h"

static bool read_number(struct wire_value given, uint32_t i, float *out)
{
	struct wire_bytes packed;
	if (wire_bin(given, &packed)) {
		memcpy(out, packed.data + (size_t)i * sizeof *out, sizeof *out);
		return isfinite(*out);
	}
	double number;
	if (!wire_float(wire_item(given, i), &number)) {
		return false;
	}
	*out = (float)number;
	return isfinite(*out);
}

enum status given_weights_read(struct given_query *of, struct params *params)
{
	struct wire_value given = params_value(params, "weights", PARAM_OPTIONAL);
	if (params->status != STATUS_OK || given.object == NULL) {
		return params->status;
	}
	if (of->places != NULL) {
		params_fail(params, STATUS_BAD_REQUEST, "weights",
			"given, but table '%s' has histories, whose vectors are weighed by age: "
			"from.history_half_life_ms",
			of->table->spec.name.text);
		return params->status;
	}
	struct wire_bytes packed;
	const bool is_packed = wire_bin(given, &packed);
	const size_t count = is_packed ? packed.len / sizeof(float) : wire_size(given);
	if (count != of->query.parts || (is_packed && packed.len % sizeof(float) != 0) ||
		(!is_packed && wire_type(given) != WIRE_ARRAY)) {
		params_fail(params, STATUS_BAD_REQUEST, "weights",
			"%zu given, an array or f32 bin of %" PRIu32
			" expected: one for each vector of a query",
			count, of->query.parts);
		return params->status;
	}
	of->weights = malloc(count * sizeof *of->weights);
	of->query.weights = of->weights;
	if (of->weights == NULL) {
		params_fail(params, STATUS_NO_MEMORY, "weights", "no memory");
		return params->status;
	}
	for (uint32_t i = 0; i < of->query.parts; i++) {
		if (!read_number(given, i, &of->weights[i])) {
			params_fail(params, STATUS_BAD_REQUEST, "weights",
				"number %" PRIu32 " is not a finite f32", i);
			return params->status;
		}
	}
	return STATUS_OK;
}
