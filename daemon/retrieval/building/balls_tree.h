/* balls_tree.h - many axes for a large sample, in less than the product of both.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_TREE_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_TREE_H

#include "daemon/retrieval/building/balls_train.h"

/* As balls_train. Where axes are many, the sample is divided first, and each part gets its share of
 * them; then all move by Lloyd's rule, by balls_assign. The order of sample->rows stays. Errors: as
 * balls_train. */
enum status balls_train_tree(const struct balls_sample *sample,
	const struct balls_training *training);

#endif
