/* SPDX-License-Identifier: MIT */
/*
 * The rate budget of a platform: two windows, the one we were configured to
 * keep and the one the platform tells of, and a rest after a refusal.
 */

#include "platform/budget.h"

#include <stddef.h>

#include "base/parse.h"
#include "base/util.h"

#define WINDOW_MS 60000
/* How far two replies of one window may differ on its end: a slow reply counts from too late. */
#define WINDOW_SLACK_MS 15000

void budget_init(struct budget *budget, uint32_t configured_per_minute)
{
	*budget = (struct budget){ .configured_per_minute = configured_per_minute };
}

static bool budget_in_own_window(const struct budget *budget, int64_t now_ms)
{
	return budget->window_began_ms && now_ms - budget->window_began_ms < WINDOW_MS;
}

static int64_t budget_own_wait(const struct budget *budget, int64_t now_ms, uint32_t reserve)
{
	uint32_t limit = budget->configured_per_minute;

	if (!limit || !budget_in_own_window(budget, now_ms))
		return 0;

	/* However many there are to leave room for, some go through. */
	reserve = MIN(reserve, limit / 2);
	if (budget->window_used + reserve < limit)
		return 0;

	return budget->window_began_ms + WINDOW_MS - now_ms;
}

static int64_t budget_told_wait(const struct budget *budget, int64_t now_ms, uint32_t in_flight,
				uint32_t reserve)
{
	int64_t kept;

	if (!budget->told || now_ms >= budget->resets_at_ms)
		return 0;

	kept = MIN((int64_t)reserve, budget->limit / 2);
	if (budget->remaining - (int64_t)in_flight > kept)
		return 0;

	return budget->resets_at_ms - now_ms;
}

int64_t budget_wait_ms(const struct budget *budget, int64_t now_ms, uint32_t in_flight,
		       uint32_t reserve)
{
	int64_t rest = MAX(budget->rests_until_ms - now_ms, (int64_t)0);
	int64_t own = budget_own_wait(budget, now_ms, reserve);
	int64_t told = budget_told_wait(budget, now_ms, in_flight, reserve);

	return MAX(rest, MAX(own, told));
}

void budget_spend(struct budget *budget, int64_t now_ms)
{
	if (!budget_in_own_window(budget, now_ms)) {
		budget->window_began_ms = now_ms;
		budget->window_used = 0;
	}
	budget->window_used++;
}

void budget_told(struct budget *budget, int64_t now_ms, const char *limit, const char *remaining,
		 const char *reset)
{
	int64_t n_limit, n_remaining, reset_s, resets_at_ms;

	if (!limit || !remaining || !reset || parse_int64(limit, 1, INT32_MAX, &n_limit) < 0 ||
	    parse_int64(remaining, 0, INT32_MAX, &n_remaining) < 0 ||
	    parse_int64(reset, 0, BUDGET_REST_MAX_MS / 1000, &reset_s) < 0) {
		/* "unlimited", nonsense, or a proxy's own reply: no number is no limit. */
		budget->told = false;
		return;
	}

	resets_at_ms = now_ms + reset_s * 1000;
	if (budget->told && now_ms < budget->resets_at_ms) {
		/* One of the window before, overtaken by one of this. */
		if (resets_at_ms < budget->resets_at_ms - WINDOW_SLACK_MS)
			return;

		/* Replies overtake each other: within one window the least is the truth. */
		if (resets_at_ms <= budget->resets_at_ms + WINDOW_SLACK_MS) {
			n_remaining = MIN(n_remaining, budget->remaining);
			resets_at_ms = MIN(resets_at_ms, budget->resets_at_ms);
		}
	}
	budget->told = true;
	budget->limit = n_limit;
	budget->remaining = n_remaining;
	budget->resets_at_ms = resets_at_ms;
}

void budget_refused(struct budget *budget, int64_t now_ms, int64_t retry_after_ms)
{
	int64_t rest = MIN(retry_after_ms, (int64_t)BUDGET_REST_MAX_MS);

	budget->rests_until_ms = MAX(budget->rests_until_ms, now_ms + rest);
}
