/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How long to wait before trying again: doubling from a first delay up to a
 * cap, each time multiplied by a random factor from 0.5 to 1.5 after the cap
 * (so that a thousand clients at the cap do not beat as one), on the first try
 * too. Success resets it only once it has lasted.
 */

#include <stdint.h>

struct backoff_policy {
	int64_t first_ms;
	int64_t cap_ms;
	int64_t steady_ms; /* success must last this long to reset */
};

/* Zeroed: nothing has failed yet. */
struct backoff {
	int64_t good_since_ms; /* 0: not good now */
	uint32_t failures;
};

/* Notes a failure; returns the delay. random is uniform over 32 bits. */
int64_t backoff_failed(struct backoff *backoff, const struct backoff_policy *policy,
		       uint32_t random);

/* Notes a success at a monotonic time. */
void backoff_succeeded(struct backoff *backoff, const struct backoff_policy *policy,
		       int64_t now_ms);

/* Forgets the past at once (the network came back). */
void backoff_reset(struct backoff *backoff);

/*
 * 32 bits from the kernel's generator, buffered; never blocks after boot. For
 * jitter, not for keys: a child of fork() draws the same.
 */
uint32_t random_u32(void);
