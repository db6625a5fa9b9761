/* SPDX-License-Identifier: MIT */
/*
 * Delays between tries. The jitter comes after the cap, and covers a factor of
 * three: clients that failed together at the cap spread over it at once.
 */

#include "base/backoff.h"

#include "base/util.h"

/* delay * (0.5 + random / 2^32), without leaving 64 bits on the way. */
static int64_t jitter(int64_t delay_ms, uint32_t random)
{
	uint64_t delay = (uint64_t)delay_ms;
	uint64_t part = (delay >> 32) * random + (((delay & UINT32_MAX) * random) >> 32);

	return (int64_t)(delay / 2 + part);
}

int64_t backoff_failed(struct backoff *backoff, const struct backoff_policy *policy,
		       uint32_t random)
{
	int64_t delay = MIN(policy->first_ms, policy->cap_ms);

	for (uint32_t i = 0; i < backoff->failures && delay < policy->cap_ms && delay > 0; i++)
		delay = delay > policy->cap_ms / 2 ? policy->cap_ms : delay * 2;

	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	backoff->good_since_ms = 0;
	return jitter(delay, random);
}

void backoff_succeeded(struct backoff *backoff, const struct backoff_policy *policy, int64_t now_ms)
{
	if (!backoff->failures)
		return;

	if (!backoff->good_since_ms)
		backoff->good_since_ms = MAX(now_ms, (int64_t)1);
	if (now_ms - backoff->good_since_ms >= policy->steady_ms)
		backoff_reset(backoff);
}

void backoff_reset(struct backoff *backoff)
{
	backoff->failures = 0;
	backoff->good_since_ms = 0;
}

uint32_t random_u32(void)
{
	static __thread uint32_t pool[64];
	static __thread unsigned left;

	if (!left) {
		arc4random_buf(pool, sizeof(pool));
		left = ARRAY_LEN(pool);
	}

	return pool[--left];
}
