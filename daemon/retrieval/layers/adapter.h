/* adapter.h - a chain of stored layers; rows go through it in f32.
 *
 *   adapter_init -> adapter_name_read, adapter_add for each step
 *   adapter_space_init -> [rows into space.rows] adapter_run ... -> adapter_space_fini
 *
 * Steps: a linear layer, y = W x + b; relu, silu, sigmoid, tanh of each value; a gate,
 * y = x * sigmoid(W x + b). A value of a layer beyond f32 becomes the largest f32 of its sign, so
 * finite rows and layers give finite rows (wide.h). The bits of a result are the same on every machine, and do not depend
 * on the other rows of the block.
 *
 * Threads: any; one thread at a time uses a space.
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

/* A step, as its name describes it. */
struct adapter_name {
	enum adapter_kind kind;
	/* The tensors of a linear layer or of a gate, named as in a state_dict of PyTorch. */
	struct name weight; /* NAME.weight */
	struct name bias;   /* NAME.bias */
	struct name text;   /* NAME, or the step itself */
};

/* Reads "NAME", "gate:NAME" or the name of an activation. Errors: BAD_REQUEST. */
enum status adapter_name_read(const char *text, size_t len, struct adapter_name *out,
	struct error *err);
/* Does the step need tensors? */
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
	struct adapter_tensor weight; /* [out, in]; an activation has none */
	struct adapter_tensor bias;   /* [out], or none */
};

struct adapter {
	uint32_t in;     /* values of a row that enters the chain */
	uint32_t out;    /* values of a row that leaves it */
	uint32_t widest; /* the most values that a row has before, between or after the steps */
	size_t count;
	struct adapter_step steps[LIMIT_ADAPTER_STEPS];
};

/* A chain without steps for rows of `in` values. */
void adapter_init(struct adapter *adapter, uint32_t in);

/* Adds a step, after at most LIMIT_ADAPTER_STEPS - 1 others. Errors: BAD_REQUEST  dtype or shape do
 * not fit, naming them. */
enum status adapter_add(struct adapter *adapter, const struct adapter_name *name,
	struct adapter_tensor weight, struct adapter_tensor bias, struct error *err);

/* About how many multiply-adds the chain makes for so many rows. */
uint64_t adapter_work(const struct adapter *adapter, uint64_t rows);

/* Memory for a block of rows. */
struct adapter_space {
	uint32_t rows_max; /* a multiple of 8 */
	float *rows;       /* [rows_max, adapter->in]: the caller fills it */
	float *other;      /* as large as `rows`: each product goes from one to the other */
	float *tile;       /* weights and biases, converted to f32 if they are stored otherwise */
	uint32_t tile_outs;
	void *memory; /* owned */
};

/* Memory for blocks of up to `rows` rows; rows_max may be less. Errors: NO_MEMORY. */
enum status adapter_space_init(struct adapter_space *space, const struct adapter *adapter,
	uint32_t rows);
void adapter_space_fini(struct adapter_space *space);

/* Runs `count` rows of space->rows through all steps. Returns the result, [count, out], which
 * stands in the space until that is filled again. */
float *adapter_run(const struct adapter *adapter, struct adapter_space *space, uint32_t count);

#endif
