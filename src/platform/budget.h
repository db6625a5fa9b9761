/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How many requests a platform still takes from this address. The platform
 * counts per IP in a fixed window and says so in every reply
 * (X-RateLimit-Limit, -Remaining, -Reset); others behind the same NAT count
 * too, so its word is better than our own arithmetic. While the window is
 * tight, what is left is kept for heartbeats. On 429 everything rests.
 *
 * Pure: times are given.
 */

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_REST_MAX_MS 60000 /* the platform's window; a larger Retry-After is not believed */

struct budget {
	uint32_t configured_per_minute; /* 0: only what the platform says */
	uint32_t window_used;           /* ours, of the configured share */
	int64_t window_began_ms;
	bool told; /* the platform has said a number, for the window that ends at: */
	int64_t resets_at_ms;
	int64_t limit, remaining;
	int64_t rests_until_ms; /* after a 429 */
};

void budget_init(struct budget *budget, uint32_t configured_per_minute);

/*
 * 0 when a request may go now, else how many milliseconds to wait.
 * reserve: requests of the window that this one must leave to others.
 */
int64_t budget_wait_ms(const struct budget *budget, int64_t now_ms, uint32_t in_flight,
		       uint32_t reserve);
void budget_spend(struct budget *budget, int64_t now_ms);

/* The three headers as they came; NULL: absent. What is no number is ignored. */
void budget_told(struct budget *budget, int64_t now_ms, const char *limit, const char *remaining,
		 const char *reset);
void budget_refused(struct budget *budget, int64_t now_ms, int64_t retry_after_ms);
