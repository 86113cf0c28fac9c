/* layer_evaluate.c - repstore layer evaluate: labelled samples tell which layer ranks best. */
#include "tools/command/layer_evaluate.h"
#include "tools/command/decay_argument.h"
#include "tools/command/layer_from.h"
#include "tools/command/options.h"
#include "tools/evaluation/layer_evaluation.h"
#include "tools/evaluation/layer_report.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { BATCH_MAX = 65536, EPOCHS_MAX = 100000, RESAMPLES_MAX = 1000000 };

/* The arguments, as they are given. */
struct wanted {
	struct evaluation_request request; /* the fields below go into it after they were checked */
	struct option_list layers;
	const char *decay;
	const char *reading;
	const char *loss;
	const char *from; /* the release whose states aggregation begins with; NULL: none */
	uint64_t batch;
	uint64_t resamples;
};

/* ---- arguments ---- */

static int wrong_number(const struct session *session, const char *name, double given,
	const char *allowed)
{
	return session_usage(session, "--%s: %g given, %s allowed", name, given, allowed);
}

static int check_numbers(const struct session *session, const struct wanted *wanted)
{
	const struct fit_settings *fit = &wanted->request.fit;
	if (!(wanted->request.train > 0 && wanted->request.train < 1)) {
		return wrong_number(session, "train", wanted->request.train, "above 0 and below 1");
	}
	if (!(fit->loss.alpha >= 0 && fit->loss.alpha <= 1)) {
		return wrong_number(session, "alpha", fit->loss.alpha, "0 to 1");
	}
	if (!(fit->loss.positive_weight > 0)) {
		return wrong_number(session, "positive-weight", fit->loss.positive_weight,
			"above 0");
	}
	if (!(fit->l2 >= 0)) {
		return wrong_number(session, "l2", fit->l2, "0 or above");
	}
	if (!(fit->rate > 0)) {
		return wrong_number(session, "rate", fit->rate, "above 0");
	}
	if (wanted->batch < 1 || wanted->batch > BATCH_MAX) {
		return session_usage(session, "--batch: %" PRIu64 " given, 1 to %d allowed",
			wanted->batch, BATCH_MAX);
	}
	if (fit->epochs < 1 || fit->epochs > EPOCHS_MAX) {
		return session_usage(session, "--epochs: %" PRIu64 " given, 1 to %d allowed",
			fit->epochs, EPOCHS_MAX);
	}
	if (wanted->resamples > RESAMPLES_MAX) {
		return session_usage(session, "--bootstrap: %" PRIu64 " given, 0 to %d allowed",
			wanted->resamples, RESAMPLES_MAX);
	}
	return EXIT_DONE;
}

static int read_loss(const struct session *session, struct wanted *wanted)
{
	struct fit_settings *fit = &wanted->request.fit;
	static const struct {
		const char *name;
		enum loss_kind kind;
	} losses[] = {{"bce", LOSS_BCE}, {"pair", LOSS_PAIR}, {"both", LOSS_BOTH}};
	for (size_t i = 0; i < 3; i++) {
		if (strcmp(wanted->loss, losses[i].name) == 0) {
			fit->loss.kind = losses[i].kind;
		}
	}
	if (fit->loss.kind == LOSS_NONE) {
		return session_usage(session, "--loss: '%s', bce, pair or both allowed",
			wanted->loss);
	}
	return EXIT_DONE;
}

/* Checks that each is NAME=FILE and no name stands twice. cr_layer_open checks the names. */
static int check_layers(const struct session *session, const struct option_list *layers)
{
	for (size_t i = 0; i < layers->count; i++) {
		const char *text = layers->values[i];
		const size_t len = strcspn(text, "=");
		if (text[len] == '\0') {
			return session_usage(session, "--layer: '%s' given, NAME=FILE.npy allowed",
				text);
		}
		for (size_t j = 0; j < i; j++) {
			if (strncmp(layers->values[j], text, len + 1) == 0) {
				return session_usage(session,
					"--layer: '%.*s' given twice, each name once allowed",
					(int)len, text);
			}
		}
	}
	return EXIT_DONE;
}

