/* SPDX-License-Identifier: MIT */
/*
 * Closed, open, half open: by what was counted, and the time.
 */

#include "agent/breaker.h"

#include "base/util.h"

enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_ms)
{
	if (breaker->n_failures < BREAKER_FAILURES)
		return BREAKER_CLOSED;

	return now_ms < breaker->until_ms ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}

const char *breaker_state_name(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half_open";
	}
	return "?";
}

int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms)
{
	if (breaker_state(breaker, now_ms) != BREAKER_OPEN)
		return 0;

	return breaker->until_ms - now_ms;
}

enum breaker_pass breaker_ask(struct breaker *breaker, int64_t now_ms)
{
	switch (breaker_state(breaker, now_ms)) {
	case BREAKER_CLOSED:
		return BREAKER_LETS;
	case BREAKER_OPEN:
		return BREAKER_REFUSES;
	case BREAKER_HALF_OPEN:
		break;
	}
	if (breaker->trying)
		return BREAKER_REFUSES;

	breaker->trying = true;
	return BREAKER_TRIES;
}

void breaker_succeeded(struct breaker *breaker)
{
	*breaker = (struct breaker){ 0 };
}

static void breaker_open(struct breaker *breaker, int64_t now_ms)
{
	breaker->n_openings++;
	breaker->until_ms = now_ms + MIN((int64_t)BREAKER_OPEN_MS * breaker->n_openings,
					 (int64_t)BREAKER_OPEN_MAX_MS);
	breaker->trying = false;
}

void breaker_failed(struct breaker *breaker, enum breaker_pass pass, int64_t now_ms)
{
	if (pass == BREAKER_TRIES) {
		breaker_open(breaker, now_ms);
		return;
	}

	/* A crowd that was let through together fails together, and opens it once. */
	if (breaker->n_failures >= BREAKER_FAILURES)
		return;

	if (++breaker->n_failures == BREAKER_FAILURES)
		breaker_open(breaker, now_ms);
}

void breaker_forget(struct breaker *breaker, enum breaker_pass pass)
{
	if (pass == BREAKER_TRIES)
		breaker->trying = false;
}
