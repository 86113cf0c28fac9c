/* spec_names.c - what the values of a spec are called on the wire. */
#include "schema/spec.h"

const char *entity_name(enum entity entity)
{
	switch (entity) {
	case ENTITY_USER:
		return "user";
	case ENTITY_ITEM:
		return "item";
	case ENTITY_NONE:
		break;
	}
	return "none";
}

const char *kind_name(enum kind kind)
{
	switch (kind) {
	case KIND_UR:
		return "ur";
	case KIND_IR:
		return "ir";
	case KIND_CR:
		return "cr";
	case KIND_NONE:
		break;
	}
	return "none";
}

const char *reading_name(enum reading reading)
{
	switch (reading) {
	case READING_SUM:
		return "sum";
	case READING_MEAN:
		return "mean";
	case READING_LAYER_NORM:
		return "layer_norm";
	case READING_NONE:
		break;
	}
	return "none";
}

const char *state_kind_name(enum state_kind state)
{
	switch (state) {
	case STATE_F32:
		return "f32";
	case STATE_F32X2:
		return "f32x2";
	case STATE_NONE:
		break;
	}
	return "none";
}

const char *index_kind_name(enum index_kind kind)
{
	return kind == INDEX_BALLS ? "balls" : "none";
}

const char *default_kind_name(enum default_kind kind)
{
	switch (kind) {
	case DEFAULT_ZEROS:
		return "zeros";
	case DEFAULT_MEAN:
		return "mean";
	case DEFAULT_ROW:
		return "row";
	case DEFAULT_NONE:
		break;
	}
	return "none";
}
