/* verify.c - repstore verify: every file of the store against its checksums. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/watch.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static const struct watch_subject verify = {
	.what = "verify",
	.method = "stats",
	.figures = "verify",
	.total = "bytes",
	.unit = PROGRESS_BYTES,
};

static bool found_damage;

static void print_keys(struct wire_value damage)
{
	const struct wire_value keys = wire_get(damage, "keys");
	const uint64_t known = text_uint_of(damage, "keys_known");
	fputs("  keys:", stdout);
	for (size_t i = 0; i < wire_size(keys); i++) {
		const struct wire_value key = wire_item(keys, i);
		struct wire_bytes bytes;
		uint64_t number;
		if (wire_uint(key, &number)) {
			printf(" %" PRIu64, number);
		} else if (wire_bin(key, &bytes)) {
			char quote[ERROR_QUOTE_BYTES];
			printf(" '%s'", error_quote(quote, bytes.data, bytes.len));
		}
	}
	if (known > wire_size(keys)) {
		printf(" and %" PRIu64 " more", known - wire_size(keys));
	}
	putchar('\n');
}

static void print_damage(struct wire_value damage)
{
	char text[600];
	char table[160];
	char release[80];
	printf("%s: ", text_str_of(damage, "file", text, sizeof text));
	if (wire_type(wire_get(damage, "table")) == WIRE_STR) {
		printf("'%s' of release '%s': ", text_str_of(damage, "table", table, sizeof table),
			text_str_of(damage, "release", release, sizeof release));
	}
	if (wire_type(wire_get(damage, "segment")) == WIRE_UINT) {
		printf("segment %" PRIu64 " of %" PRIu64 " rows: ", text_uint_of(damage, "segment"),
			text_uint_of(damage, "rows"));
	}
	printf("%s\n", text_str_of(damage, "what", text, sizeof text));
	if (wire_type(wire_get(damage, "keys")) == WIRE_ARRAY) {
		print_keys(damage);
	}
}

static void print_found(struct wire_value result)
{
	char size[TEXT_BYTES];
	char duration[TEXT_BYTES];
	const struct wire_value damage = wire_get(result, "damage");
	for (size_t i = 0; i < wire_size(damage); i++) {
		print_damage(wire_item(damage, i));
	}
	printf("%" PRIu64 " files, %s: %" PRIu64 " damaged, in %s\n", text_uint_of(result, "files"),
		text_size(text_uint_of(result, "bytes"), size), text_uint_of(result, "damaged"),
		text_duration(text_uint_of(result, "elapsed_ms"), duration));
}

/* Notes whether anything is damaged, also where the answer is printed as JSON. */
static void look(struct wire_value result)
{
	found_damage = text_uint_of(result, "damaged") > 0;
}

static int run(struct session *session, int argc, char **argv)
{
	uint64_t keys = 10;
	const struct option_row rows[] = {{"keys", OPTION_COUNT, &keys}};
	struct rest rest;
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count > 0) {
		return session_usage(session, "'%s': not expected", rest.values[0]);
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 1);
	wire_write_str(&params, "keys");
	wire_write_uint(&params, keys);
	status = watch_call(session, &verify, "verify", &params,
		&(struct watch_answer){.look = look, .print = print_found});
	return status == EXIT_DONE && found_damage ? EXIT_REFUSED : status;
}

const struct command cmd_verify = {
	.name = "verify",
	.summary = "compares every file of the store with its checksums",
	.usage = "verify [--keys N]\n",
	.help = "Reads all of the data folder, at merge_rate, while the daemon works, and says which file, table\n"
		"and segment is damaged, and which keys are in it. The exit status is 1 then.\n"
		"  --keys N   keys of each damaged segment that are listed (10, up to 65536)\n"
		"A folder that no daemon works in, such as a backup: repstored --verify DIR.\n",
	.run = run,
};
