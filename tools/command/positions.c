/* positions.c - repstore positions: how far each source of samples is counted, and forgets some. */
#include "tools/command/command.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

static const uint64_t not_given = UINT64_MAX;

/* What is asked. */
struct wanted {
	const char *release; /* NULL: the live one */
	const char *layer;   /* NULL: each */
	const char *source;  /* to forget; NULL: none */
	uint64_t oldest;     /* so many to forget; not_given: none */
};

static void print_positions(struct wire_value result)
{
	static const char *const heads[] = {"LAYER", "SOURCE", "NEXT", "DURABLE", "COUNTED"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0], .fold = true};
	const struct wire_value list = wire_get(result, "positions");
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		char text[80] = "";
		char when[TEXT_BYTES];
		uint64_t durable = 0;
		int64_t counted_ms = 0;
		text_cell(&table, "%s", text_str_of(each, "layer", text, sizeof text));
		text_cell(&table, "%s", text_str_of(each, "source", text, sizeof text));
		text_cell(&table, "%" PRIu64, text_uint_of(each, "next"));
		if (wire_uint(wire_get(each, "durable"), &durable)) {
			text_cell(&table, "%" PRIu64, durable);
		} else {
			text_cell(&table, "-");
		}
		(void)wire_int(wire_get(each, "counted_ms"), &counted_ms);
		text_cell(&table, "%s", text_time(counted_ms, when));
	}
	text_print(&table);
}

static void print_forgotten(struct wire_value result)
{
	char release[80];
	printf("%" PRIu64 " positions of release %s forgotten\n", text_uint_of(result, "forgotten"),
		text_str_of(result, "release", release, sizeof release));
}

static int call_forget(struct session *session, const struct wanted *wanted)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	release_argument_write(&params, wanted->release != NULL ? wanted->release : "live",
		1 + (size_t)(wanted->layer != NULL));
	if (wanted->layer != NULL) {
		wire_write_str(&params, "layer");
		wire_write_str(&params, wanted->layer);
	}
	if (wanted->source != NULL) {
		wire_write_str(&params, "source");
		wire_write_str(&params, wanted->source);
	} else {
		wire_write_str(&params, "oldest");
		wire_write_uint(&params, wanted->oldest);
	}
	return session_call(session, "positions.forget", &params, &answer)
		       ? session_print(session, &answer, print_forgotten)
		       : EXIT_REFUSED;
}

static int call_list(struct session *session, const struct wanted *wanted)
{
	struct wire_writer params = {0};
	struct answer answer = {0};
	release_argument_write(&params, wanted->release, 0);
	return session_call(session, "positions", &params, &answer)
		       ? session_print(session, &answer, print_positions)
		       : EXIT_REFUSED;
}

static int run(struct session *session, int argc, char **argv)
{
	const char *release = NULL;
	struct wanted wanted = {.oldest = not_given};
	const struct option_row rows[] = {
		{"release", OPTION_TEXT, &release},
		{"forget", OPTION_TEXT, &wanted.source},
		{"forget-oldest", OPTION_COUNT, &wanted.oldest},
		{"layer", OPTION_TEXT, &wanted.layer},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE) {
		status = release_argument_read(session, &rest, release, &wanted.release);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	const bool forgets = wanted.source != NULL || wanted.oldest != not_given;
	if (wanted.source != NULL && wanted.oldest != not_given) {
		return session_usage(session, "positions: --forget or --forget-oldest, not both");
	}
	if (wanted.layer != NULL && !forgets) {
		return session_usage(session,
			"positions: --layer comes with --forget or --forget-oldest");
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	return forgets ? call_forget(session, &wanted) : call_list(session, &wanted);
}

const struct command cmd_positions = {
	.name = "positions",
	.summary = "how far each source of samples is counted",
	.usage = "positions [RELEASE]\n"
		 "       repstore positions [RELEASE] --forget SOURCE | --forget-oldest N\n"
		 "         [--layer NAME]\n",
	.help = "NEXT is the position of the source's next sample: a pipeline that goes on there\n"
		"counts each sample once. DURABLE is up to where it is on the disk; with the setting\n"
		"`durability = periodic` it is behind NEXT, and a power loss may take what is\n"
		"between. COUNTED is when the source's last batch came.\n"
		"  --release  the same as RELEASE\n"
		"  --forget   a source that sends no more, in each layer or in that of --layer. The\n"
		"             sums stay. Should it send again, its samples are unknown, and would\n"
		"             count once more\n"
		"  --forget-oldest  the N sources whose last batch came longest ago. A release\n"
		"             has room for 16384 positions\n",
	.run = run,
};
