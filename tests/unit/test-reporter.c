/* SPDX-License-Identifier: MIT */
#include "agent/reporter.h"

#include <stdio.h>

#include "lib/test.h"

static void put(struct reporter *reporter, struct report_share *share, const char *task,
		double error_rate, const char *sample)
{
	if (!share->node.next)
		list_init(&share->node);
	share->error_rate = error_rate;
	(void)snprintf(share->current_task, sizeof(share->current_task), "%s", task);
	(void)snprintf(share->sample_error, sizeof(share->sample_error), "%s", sample);
	reporter_put(reporter, share);
}

TEST(nobody_reports_nothing)
{
	struct reporter reporter;
	struct report sum;

	reporter_init(&reporter);
	sum = reporter_sum(&reporter);
	CHECK_INT(sum.active_tasks, 0);
	CHECK(sum.error_rate == 0);
	CHECK_TEXT(sum.current_task, "");
	CHECK_TEXT(sum.sample_error, "");
	CHECK_TEXT(sum.runtime_state, "");
}

TEST(tasks_are_added_and_the_worst_error_rate_counts)
{
	struct report_share a = { .active_tasks = 2 }, b = { .active_tasks = 3 };
	struct reporter reporter;
	struct report sum;

	reporter_init(&reporter);
	put(&reporter, &a, "", 0.75, "disk full");
	put(&reporter, &b, "", 0.25, "slow");
	sum = reporter_sum(&reporter);
	CHECK_INT(sum.active_tasks, 5);
	CHECK(sum.error_rate == 0.75);
	CHECK_TEXT(sum.sample_error, "disk full");
}

TEST(the_newest_task_that_is_one_is_shown)
{
	struct report_share a = { 0 }, b = { 0 }, c = { 0 };
	struct reporter reporter;

	reporter_init(&reporter);
	put(&reporter, &a, "first", 0, "");
	put(&reporter, &b, "second", 0, "");
	put(&reporter, &c, "", 0, "");
	CHECK_TEXT(reporter_sum(&reporter).current_task, "second");

	put(&reporter, &a, "first again", 0, "");
	CHECK_TEXT(reporter_sum(&reporter).current_task, "first again");
}

TEST(a_share_that_is_withdrawn_counts_no_more)
{
	struct report_share a = { .active_tasks = 1 }, b = { .active_tasks = 1, .wedged = true };
	struct reporter reporter;

	reporter_init(&reporter);
	put(&reporter, &a, "a", 0, "");
	put(&reporter, &b, "b", 1, "broken");
	CHECK_TEXT(reporter_sum(&reporter).runtime_state, "wedged");

	reporter_withdraw(&b);
	reporter_withdraw(&b);
	CHECK_INT(reporter_sum(&reporter).active_tasks, 1);
	CHECK_TEXT(reporter_sum(&reporter).current_task, "a");
	CHECK_TEXT(reporter_sum(&reporter).sample_error, "");
	CHECK_TEXT(reporter_sum(&reporter).runtime_state, "");
}

TEST(a_share_that_is_put_twice_counts_once)
{
	struct report_share share = { .active_tasks = 1 };
	struct reporter reporter;

	reporter_init(&reporter);
	put(&reporter, &share, "", 0, "");
	put(&reporter, &share, "", 0, "");
	CHECK_INT(reporter_sum(&reporter).active_tasks, 1);
}

TEST(more_tasks_than_the_platform_can_count_are_as_many_as_it_can)
{
	struct report_share a = { .active_tasks = INT32_MAX }, b = { .active_tasks = 1 };
	struct reporter reporter;

	reporter_init(&reporter);
	put(&reporter, &a, "", 0, "");
	put(&reporter, &b, "", 0, "");
	CHECK_INT(reporter_sum(&reporter).active_tasks, INT32_MAX);
}

TEST(a_sample_of_one_without_errors_is_better_than_none)
{
	struct report_share a = { 0 }, b = { 0 };
	struct reporter reporter;

	reporter_init(&reporter);
	put(&reporter, &a, "", 0, "once");
	put(&reporter, &b, "", 0, "");
	CHECK_TEXT(reporter_sum(&reporter).sample_error, "once");
}
