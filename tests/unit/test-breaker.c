/* SPDX-License-Identifier: MIT */
#include "agent/breaker.h"

#include "lib/test.h"

#define NOW 1000000

static void fail_often(struct breaker *breaker, int n)
{
	for (int i = 0; i < n; i++)
		breaker_failed(breaker, BREAKER_LETS, NOW);
}

TEST(a_new_one_lets_all_through)
{
	struct breaker breaker = { 0 };

	CHECK_INT(breaker_state(&breaker, NOW), BREAKER_CLOSED);
	CHECK_INT(breaker_ask(&breaker, NOW), BREAKER_LETS);
	CHECK_INT(breaker_ask(&breaker, NOW), BREAKER_LETS);
	CHECK_INT(breaker_left_ms(&breaker, NOW), 0);
}

TEST(it_opens_after_so_many_failures_in_a_row)
{
	struct breaker breaker = { 0 };

	fail_often(&breaker, BREAKER_FAILURES - 1);
	CHECK_INT(breaker_state(&breaker, NOW), BREAKER_CLOSED);
	breaker_succeeded(&breaker);
	fail_often(&breaker, BREAKER_FAILURES - 1);
	CHECK_INT(breaker_state(&breaker, NOW), BREAKER_CLOSED);
	fail_often(&breaker, 1);
	CHECK_INT(breaker_state(&breaker, NOW), BREAKER_OPEN);
	CHECK_INT(breaker_ask(&breaker, NOW), BREAKER_REFUSES);
	CHECK_INT(breaker_left_ms(&breaker, NOW), BREAKER_OPEN_MS);
	CHECK_INT(breaker_left_ms(&breaker, NOW + 1), BREAKER_OPEN_MS - 1);
}

TEST(a_crowd_that_fails_together_opens_it_once)
{
	struct breaker breaker = { 0 };

	fail_often(&breaker, 1000);
	CHECK_INT(breaker_left_ms(&breaker, NOW), BREAKER_OPEN_MS);
}

TEST(when_the_time_is_over_one_may_try)
{
	int64_t later = NOW + BREAKER_OPEN_MS;
	struct breaker breaker = { 0 };

	fail_often(&breaker, BREAKER_FAILURES);
	CHECK_INT(breaker_ask(&breaker, later - 1), BREAKER_REFUSES);
	CHECK_INT(breaker_state(&breaker, later), BREAKER_HALF_OPEN);
	CHECK_INT(breaker_ask(&breaker, later), BREAKER_TRIES);
	CHECK_INT(breaker_ask(&breaker, later), BREAKER_REFUSES);
	CHECK_INT(breaker_left_ms(&breaker, later), 0);

	/* One that came to nothing makes way for another. */
	breaker_forget(&breaker, BREAKER_LETS);
	CHECK_INT(breaker_ask(&breaker, later), BREAKER_REFUSES);
	breaker_forget(&breaker, BREAKER_TRIES);
	CHECK_INT(breaker_ask(&breaker, later), BREAKER_TRIES);

	/* And a late one of the crowd changes nothing. */
	breaker_failed(&breaker, BREAKER_LETS, later);
	CHECK_INT(breaker_state(&breaker, later), BREAKER_HALF_OPEN);
	breaker_succeeded(&breaker);
	CHECK_INT(breaker_ask(&breaker, later), BREAKER_LETS);
}

TEST(each_try_that_fails_keeps_it_open_for_longer_up_to_an_end)
{
	struct breaker breaker = { 0 };
	int64_t now = NOW, wanted = BREAKER_OPEN_MS;

	fail_often(&breaker, BREAKER_FAILURES);
	for (int i = 0; i < 20; i++) {
		CHECK_INT(breaker_left_ms(&breaker, now), wanted);
		now += wanted;
		CHECK_INT(breaker_ask(&breaker, now), BREAKER_TRIES);
		breaker_failed(&breaker, BREAKER_TRIES, now);
		CHECK_INT(breaker_state(&breaker, now), BREAKER_OPEN);
		if (wanted < BREAKER_OPEN_MAX_MS)
			wanted += BREAKER_OPEN_MS;
	}
	CHECK_INT(wanted, BREAKER_OPEN_MAX_MS);

	/* What was is forgotten with the first success. */
	CHECK_INT(breaker_ask(&breaker, now + wanted), BREAKER_TRIES);
	breaker_succeeded(&breaker);
	fail_often(&breaker, BREAKER_FAILURES);
	CHECK_INT(breaker_left_ms(&breaker, NOW), BREAKER_OPEN_MS);
}

TEST(each_state_has_a_name)
{
	CHECK_TEXT(breaker_state_name(BREAKER_CLOSED), "closed");
	CHECK_TEXT(breaker_state_name(BREAKER_OPEN), "open");
	CHECK_TEXT(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}
