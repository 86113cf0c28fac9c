/* disk_samples.c - the head of samples in the log, as the code writes it. */
#include "daemon/store/log/frame_samples.h"
#include "tests/unit/schema/disk_fixture.h"

#include <string.h>

static void write_samples_head(uint8_t *out)
{
	_Alignas(8) uint8_t part[512];
	const uint64_t numbers[] = {0x2301, 0x2302};
	const uint64_t user = 0x2303, time_ms = 0x2304;
	const float row[3] = {1, 2, 3};
	const struct frame_samples samples = {
		.count = 1,
		.elements = 3,
		.users = {KEY_U64, 1, (const uint8_t *)&user, NULL},
		.items = {KEY_BYTES, 1, (const uint8_t *)"\3abc", NULL},
		.user_bytes = 8,
		.item_bytes = 4,
		.times = (const uint8_t *)&time_ms,
		.rows = row,
		.table_count = 2,
		.tables = (const uint8_t *)numbers,
	};
	(void)frame_put_samples(part, &samples);
	memcpy(out, part + FRAME_PART_BYTES, FRAME_SAMPLES_HEAD_BYTES);
}

const struct disk_layout disk_samples_head = {"Samples head", NULL, FRAME_SAMPLES_HEAD_BYTES,
	write_samples_head,
	{{"users", KEY_U64}, {"items", KEY_BYTES}, {"tables", 2}, {"elements", 3},
		{"user_bytes", 8}, {"item_bytes", 4}, {"zero", 0}}};
