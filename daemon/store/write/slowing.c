/* slowing.c - the rate of writes by the room that is left and the time that it must last. */
#include "daemon/store/write/slowing.h"

#include "daemon/store/write/fullness.h"

static const uint64_t ms_ns = 1000000;

void slowing_init(struct slowing *slowing)
{
	*slowing = (struct slowing){.whole_ns = 1000 * ms_ns};
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		slowing->ns_a_byte[i] = SLOWING_NS_A_BYTE;
	}
	lock_init(&slowing->lock);
}

void slowing_fini(struct slowing *slowing)
{
	lock_fini(&slowing->lock);
}

static uint64_t largest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t so_far_ns(const struct slowing *slowing, uint64_t now_ns)
{
	const uint64_t began_ns = atomic_load(&slowing->began_ns);
	return began_ns != 0 && began_ns < now_ns ? now_ns - began_ns : 0;
}

/* Nor does one that did not hurry say anything of those that do. */
void slowing_learn(struct slowing *slowing, enum merge_step step, uint64_t bytes, uint64_t took_ns)
{
	if (slowing_is_behind(slowing) && bytes >= SLOWING_LEARN_BYTES) {
		slowing->ns_a_byte[step] +=
			((double)took_ns / (double)bytes - slowing->ns_a_byte[step]) / 2;
	}
}

void slowing_begin_merge(struct slowing *slowing, unsigned fullness, uint64_t now_ns)
{
	if (fullness >= SLOWING_LATE) {
		atomic_store(&slowing->is_behind, true);
	}
	atomic_store(&slowing->frozen, fullness);
	atomic_store(&slowing->free_ns, atomic_load(&slowing->whole_ns));
	atomic_store(&slowing->began_ns, now_ns);
}

void slowing_expect(struct slowing *slowing, const uint64_t left[MERGE_STEPS], uint64_t now_ns)
{
	double all = (double)so_far_ns(slowing, now_ns);
	double first = all;
	for (unsigned i = 0; i < MERGE_STEPS; i++) {
		const double took = (double)left[i] * slowing->ns_a_byte[i];
		all += took;
		first += i == MERGE_STEP_DELTA || i == MERGE_STEP_BASE ? took : 0;
	}
	if (left[MERGE_STEP_DELTA] + left[MERGE_STEP_BASE] == 0) {
		atomic_store(&slowing->frozen, 0);
	}
	atomic_store(&slowing->free_ns, (uint64_t)first);
	atomic_store(&slowing->whole_ns, (uint64_t)all);
}

void slowing_end_merge(struct slowing *slowing)
{
	atomic_store(&slowing->frozen, 0);
	atomic_store(&slowing->began_ns, 0);
}

void slowing_rest(struct slowing *slowing)
{
	atomic_store(&slowing->is_behind, false);
}

/* In how many ns room is to be used that must last for `whole_ns`. */
static double use_in(uint64_t whole_ns, uint64_t so_far)
{
	const uint64_t whole = largest(largest(whole_ns, so_far), SLOWING_MERGE_MS * ms_ns);
	return (double)(whole - so_far) + (double)whole / 2;
}

uint64_t slowing_rate(const struct slowing *slowing, unsigned fullness, uint64_t log_bytes,
	uint64_t now_ns)
{
	if (fullness == 0 || (fullness < FULLNESS_CROWDED && !slowing_is_behind(slowing))) {
		return UINT64_MAX;
	}
	const uint64_t so_far = so_far_ns(slowing, now_ns);
	const unsigned frozen = atomic_load(&slowing->frozen);
	const unsigned since = fullness > frozen ? fullness - frozen : 0;
	const double whole_ns = use_in(atomic_load(&slowing->whole_ns), so_far);
	const double free_ns = use_in(atomic_load(&slowing->free_ns), so_far);
	double rate = since < FULLNESS_WAIT ? (FULLNESS_WAIT - since) / whole_ns : 0;
	if (frozen > 0) {
		const double until =
			fullness < FULLNESS_WAIT ? (FULLNESS_WAIT - fullness) / free_ns : 0;
		rate = until < rate ? until : rate;
	}
	const double thousandth = (double)log_bytes / fullness; /* bytes that fill one */
	return (uint64_t)(thousandth * rate * 1e9) + 1;
}

/* What might have been written by now. */
static void pay(struct slowing *slowing, uint64_t rate, uint64_t now_ns)
{
	lock_assert_held(&slowing->lock);
	if (now_ns > slowing->at_ns) {
		const double most = (double)slowing->used + (double)rate * SLOWING_CREDIT_MS / 1e3;
		const double paid = (double)slowing->paid +
				    (double)rate * (double)(now_ns - slowing->at_ns) / 1e9;
		slowing->paid = largest(slowing->paid, (uint64_t)(paid < most ? paid : most));
		slowing->at_ns = now_ns;
	}
}

uint64_t slowing_use(struct slowing *slowing, uint64_t bytes, uint64_t rate, uint64_t now_ns)
{
	lock_take(&slowing->lock);
	pay(slowing, rate, now_ns);
	slowing->used += bytes;
	const uint64_t last = slowing->used;
	lock_release(&slowing->lock);
	return last;
}

uint64_t slowing_wait_ns(struct slowing *slowing, uint64_t last, uint64_t rate, uint64_t now_ns)
{
	lock_take(&slowing->lock);
	pay(slowing, rate, now_ns);
	const uint64_t left = last > slowing->paid ? last - slowing->paid : 0;
	lock_release(&slowing->lock);
	return (uint64_t)((double)left * 1e9 / (double)rate);
}

void slowing_forgive(struct slowing *slowing, uint64_t last)
{
	lock_take(&slowing->lock);
	slowing->paid = largest(slowing->paid, last);
	lock_release(&slowing->lock);
}
