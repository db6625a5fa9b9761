/* SPDX-License-Identifier: MIT */
#include "base/backoff.h"

#include "lib/test.h"

#define MIDDLE 0x80000000u /* a factor of exactly one */

static const struct backoff_policy policy = { 1000, 300000, 60000 };
static const struct backoff_policy endless = { 1, INT64_MAX / 2, 1 };

TEST(delays_double_up_to_the_cap)
{
	static const int64_t expected[] = { 1000,  2000,   4000,   8000,   16000, 32000,
					    64000, 128000, 256000, 300000, 300000 };
	struct backoff backoff = { 0 };

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), expected[i]);
}

TEST(jitter_comes_after_the_cap_and_on_the_first_try)
{
	struct backoff backoff = { 0 };

	CHECK_INT(backoff_failed(&backoff, &policy, 0), 500);
	for (int i = 0; i < 50; i++)
		(void)backoff_failed(&backoff, &policy, 0);
	CHECK_INT(backoff_failed(&backoff, &policy, 0), 150000);
	CHECK_INT(backoff_failed(&backoff, &policy, UINT32_MAX), 449999);
}

TEST(success_must_last_to_reset)
{
	struct backoff backoff = { 0 };

	for (int i = 0; i < 4; i++)
		(void)backoff_failed(&backoff, &policy, MIDDLE);
	backoff_succeeded(&backoff, &policy, 1000);
	backoff_succeeded(&backoff, &policy, 60999);
	CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), 16000);

	backoff_succeeded(&backoff, &policy, 70000);
	backoff_succeeded(&backoff, &policy, 130000);
	CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), 1000);
}

TEST(a_failure_between_two_successes_starts_the_wait_again)
{
	struct backoff backoff = { 0 };

	(void)backoff_failed(&backoff, &policy, MIDDLE);
	backoff_succeeded(&backoff, &policy, 1000);
	(void)backoff_failed(&backoff, &policy, MIDDLE);
	backoff_succeeded(&backoff, &policy, 61000);
	CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), 4000);
}

TEST(a_success_at_time_zero_counts)
{
	struct backoff backoff = { 0 };

	(void)backoff_failed(&backoff, &policy, MIDDLE);
	backoff_succeeded(&backoff, &policy, 0);
	backoff_succeeded(&backoff, &policy, 60001);
	CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), 1000);
}

TEST(a_reset_forgets_at_once)
{
	struct backoff backoff = { 0 };

	for (int i = 0; i < 9; i++)
		(void)backoff_failed(&backoff, &policy, MIDDLE);
	backoff_reset(&backoff);
	CHECK_INT(backoff_failed(&backoff, &policy, MIDDLE), 1000);
}

TEST(no_delay_overflows_however_long_it_goes_on)
{
	struct backoff backoff = { 0 };

	for (int i = 0; i < 1000; i++)
		CHECK(backoff_failed(&backoff, &endless, UINT32_MAX) >= 0);
	backoff.failures = UINT32_MAX;
	CHECK(backoff_failed(&backoff, &endless, MIDDLE) > 0);
	CHECK_INT(backoff.failures, UINT32_MAX);
}

TEST(random_numbers_differ)
{
	uint32_t seen_or = 0, seen_and = UINT32_MAX;

	for (int i = 0; i < 200; i++) {
		uint32_t random = random_u32();

		seen_or |= random;
		seen_and &= random;
	}
	CHECK_INT(seen_or, UINT32_MAX);
	CHECK_INT(seen_and, 0);
}
