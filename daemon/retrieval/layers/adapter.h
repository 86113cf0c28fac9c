/* adapter.h - a chain of stored layers, which rows pass through in f32.
 *
 *   adapter_init -> adapter_name, adapter_add for each step
 *   adapter_space_init -> [rows into space.rows] adapter_run ... -> adapter_space_fini
 *
 * Steps: a linear layer, y = W x + b; relu, silu, sigmoid, tanh of each value; a gate,
 * y = x * sigmoid(W x + b). The bits of a result are the same on every machine, and for a row
 * whatever rows are beside it.
 *
 * Threads: any; a space is used by one at a time.
 */
#ifndef DAEMON_RETRIEVAL_LAYERS_ADAPTER_H
#define DAEMON_RETRIEVAL_LAYERS_ADAPTER_H

#include "schema/limits.h"
#include "schema/status.h"
#include "schema/tensor.h"

#include <stddef.h>
#include <stdint.h>

enum adapter_kind {
	ADAPTER_LINEAR,
	ADAPTER_GATE,
	ADAPTER_RELU,
	ADAPTER_SILU,
	ADAPTER_SIGMOID,
	ADAPTER_TANH,
};

/* A step as it was named. */
struct adapter_name {
	enum adapter_kind kind;
	/* Of a linear layer and a gate: the tensors, named as PyTorch's state_dict names them. */
	struct name weight; /* NAME.weight */
	struct name bias;   /* NAME.bias */
	struct name text;   /* NAME, or the step itself */
};

/* Reads "NAME", "gate:NAME" or the name of an activation. Errors: BAD_REQUEST. */
enum status adapter_name_read(const char *text, size_t len, struct adapter_name *out,
	struct error *err);
/* Whether it needs tensors. */
bool adapter_has_tensors(const struct adapter_name *name);

/* Elements in C order, at any alignment; borrowed. */
struct adapter_tensor {
	const struct tensor_spec *spec; /* NULL: there is none */
	const uint8_t *data;
};

struct adapter_step {
	enum adapter_kind kind;
	uint32_t in;
	uint32_t out;
	struct adapter_tensor weight; /* [out, in]; none of an activation */
	struct adapter_tensor bias;   /* [out], or none */
};

struct adapter {
	uint32_t in;     /* values of a row that enters */
	uint32_t out;    /* and that leaves */
	uint32_t widest; /* of all that it is on its way */
	size_t count;
	struct adapter_step steps[LIMIT_ADAPTER_STEPS];
};

/* A chain without steps for rows of `in` values. */
void adapter_init(struct adapter *adapter, uint32_t in);

/* Adds a step, after at most LIMIT_ADAPTER_STEPS - 1 others. Errors: BAD_REQUEST  dtype or shape do
 * not fit, naming them. */
enum status adapter_add(struct adapter *adapter, const struct adapter_name *name,
	struct adapter_tensor weight, struct adapter_tensor bias, struct error *err);

/* What so many rows cost, in multiply-adds, about. */
uint64_t adapter_work(const struct adapter *adapter, uint64_t rows);

/* Room for some rows on their way. */
struct adapter_space {
	uint32_t rows_max; /* a multiple of 8 */
	float *rows;       /* [rows_max, adapter->in]: the caller's to fill */
	float *other;      /* as large */
	float *tile;       /* weights and biases that are not stored as f32 */
	uint32_t tile_outs;
	void *memory; /* owned */
};

/* For up to `rows` rows at once; rows_max may be less. Errors: NO_MEMORY. */
enum status adapter_space_init(struct adapter_space *space, const struct adapter *adapter,
	uint32_t rows);
void adapter_space_fini(struct adapter_space *space);

/* Takes `count` rows out of space->rows through all steps, and returns them: [count, out], in
 * the space, which may be filled again then. */
float *adapter_run(const struct adapter *adapter, struct adapter_space *space, uint32_t count);

#endif
