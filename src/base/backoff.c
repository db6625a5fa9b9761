/* SPDX-License-Identifier: MIT */
/*
 * Delays between tries. The jitter comes after the cap, and covers a factor of
 * three: clients that failed together at the cap spread over it at once.
 */

#include "base/backoff.h"

#include "base/util.h"

void backoff_init(struct backoff *backoff, int64_t first_ms, int64_t cap_ms, int64_t steady_ms)
{
	*backoff = (struct backoff){
		.first_ms = first_ms,
		.cap_ms = cap_ms,
		.steady_ms = steady_ms,
	};
}

/* delay * (0.5 + random / 2^32), without leaving 64 bits on the way. */
static int64_t jitter(int64_t delay_ms, uint32_t random)
{
	uint64_t delay = (uint64_t)delay_ms;
	uint64_t part = (delay >> 32) * random + (((delay & UINT32_MAX) * random) >> 32);

	return (int64_t)(delay / 2 + part);
}

int64_t backoff_failed(struct backoff *backoff, uint32_t random)
{
	int64_t delay = MIN(backoff->first_ms, backoff->cap_ms);

	for (unsigned i = 0; i < backoff->failures && delay < backoff->cap_ms && delay > 0; i++)
		delay = delay > backoff->cap_ms / 2 ? backoff->cap_ms : delay * 2;

	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	backoff->good_since_ms = 0;
	return jitter(delay, random);
}

void backoff_succeeded(struct backoff *backoff, int64_t now_ms)
{
	if (!backoff->failures)
		return;

	if (!backoff->good_since_ms)
		backoff->good_since_ms = MAX(now_ms, (int64_t)1);
	if (now_ms - backoff->good_since_ms >= backoff->steady_ms)
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
