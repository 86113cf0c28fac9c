/* tensor_type.c - the dtypes of stored tensors as files have them. */
#include "tools/command/tensor_file.h"

static const struct tensor_type types[] = {
	{REP_TENSOR_F32, 'f', 4},
	{REP_TENSOR_F16, 'f', 2},
	{REP_TENSOR_BF16, 'B', 2},
	{REP_TENSOR_F64, 'f', 8},
	{REP_TENSOR_I8, 'i', 1},
	{REP_TENSOR_I16, 'i', 2},
	{REP_TENSOR_I32, 'i', 4},
	{REP_TENSOR_I64, 'i', 8},
	{REP_TENSOR_U8, 'u', 1},
	{REP_TENSOR_U16, 'u', 2},
	{REP_TENSOR_U32, 'u', 4},
	{REP_TENSOR_U64, 'u', 8},
};
enum { TYPES = sizeof types / sizeof types[0] };

const struct tensor_type *tensor_type_of_kind(char kind, size_t bytes)
{
	for (size_t i = 0; i < TYPES; i++) {
		if (types[i].kind == kind && types[i].bytes == bytes) {
			return &types[i];
		}
	}
	return NULL;
}

const struct tensor_type *tensor_type_of_dtype(enum rep_tensor_dtype dtype)
{
	for (size_t i = 0; i < TYPES; i++) {
		if (types[i].dtype == dtype) {
			return &types[i];
		}
	}
	return NULL;
}
