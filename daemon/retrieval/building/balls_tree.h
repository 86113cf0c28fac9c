/* balls_tree.h - finds many axes for a large sample, in less time than their product.
 *
 * Threads: any; there is no state.
 */
#ifndef DAEMON_RETRIEVAL_BUILDING_BALLS_TREE_H
#define DAEMON_RETRIEVAL_BUILDING_BALLS_TREE_H

#include "daemon/retrieval/building/balls_train.h"

/* As balls_train. If there are many axes, the sample is first divided into parts, and each part
 * gets its share of the axes. Then all axes move by Lloyd's rule, with balls_assign. The order of
 * sample->rows stays. Errors: as balls_train. */
enum status balls_train_tree(const struct balls_sample *sample,
	const struct balls_training *training);

#endif
