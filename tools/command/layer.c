/* layer.c - repstore layer: which layers a release has, and which one is served. */
#include "tools/command/command.h"
#include "tools/command/layer_evaluate.h"
#include "tools/command/layer_features.h"
#include "tools/command/options.h"
#include "tools/command/release_argument.h"
#include "tools/format/text.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- list ---- */

static void print_list(struct wire_value result)
{
	static const char *const heads[] = {"LAYER", "CHOSEN", "DIM", "VIEWS", "TABLES"};
	struct text_table table = {.columns = sizeof heads / sizeof heads[0], .fold = true};
	const struct wire_value list = wire_get(result, "layers");
	for (size_t i = 0; i < table.columns; i++) {
		text_cell(&table, "%s", heads[i]);
	}
	for (size_t i = 0; i < wire_size(list); i++) {
		const struct wire_value each = wire_item(list, i);
		const struct wire_value tables = wire_get(each, "tables");
		char text[80];
		char names[512];
		size_t len = 0;
		bool chosen = false;
		names[0] = '\0';
		for (size_t j = 0; j < wire_size(tables) && len < sizeof names; j++) {
			struct wire_bytes name = {0};
			(void)wire_str(wire_item(tables, j), &name);
			len += (size_t)snprintf(names + len, sizeof names - len, "%s%.*s",
				j > 0 ? " " : "", (int)name.len, (const char *)name.data);
		}
		(void)wire_bool(wire_get(each, "chosen"), &chosen);
		text_cell(&table, "%s", text_str_of(each, "layer", text, sizeof text));
		text_cell(&table, "%s", chosen ? "yes" : "no");
		text_cell(&table, "%" PRIu64, text_uint_of(each, "dim"));
		text_cell(&table, "%" PRIu64, text_uint_of(each, "views"));
		text_cell(&table, "%s", names);
	}
	text_print(&table);
}

