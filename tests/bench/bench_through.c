/* bench_through.c - fetches through a chain of layers beside the same fetches without.
 *
 *   bench_through ADDRESS ROWS KEYS SECONDS
 *
 * Table "ir" holds the keys 0 to ROWS - 1 and rows of 64 f32 (bench_peers load). One connection
 * asks for KEYS random keys, turn by turn without a chain, through a layer of 64 to 10, and through
 * a chain of a gate and two layers; it puts the layers into the live release first.
 */
#include "repstore.h"
#include "tests/bench/driver/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_KEPT = 1 << 20, DIM = 64, TURN = 100 };

static rep_client *connect_to(const char *address)
{
	const struct rep_options options = {.address = address};
	struct rep_error err;
	rep_client *client = NULL;
	if (rep_connect(&options, &client, &err) != REP_OK) {
		die("%s: %s", address, err.text);
	}
	return client;
}

static void put(rep_client *client, const char *name, uint64_t out, uint64_t in)
{
	struct rep_tensor tensor = {
		.dtype = REP_TENSOR_F32,
		.dims = in == 0 ? 1 : 2,
		.shape = {out, in},
	};
	struct rep_error err;
	const size_t count = out * (in == 0 ? 1 : in);
	float *data = allocate(count * sizeof *data);
	for (size_t i = 0; i < count; i++) {
		data[i] = (float)(i % 7) / 7 - 0.4f;
	}
	(void)snprintf(tensor.name, sizeof tensor.name, "%s", name);
	if (rep_tensor_put(client, NULL, &tensor, data, count * sizeof *data, &err) != REP_OK) {
		die("put '%s': %s", name, err.text);
	}
	free(data);
}

static void fetch(rep_client *client, struct rep_part *part, struct samples *samples)
{
	struct rep_error err;
	const uint64_t before = now_ns();
	if (rep_fetch(client, NULL, part, 1, NULL, &err) != REP_OK) {
		die("fetch: %s", err.text);
	}
	samples_add(samples, now_ns() - before);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		size_t count;
		const char *steps[4];
	} chains[] = {
		{"plain", 0, {NULL}},
		{"through_64_10", 1, {"bench-head"}},
		{"through_gate_64_silu_10", 4, {"gate:bench-g", "bench-h", "silu", "bench-head"}},
	};
	enum { CHAINS = sizeof chains / sizeof chains[0] };
	if (argc != 5) {
		(void)fputs("usage: bench_through ADDRESS ROWS KEYS SECONDS\n", stderr);
		return 2;
	}
	const uint32_t keys = (uint32_t)strtoul(argv[3], NULL, 10);
	if (keys == 0 || keys > KEYS_KEPT) {
		die("KEYS is out of range");
	}
	struct questions questions;
	questions_init(&questions, KEYS_KEPT / keys, keys, strtoull(argv[2], NULL, 10));
	rep_client *client = connect_to(argv[1]);
	put(client, "bench-head.weight", 10, DIM);
	put(client, "bench-head.bias", 10, 0);
	put(client, "bench-h.weight", DIM, DIM);
	put(client, "bench-g.weight", DIM, DIM);
	put(client, "bench-g.bias", DIM, 0);
	uint8_t *rows = allocate((size_t)keys * DIM * 4 + keys / 8 + 1);
	struct samples samples[CHAINS] = {{0}};
	const uint64_t end = now_ns() + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	for (size_t request = 0; now_ns() < end;) {
		for (size_t i = 0; i < CHAINS; i++) {
			for (size_t turn = 0; turn < TURN; turn++, request++) {
				struct rep_part part = {
					.table = "ir",
					.keys = rep_keys_u64(questions_at(&questions, request),
						keys),
					.through = chains[i].steps,
					.through_count = chains[i].count,
					.rows = rows,
					.rows_bytes = (size_t)keys * DIM * 4,
					.found = rows + (size_t)keys * DIM * 4,
				};
				fetch(client, &part, &samples[i]);
			}
		}
	}
	for (size_t i = 0; i < CHAINS; i++) {
		samples_print(&samples[i], chains[i].name);
		samples_fini(&samples[i]);
	}
	rep_close(client);
	free(rows);
	questions_fini(&questions);
	return 0;
}
