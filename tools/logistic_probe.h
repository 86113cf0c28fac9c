/* logistic_probe.h - z = w . f + b, fitted to a ranking loss by mini-batches.
 *
 * Adam (0.9, 0.999, 1e-8), with a rate that falls in a line from `rate` to nothing over the steps,
 * and l2 / 2 |w|^2 added to the loss (not of b). All is f64 and summed in one order, so that the
 * same batches give the same weights, as far as libm's exp agrees.
 *
 * Threads: one a probe.
 * Source: Kingma and Ba, Adam, ICLR 2015 (arXiv 1412.6980).
 */
#ifndef TOOLS_LOGISTIC_PROBE_H
#define TOOLS_LOGISTIC_PROBE_H

#include "schema/status.h"
#include "tools/ranking_loss.h"

#include <stddef.h>
#include <stdint.h>

struct probe_settings {
	size_t features;
	size_t batch_max; /* samples of the largest batch */
	uint64_t steps;   /* as many batches as will come */
	struct loss loss;
	double rate;
	double l2;
	double bias; /* b at the start; the weights are 0 */
};

/* Zeroed it is empty. */
struct probe {
	struct probe_settings settings;
	double *weights; /* owned; double[features + 1], b is the last; the others are behind it */
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
