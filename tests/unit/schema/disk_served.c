/* disk_served.c - writes the heads of the log of served rows, for the tables of the page. */
#include "schema/served.h"
#include "tests/unit/schema/disk_fixture.h"

static void write_served_head(uint8_t *out)
{
	served_write_head(out, 0x6301);
}

const struct disk_layout disk_served_head = {"Served file head", "repsserv", SERVED_HEAD_BYTES,
	write_served_head,
	{{"magic", 0}, {"version", SERVED_VERSION}, {"zero", 0}, {"begun_ms", 0x6301},
		{"checksum", 0}}};

static void write_served_frame(uint8_t *out)
{
	served_write_frame(out, (const uint8_t *)"a body of 19 bytes.", 19);
}

const struct disk_layout disk_served_frame = {"Served frame head", NULL, SERVED_FRAME_BYTES,
	write_served_frame, {{"body_bytes", 19}, {"zero", 0}, {"checksum", 0}}};