static int run_list(struct session *session, int argc, char **argv)
{
	const char *option = NULL;
	const char *release = NULL;
	const struct option_row rows[] = {{"release", OPTION_TEXT, &option}};
	struct rest rest;
	struct answer answer = {0};
	int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status == EXIT_DONE) {
		status = release_argument_read(session, &rest, option, &release);
	}
	if (status != EXIT_DONE) {
		return status;
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	release_argument_write(&params, release, 0);
	if (!session_call(session, "layer.list", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_list);
}

/* ---- choose ---- */

static void print_chosen(struct wire_value result)
{
	char release[80];
	char layer[80];
	char previous[80];
	text_str_of(result, "previous", previous, sizeof previous);
	printf("layer %s of %s is served", text_str_of(result, "layer", layer, sizeof layer),
		text_str_of(result, "release", release, sizeof release));
	printf(previous[0] != '\0' ? "; before it was %s\n" : "%s\n", previous);
}

static int run_choose(struct session *session, int argc, char **argv)
{
	const char *release = "live";
	const struct option_row rows[] = {{"release", OPTION_TEXT, &release}};
	struct rest rest;
	struct answer answer = {0};
	const int status = options_read(session, rows, 1, argc, argv, &rest);
	if (status != EXIT_DONE) {
		return status;
	}
	if (rest.count != 1) {
		return session_usage(session, "layer choose: one LAYER");
	}
	if (!session_connect(session)) {
		return EXIT_REFUSED;
	}
	struct wire_writer params = {0};
	wire_write_map(&params, 2);
	wire_write_str(&params, "release");
	wire_write_str(&params, release);
	wire_write_str(&params, "layer");
	wire_write_str(&params, rest.values[0]);
	if (!session_call(session, "layer.choose", &params, &answer)) {
		return EXIT_REFUSED;
	}
	return session_print(session, &answer, print_chosen);
}

static const struct verb verbs[] = {
	{"list", run_list},
	{"choose", run_choose},
	{"evaluate", layer_evaluate_run},
	{"features", layer_features_run},
};

static int run(struct session *session, int argc, char **argv)
{
	return command_run_verb(session, verbs, sizeof verbs / sizeof verbs[0], argc, argv);
}

const struct command cmd_layer = {
	.name = "layer",
	.summary =
		"extraction layers of a release: which there are, which is served, which is best",
	.usage =
		"layer list [RELEASE | --release RELEASE]\n"
		"       repstore layer choose LAYER [--release ID]\n"
		"       repstore layer evaluate --users U.npy --items I.npy --times T.npy\n"
		"         --labels Y.npy --layer NAME=CR.npy [--layer ...] [--time-unit ms|s|us|ns]\n"
		"         [--any-time]\n"
		"         [--decay events=D,half_life=TIME] [--read sum|mean|layer_norm]\n"
		"         [--train SHARE] [--loss bce|pair|both] [--alpha A]\n"
		"         [--positive-weight W] [--batch N] [--epochs N] [--l2 X] [--rate X]\n"
		"         [--seed S] [--bootstrap N] [--from RELEASE] [--scores Z.npy]\n"
		"       repstore layer features --users U.npy --items I.npy --times T.npy\n"
		"         --layer NAME=CR.npy [--layer ...] -o FILE.npz [--time-unit ms|s|us|ns]\n"
		"         [--any-time] [--decay events=D,half_life=TIME]\n"
		"         [--read sum|mean|layer_norm] [--from RELEASE [--skip-late]] [--memory MIB]\n"
		"       repstore layer features --samples FILE.npz | FILE.jsonl --layer NAME\n"
		"         [--layer ...] -o ...\n",
	.help = "Tables of kind cr are named NAME@LAYER. A NAME alone, wherever a table is named, is\n"
		"that of the chosen layer: choosing another one changes what is served for users and\n"
		"items at once. The first layer of a release is chosen until another is.\n"
		"\n"
		"`evaluate` says which layer to choose, from labelled samples in files, without a\n"
		"daemon. For each layer it aggregates CR(u) and CR(i) as the daemon does, in the order\n"
		"of time, and takes them as they stood before each sample: a sample is read before it\n"
		"is added, and added only when one of a later time is read, so nothing of itself, of\n"
		"the same instant or of the future is in what is read. A logistic probe on CR(u),\n"
		"CR(i), their product element by element (without it no linear probe could tell that\n"
		"an item suits one user and not another) and two flags for what is missing is fitted\n"
		"on the first samples and scores the rest; there CRs go on, the probe stays.\n"
		"  --users, --items   [n] integers or S;  --times [n] integers, Unix time\n"
		"  --labels   [n] 0 or 1\n"
		"  --layer    a layer's name and the CR(u,i) of each sample there, [n, dim] of f4, f2\n"
		"             or u2 (bf16); given for each layer\n"
		"  --time-unit  of --times: ms (unless told), s, us or ns\n"
		"  --any-time   takes times before 1990 and over an hour ahead\n"
		"  --decay, --read  as of the tables (events=0.99, layer_norm)\n"
		"  --train    share of the samples that fits (0.5), down to the last change of time\n"
		"  --loss     bce: binary cross-entropy (this one); pair: - mean of log\n"
		"             sigmoid(z_i - z_j) over the pairs of a positive and a negative sample of\n"
		"             a mini-batch; both: A bce + (1 - A) pair. A mini-batch without both\n"
		"             classes has no pairs: it gives A bce, and nothing to pair alone\n"
		"  --alpha    A (0.5);  --positive-weight  of positives in bce (1)\n"
		"  --batch    samples of a mini-batch (256);  --epochs  (20);  --seed  (0)\n"
		"  --l2, --rate  of Adam (0.01, 0.01); the rate falls to 0. Features are standardised\n"
		"  --bootstrap  resamples for intervals (1000)\n"
		"  --from     begins with the states in a release's tables cr_user@LAYER, cr_item@LAYER,\n"
		"             as they are before the first sample, instead of with nothing; --decay must\n"
		"             be theirs. Rows of these users and items that were updated later may hold\n"
		"             the samples, and are refused\n"
		"  --scores   writes the logits, f8 [evaluated, layers], in the order of time\n"
		"AUC counts ties half; its interval is by resampling users, whose samples are alike.\n"
		"GAUC is the mean of users' AUCs by their samples, without users of one class. Losses\n"
		"are of the evaluated samples; pairs are within mini-batches in the order of time.\n"
		"|dL/dz| is the mean gradient on negatives, times the samples of a mini-batch: under\n"
		"bce it vanishes when positives are rare, under pair it does not. (constant) guesses\n"
		"the same for all. The vectors should be of a model that had not seen the samples.\n"
		"\n"
		"`features` writes a training set: for each sample, the rows of its user and its item\n"
		"as they stood just before its time, which is what serving would have seen and what\n"
		"`evaluate` reads. Samples may stand in any order. It needs no daemon but for --from.\n"
		"  --samples  one npz file with arrays users, items, times and one a layer, by its name;\n"
		"             or one JSON object a line (.jsonl; - is standard input) with members user,\n"
		"             item, time and one a layer; others are passed over\n"
		"  --from     begins with the states in a release's tables NAME@LAYER, all of them, with\n"
		"             their decay and reading. A sample that is not newer than the state of its\n"
		"             key may be in it: such are refused, or with --skip-late left out (age -2)\n"
		"  --memory   MiB for keys and states (half of the machine's): where they take more, the\n"
		"             samples are read several times, for a part of the keys each\n"
		"  -o         an npz file; row i is of sample i: users, items, times (ms); for each table\n"
		"             cr_user@NAME, cr_item@NAME: f4 [n, dim]; with .weight, f8 [n], the decayed\n"
		"             count; .age, i8 [n], ms since the newest sample before (-1: none, and zeros);\n"
		"             .entity, S4 [1], user or item\n",
	.run = run,
};
