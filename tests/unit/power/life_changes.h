/* life_changes.h - the changes of the catalog in a life: releases, tables, loads, tensors.
 *
 * Threads: the life's one.
 */
#ifndef TESTS_UNIT_POWER_LIFE_CHANGES_H
#define TESTS_UNIT_POWER_LIFE_CHANGES_H

#include "tests/unit/power/life.h"

struct error;

/* Makes a random change that the catalog, as it is known, lets be made. */
void life_change(struct life *life);

/* Whether a call has succeeded; if it has not, the disk must have failed before. */
bool life_accepts(struct life *life, enum status status, const struct error *err);

#endif
