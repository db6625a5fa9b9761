/* SPDX-License-Identifier: MIT */
#include "platform/budget.h"

#include <stdio.h>

#include "base/util.h"
#include "lib/test.h"

#define NOW 1000000
#define MINUTE 60000

static struct budget budget_of(uint32_t configured)
{
	struct budget budget;

	budget_init(&budget, configured);
	return budget;
}

static void told(struct budget *budget, int64_t now_ms, int remaining, int reset_s)
{
	char left[16], reset[16];

	(void)snprintf(left, sizeof(left), "%d", remaining);
	(void)snprintf(reset, sizeof(reset), "%d", reset_s);
	budget_told(budget, now_ms, "600", left, reset);
}

TEST(who_knows_of_no_limit_waits_for_none)
{
	struct budget budget = budget_of(0);

	for (int i = 0; i < 10000; i++)
		budget_spend(&budget, NOW);
	CHECK_INT(budget_wait_ms(&budget, NOW, 6, 100), 0);
}

TEST(our_own_share_lasts_for_a_minute)
{
	struct budget budget = budget_of(3);

	for (int i = 0; i < 3; i++) {
		CHECK_INT(budget_wait_ms(&budget, NOW + i, 0, 0), 0);
		budget_spend(&budget, NOW + i);
	}
	CHECK_INT(budget_wait_ms(&budget, NOW + 10, 0, 0), MINUTE - 10);
	CHECK_INT(budget_wait_ms(&budget, NOW + MINUTE - 1, 0, 0), 1);
	CHECK_INT(budget_wait_ms(&budget, NOW + MINUTE, 0, 0), 0);

	budget_spend(&budget, NOW + MINUTE);
	CHECK_INT(budget.window_used, 1);
}

TEST(a_reserve_is_left_to_heartbeats)
{
	struct budget budget = budget_of(10);

	for (int i = 0; i < 8; i++)
		budget_spend(&budget, NOW);
	CHECK(budget_wait_ms(&budget, NOW, 0, 2) > 0);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), 0);

	budget = budget_of(0);
	told(&budget, NOW, 5, 30);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), 0);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 5), 30000);
}

TEST(a_reserve_never_takes_all)
{
	struct budget own = budget_of(10), theirs = budget_of(0);

	CHECK_INT(budget_wait_ms(&own, NOW, 0, 1000), 0);
	budget_spend(&own, NOW);
	CHECK_INT(budget_wait_ms(&own, NOW, 0, 1000), 0);

	told(&theirs, NOW, 301, 30);
	CHECK_INT(budget_wait_ms(&theirs, NOW, 0, 100000), 0);
}

TEST(what_the_platform_says_is_left_is_all_there_is)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 0, 30);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), 30000);
	CHECK_INT(budget_wait_ms(&budget, NOW + 29999, 0, 0), 1);
	CHECK_INT(budget_wait_ms(&budget, NOW + 30000, 0, 0), 0);
}

TEST(those_in_flight_are_counted_as_spent)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 3, 30);
	CHECK_INT(budget_wait_ms(&budget, NOW, 2, 0), 0);
	CHECK(budget_wait_ms(&budget, NOW, 3, 0) > 0);
}

TEST(replies_that_overtake_each_other_give_nothing_back)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 7, 30);
	told(&budget, NOW + 1, 9, 30);
	CHECK_INT(budget.remaining, 7);
	told(&budget, NOW + 2, 6, 30);
	CHECK_INT(budget.remaining, 6);
}

/* Seconds are rounded, and a reply is as late as the network is slow. */
TEST(within_a_window_its_earliest_end_counts)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 0, 30);
	told(&budget, NOW + 4000, 0, 30);
	CHECK_INT(budget_wait_ms(&budget, NOW + 4000, 0, 0), 26000);
}

TEST(a_new_window_that_comes_early_is_a_new_window)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 2, 1);
	/* The platform's window ended within the second that it rounded away. */
	told(&budget, NOW + 500, 598, 60);
	CHECK_INT(budget.remaining, 598);
	CHECK_INT(budget_wait_ms(&budget, NOW + 500, 5, 10), 0);
}

TEST(the_last_reply_of_an_old_window_takes_nothing_from_the_new_one)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 598, 60);
	told(&budget, NOW + 100, 0, 0);
	CHECK_INT(budget.remaining, 598);
	CHECK_INT(budget_wait_ms(&budget, NOW + 100, 5, 10), 0);
}

TEST(after_its_window_a_number_is_worth_nothing)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 0, 10);
	told(&budget, NOW + 10000, 600, 60);
	CHECK_INT(budget.remaining, 600);
}

TEST(unlimited_is_no_limit)
{
	struct budget budget = budget_of(0);

	told(&budget, NOW, 0, 30);
	budget_told(&budget, NOW, "unlimited", NULL, NULL);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), 0);
}

TEST(nonsense_is_no_limit)
{
	static const char *const odd[][3] = {
		{ NULL, NULL, NULL },    { "600", NULL, "30" },    { "600", "0", NULL },
		{ "0", "0", "30" },      { "600", "-1", "30" },    { "600", "0", "-1" },
		{ "600", "0", "3600" },  { "600", "0x0", "30" },   { "", "", "" },
		{ "600", "0", "30.5" },  { "600 ", "0", "30" },    { "99999999999", "0", "30" },
		{ "600", "0", "never" }, { "600, 600", "0", "1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct budget budget = budget_of(0);

		budget_told(&budget, NOW, odd[i][0], odd[i][1], odd[i][2]);
		CHECK_INT(budget_wait_ms(&budget, NOW, 6, 100), 0);
	}
}

TEST(a_refusal_is_a_rest_for_everybody)
{
	struct budget budget = budget_of(0);

	budget_refused(&budget, NOW, 5000);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), 5000);
	CHECK_INT(budget_wait_ms(&budget, NOW + 5000, 0, 0), 0);
}

TEST(a_shorter_refusal_does_not_end_a_longer_one)
{
	struct budget budget = budget_of(0);

	budget_refused(&budget, NOW, 30000);
	budget_refused(&budget, NOW + 1, 0);
	CHECK_INT(budget_wait_ms(&budget, NOW + 1, 0, 0), 29999);
}

TEST(no_refusal_is_believed_for_longer_than_a_window)
{
	struct budget budget = budget_of(0);

	budget_refused(&budget, NOW, INT64_MAX / 2);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), BUDGET_REST_MAX_MS);
}

TEST(the_longest_wait_is_the_wait)
{
	struct budget budget = budget_of(1);

	budget_spend(&budget, NOW);
	told(&budget, NOW, 0, 10);
	budget_refused(&budget, NOW, 20000);
	CHECK_INT(budget_wait_ms(&budget, NOW, 0, 0), MINUTE);
	CHECK_INT(budget_wait_ms(&budget, NOW + MINUTE, 0, 0), 0);
}
