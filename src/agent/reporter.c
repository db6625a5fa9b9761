/* SPDX-License-Identifier: MIT */
/*
 * Adding up the shares of local processes.
 */

#include "agent/reporter.h"

void reporter_init(struct reporter *reporter)
{
	list_init(&reporter->shares);
}

void reporter_put(struct reporter *reporter, struct report_share *share)
{
	list_remove(&share->node);
	list_append(&reporter->shares, &share->node);
}

void reporter_withdraw(struct report_share *share)
{
	list_remove(&share->node);
}

static int32_t add_tasks(int32_t a, int32_t b)
{
	int32_t sum;

	return __builtin_add_overflow(a, b, &sum) ? INT32_MAX : sum;
}

struct report reporter_sum(const struct reporter *reporter)
{
	struct report sum = { .current_task = "", .sample_error = "", .runtime_state = "" };
	double worst = -1;

	list_for_each (node, &reporter->shares) {
		const struct report_share *share = list_entry(node, struct report_share, node);

		sum.active_tasks = add_tasks(sum.active_tasks, share->active_tasks);
		sum.error_rate = MAX(sum.error_rate, share->error_rate);
		if (share->current_task[0])
			sum.current_task = share->current_task;
		if (share->sample_error[0] && share->error_rate >= worst) {
			worst = share->error_rate;
			sum.sample_error = share->sample_error;
		}
		if (share->wedged)
			sum.runtime_state = "wedged";
	}

	return sum;
}