/* Checks what was given, and completes the request. */
static int check_arguments(const struct session *session, struct wanted *wanted)
{
	struct evaluation_request *request = &wanted->request;
	const struct sample_columns *columns = &request->columns;
	if (columns->users == NULL || columns->items == NULL || columns->times == NULL ||
		columns->labels == NULL || wanted->layers.count == 0) {
		return session_usage(session, "layer evaluate: --users, --items, --times, --labels "
					      "and one --layer or more are needed");
	}
	request->fit.spec = (struct table_spec){.kind = KIND_CR,
		.dtype = DTYPE_F32,
		.views = 1,
		.state = STATE_F32X2};
	int status = check_layers(session, &wanted->layers);
	if (status == EXIT_DONE) {
		status = check_numbers(session, wanted);
	}
	if (status == EXIT_DONE) {
		status = decay_argument_read(session, wanted->decay, wanted->reading,
			&request->fit.spec);
	}
	if (status == EXIT_DONE) {
		status = read_loss(session, wanted);
	}
	request->layers = wanted->layers.values;
	request->layer_count = wanted->layers.count;
	request->fit.batch = wanted->batch;
	request->figures = (struct figure_settings){request->fit.loss, wanted->batch,
		wanted->resamples, request->fit.seed};
	return status;
}

/* ---- the command ---- */

/* Finds the release; its id stays the same for all tables. */
static bool begin_from(struct session *session, const char *release, struct layer_from *out)
{
	struct rep_release found;
	struct rep_error err;
	if (!session_connect(session)) {
		return false;
	}
	if (rep_release_show(session->client, release, &found, &err) != REP_OK) {
		session_refuse(session, &err);
		return false;
	}
	out->session = session;
	memcpy(out->release, found.id, sizeof out->release);
	return true;
}

static int run_evaluation(struct session *session, const struct evaluation_request *request)
{
	struct evaluation evaluation = {0};
	struct error err = {0};
	int status = EXIT_DONE;
	if (evaluation_run(request, &evaluation, &err) != STATUS_OK) {
		status = session_refuse_error(session, &err);
	} else {
		if (session->json) {
			layer_report_json(&evaluation.report);
		} else {
			layer_report_text(&evaluation.report);
		}
		status = session_finish(session, EXIT_DONE);
	}
	evaluation_fini(&evaluation);
	return status;
}

int layer_evaluate_run(struct session *session, int argc, char **argv)
{
	static_assert((int)LAYER_REPORT_MAX == (int)OPTIONS_LIST_MAX, "a place for each --layer");
	struct wanted wanted = {.request = {.train = 0.5,
					.fit = {.loss = {.alpha = 0.5, .positive_weight = 1},
						.epochs = 20,
						.rate = 0.01,
						.l2 = 0.01}},
		.reading = "layer_norm",
		.loss = "bce",
		.batch = 256,
		.resamples = 1000};
	struct evaluation_request *request = &wanted.request;
	struct fit_settings *fit = &request->fit;
	const struct option_row rows[] = {
		{"users", OPTION_TEXT, &request->columns.users},
		{"items", OPTION_TEXT, &request->columns.items},
		{"times", OPTION_TEXT, &request->columns.times},
		{"labels", OPTION_TEXT, &request->columns.labels},
		{"layer", OPTION_LIST, &wanted.layers},
		{"time-unit", OPTION_TIME_UNIT, &wanted.request.columns.time.unit},
		{"any-time", OPTION_FLAG, &wanted.request.columns.time.any},
		{"decay", OPTION_TEXT, &wanted.decay},
		{"read", OPTION_TEXT, &wanted.reading},
		{"train", OPTION_NUMBER, &request->train},
		{"loss", OPTION_TEXT, &wanted.loss},
		{"alpha", OPTION_NUMBER, &fit->loss.alpha},
		{"positive-weight", OPTION_NUMBER, &fit->loss.positive_weight},
		{"batch", OPTION_COUNT, &wanted.batch},
		{"epochs", OPTION_COUNT, &fit->epochs},
		{"l2", OPTION_NUMBER, &fit->l2},
		{"rate", OPTION_NUMBER, &fit->rate},
		{"seed", OPTION_COUNT, &fit->seed},
		{"bootstrap", OPTION_COUNT, &wanted.resamples},
		{"from", OPTION_TEXT, &wanted.from},
		{"scores", OPTION_TEXT, &request->scores},
	};
	struct rest rest;
	int status = options_read(session, rows, sizeof rows / sizeof rows[0], argc, argv, &rest);
	if (status == EXIT_DONE && rest.count > 0) {
		status = session_usage(session, "'%s': not expected", rest.values[0]);
	}
	if (status == EXIT_DONE) {
		status = check_arguments(session, &wanted);
	}
	struct layer_from from = {.spec = &fit->spec};
	if (status == EXIT_DONE && wanted.from != NULL) {
		request->load = layer_from_load;
		request->context = &from;
		request->from = from.release;
		status = begin_from(session, wanted.from, &from) ? EXIT_DONE : EXIT_REFUSED;
	}
	return status == EXIT_DONE ? run_evaluation(session, request) : status;
}
