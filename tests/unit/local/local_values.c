/* local_values.c - puts and reads one value in many rows. */
#include "tests/unit/local/local_values.h"

#include "daemon/store/store.h"
#include "daemon/store/write/write.h"
#include "schema/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const tables[] = {"a", "b"};

enum status values_put(struct store *store, unsigned writer, uint32_t value, struct error *err)
{
	uint64_t keys[VALUES_KEYS];
	float rows[VALUES_KEYS][WORLD_DIM];
	for (uint64_t i = 0; i < VALUES_KEYS; i++) {
		keys[i] = (uint64_t)writer * VALUES_KEYS + i;
		for (unsigned j = 0; j < WORLD_DIM; j++) {
			rows[i][j] = (float)value;
		}
	}
	struct table_write parts[2];
	for (size_t i = 0; i < 2; i++) {
		parts[i] = (struct table_write){
			.table = tables[i],
			.batch = {.keys = {KEY_U64, VALUES_KEYS, (const uint8_t *)keys, NULL},
				.dtype = DTYPE_F32,
				.rows = (const uint8_t *)rows,
				.rows_bytes = sizeof rows,
				.tags = (const uint8_t *)keys},
		};
	}
	const struct row_write put = {.release = "r1",
		.parts = parts,
		.part_count = 2,
		.now_ms = 1};
	struct write_result result;
	struct write_ticket *ticket;
	const enum status status = store_put(store, &put, &result, &ticket, err);
	return status == STATUS_OK ? store_write_wait(ticket, err) : status;
}

void values_request(struct pair *pair, unsigned writers)
{
	struct wire_writer *args = &pair->world->args;
	uint64_t keys[VALUES_KEYS * VALUES_WRITERS_MAX];
	const size_t count = (size_t)VALUES_KEYS * writers;
	for (uint64_t i = 0; i < count; i++) {
		keys[i] = i;
	}
	world_arg_str(pair->world, "release", "r1");
	world_arg(pair->world, "parts");
	wire_write_array(args, 2);
	for (size_t i = 0; i < 2; i++) {
		wire_write_map(args, 2);
		wire_write_str(args, "table");
		wire_write_str(args, tables[i]);
		wire_write_str(args, "keys");
		wire_write_bin(args, keys, count * sizeof *keys);
	}
	pair_request(pair, "fetch");
}

void values_read(struct wire_bytes response, unsigned writers, uint32_t values[VALUES_WRITERS_MAX])
{
	struct wire_message *message = NULL;
	struct rpc_envelope envelope;
	const size_t count = (size_t)VALUES_KEYS * writers;
	assert_int_equal(wire_open(response.data, response.len, &message), STATUS_OK);
	assert_int_equal(rpc_read(wire_root(message), &envelope, NULL), STATUS_OK);
	if (envelope.failed) {
		fail_msg("%.*s", (int)envelope.error.len, (const char *)envelope.error.data);
	}
	const struct wire_value parts = wire_get(envelope.result, "parts");
	for (size_t i = 0; i < 2; i++) {
		struct wire_bytes rows;
		float row[VALUES_KEYS * VALUES_WRITERS_MAX][WORLD_DIM];
		assert_true(wire_bin(wire_get(wire_item(parts, i), "rows"), &rows));
		assert_int_equal(rows.len, count * sizeof row[0]);
		memcpy(row, rows.data, rows.len);
		for (size_t j = 0; j < count; j++) {
			const unsigned writer = (unsigned)(j / VALUES_KEYS);
			if (i == 0 && j % VALUES_KEYS == 0) {
				values[writer] = (uint32_t)row[j][0];
			}
			assert_true(row[j][0] == (float)values[writer]);
		}
	}
	wire_close(message);
}
