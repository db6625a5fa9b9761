/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A circuit breaker: keeps us from calling, again and again, a peer that does
 * not work. After BREAKER_FAILURES in a row it opens, and nobody is let
 * through. When that time is over one call is, to see how things are: if it
 * succeeds all may, else it stays open for longer.
 *
 * The numbers are the defaults of Envoy's outlier detection (consecutive_5xx,
 * base_ejection_time, max_ejection_time), which have been tried on more peers
 * than ours ever will be.
 *
 * Pure: times are given.
 */

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES 5
#define BREAKER_OPEN_MS 30000 /* times how often it has opened since a call succeeded */
#define BREAKER_OPEN_MAX_MS 300000

enum breaker_state {
	BREAKER_CLOSED,    /* all may */
	BREAKER_OPEN,      /* nobody may */
	BREAKER_HALF_OPEN, /* one may, or does */
};

enum breaker_pass {
	BREAKER_REFUSES,
	BREAKER_LETS,
	BREAKER_TRIES, /* lets this one through, to see */
};

struct breaker {
	uint32_t n_failures; /* in a row */
	uint32_t n_openings; /* likewise */
	int64_t until_ms;    /* open until then */
	bool trying;         /* the one that may is on its way */
};

enum breaker_state breaker_state(const struct breaker *breaker, int64_t now_ms);
const char *breaker_state_name(enum breaker_state state);
/* How long it stays open; 0 when it is not. */
int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms);

/* What comes of one that was let through must be told, with what it was let through as. */
enum breaker_pass breaker_ask(struct breaker *breaker, int64_t now_ms);
void breaker_succeeded(struct breaker *breaker);
void breaker_failed(struct breaker *breaker, enum breaker_pass pass, int64_t now_ms);
/* It ended in a way that says nothing of the peer. */
void breaker_forget(struct breaker *breaker, enum breaker_pass pass);
