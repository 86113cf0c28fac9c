/* logistic_probe.h - z = w . f + b, fitted to a ranking loss by mini-batches.
 *
 * It is fitted by Adam (0.9, 0.999, 1e-8). The rate falls linearly from `rate` to 0 over the steps.
 * l2 / 2 |w|^2 is added to the loss; b is left out of it. All numbers are f64 and are summed in one
 * order, so the same batches give the same weights wherever libm's exp gives the same results.
 *
 * Threads: one a probe.
 * Source: Kingma and Ba, Adam, ICLR 2015 (arXiv 1412.6980).
 */
#ifndef TOOLS_EVALUATION_LOGISTIC_PROBE_H
#define TOOLS_EVALUATION_LOGISTIC_PROBE_H

#include "schema/status.h"
#include "tools/evaluation/ranking_loss.h"

#include <stddef.h>
#include <stdint.h>

struct probe_settings {
	size_t features;
	size_t batch_max; /* samples of the largest batch */
	uint64_t steps;   /* how many batches will come */
	struct loss loss;
	double rate;
	double l2;
	double bias; /* b at the start; the weights are 0 */
};

/* A zeroed one is empty. */
struct probe {
	struct probe_settings settings;
	double *weights; /* owned; double[features + 1]: w, b. The arrays below follow behind it. */
	double *gradient;
	double *mean;   /* of gradients, decayed */
	double *square; /* of their squares, decayed */
	double *logits; /* double[batch_max] */
	double *slopes; /* double[batch_max] */
	uint64_t done;  /* steps */
};

/* Errors: NO_MEMORY. */
enum status probe_init(struct probe *probe, const struct probe_settings *settings);
void probe_fini(struct probe *probe);

/* One step.
 *   rows    double[count][features], count 1..batch_max
 *   labels  uint8_t[count], 0 or 1 */
void probe_step(struct probe *probe, const double *rows, const uint8_t *labels, size_t count);

/* The logit of one row. */
double probe_logit(const struct probe *probe, const double *row);

#endif
