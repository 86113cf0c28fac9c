/* bench_adapter.c - rows through chains in process, on each instruction set.
 *
 *   bench_adapter [ROWS]
 *
 * Prints nanoseconds a row of the products alone, and of whole chains on the fastest set.
 */
#include "daemon/retrieval/layers/adapter.h"
#include "daemon/retrieval/layers/adapter_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_NS = 200 * 1000 * 1000 };

static uint64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static float *floats(size_t count)
{
	float *values = malloc(count * sizeof *values);
	if (values == NULL) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		values[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
	}
	return values;
}

static void bench_product(uint32_t in, uint32_t out, uint32_t rows)
{
	float *x = floats((size_t)rows * in);
	float *w = floats((size_t)out * in);
	float *y = floats((size_t)rows * out);
	for (size_t set = 0; adapter_kernels_at(set) != NULL; set++) {
		const struct adapter_kernels *kernels = adapter_kernels_at(set);
		const struct adapter_product product = {.x = x,
			.w = w,
			.y = y,
			.rows = rows,
			.outs = out,
			.in = in,
			.y_stride = out};
		uint64_t best = UINT64_MAX;
		const uint64_t end = now_ns() + ROUNDS_NS;
		while (now_ns() < end) {
			const uint64_t began = now_ns();
			kernels->product(&product);
			const uint64_t took = now_ns() - began;
			best = took < best ? took : best;
		}
		printf("product_%u_%u_%s %.1f ns/row %.2f multiply-adds/ns\n", in, out,
			kernels->name, (double)best / rows, (double)rows * in * out / (double)best);
	}
	free(x);
	free(w);
	free(y);
}

static void bench_chain(const char *const *chain, const uint32_t *outs, size_t count, uint32_t rows)
{
	static struct tensor_spec specs[LIMIT_ADAPTER_STEPS];
	float *weights = floats((size_t)1 << 20);
	struct adapter adapter;
	struct adapter_space space;
	adapter_init(&adapter, 64);
	for (size_t i = 0; i < count; i++) {
		struct adapter_name name;
		struct error err;
		struct adapter_tensor weight = {0};
		const struct adapter_tensor none = {0};
		if (adapter_name_read(chain[i], strlen(chain[i]), &name, &err) != STATUS_OK) {
			abort();
		}
		if (adapter_has_tensors(&name)) {
			specs[i] = (struct tensor_spec){.dtype = TENSOR_F32,
				.dims = 2,
				.shape = {outs[i], adapter.out}};
			weight = (struct adapter_tensor){&specs[i], (const uint8_t *)weights};
		}
		if (adapter_add(&adapter, &name, weight, none, &err) != STATUS_OK) {
			abort();
		}
	}
	if (adapter_space_init(&space, &adapter, rows) != STATUS_OK) {
		abort();
	}
	uint64_t best = UINT64_MAX;
	const uint64_t end = now_ns() + ROUNDS_NS;
	rows = rows < space.rows_max ? rows : space.rows_max;
	while (now_ns() < end) {
		memcpy(space.rows, weights, (size_t)rows * 64 * sizeof *weights);
		const uint64_t began = now_ns();
		(void)adapter_run(&adapter, &space, rows);
		const uint64_t took = now_ns() - began;
		best = took < best ? took : best;
	}
	printf("chain");
	for (size_t i = 0; i < count; i++) {
		printf("_%s", chain[i]);
	}
	printf(" %.1f us_of_%u_rows %.2f work/ns\n", (double)best / 1000, rows,
		(double)adapter_work(&adapter, rows) / (double)best);
	adapter_space_fini(&space);
	free(weights);
}

int main(int argc, char **argv)
{
	const uint32_t rows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500;
	bench_product(64, 10, rows);
	bench_product(360, 10, rows);
	bench_product(64, 64, rows);
	bench_product(1024, 256, rows);
	bench_chain((const char *const[]){"head"}, (uint32_t[]){10}, 1, rows);
	bench_chain((const char *const[]){"h", "relu", "head"}, (uint32_t[]){64, 0, 10}, 3, rows);
	bench_chain((const char *const[]){"h", "silu", "head"}, (uint32_t[]){64, 0, 10}, 3, rows);
	bench_chain((const char *const[]){"tanh"}, (uint32_t[]){0}, 1, rows);
	bench_chain((const char *const[]){"gate:g", "head"}, (uint32_t[]){64, 10}, 2, rows);
	return 0;
}
