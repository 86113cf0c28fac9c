/* given_chain.c - reads the names of a chain and adds one step for each. */
#include "daemon/method/query/given_chain.h"

static enum status add_steps(struct through *through, const struct through_place *place,
	struct wire_value steps, struct error *err)
{
	for (size_t i = 0; i < wire_size(steps); i++) {
		const struct wire_value step = wire_item(steps, i);
		struct wire_bytes text;
		if (!wire_str(step, &text)) {
			return error_set(err, STATUS_BAD_REQUEST,
				"%sthrough[%zu]: %s given, str expected", place->where, i,
				wire_type_name(wire_type(step)));
		}
		const enum status status =
			through_add(through, place, (const char *)text.data, text.len, err);
		if (status != STATUS_OK) {
			return status;
		}
	}
	return through_end(through, place, err);
}

enum status given_chain_read(struct wire_value steps, const struct through_place *place,
	struct through **out, struct error *err)
{
	if (wire_type(steps) != WIRE_ARRAY) {
		return error_set(err, STATUS_BAD_REQUEST, "%sthrough: %s given, array expected",
			place->where, wire_type_name(wire_type(steps)));
	}
	struct through *through;
	enum status status = through_begin(place, wire_size(steps), &through, err);
	if (status != STATUS_OK) {
		return status;
	}
	status = add_steps(through, place, steps, err);
	if (status != STATUS_OK) {
		through_free(through);
		return status;
	}
	*out = through;
	return STATUS_OK;
}
