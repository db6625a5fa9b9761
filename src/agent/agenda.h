/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When a workspace has to do what: a few times under one timer, since there may
 * be fifty thousand workspaces. Each kind of work is planned once at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

enum agenda_item {
	AGENDA_BEAT,  /* a heartbeat */
	AGENDA_POLL,  /* ask for our state */
	AGENDA_JOIN,  /* begin the joining sequence */
	AGENDA_RENEW, /* fetch the secrets again */
	AGENDA_FETCH, /* fetch the secrets: somebody waits */
	AGENDA_LAST = AGENDA_FETCH,
};

/*
 * due_ms: when it was to be (monotonic). The item is off the agenda; it may be
 * planned again, or the agenda freed. Two that are due together come in two turns.
 */
struct agenda;
typedef void (*agenda_fn)(struct agenda *agenda, enum agenda_item item, int64_t due_ms);

struct agenda {
	struct timer timer;              /* for the first of them */
	int64_t due_ms[AGENDA_LAST + 1]; /* monotonic; 0: not planned */
	agenda_fn on_due;
};

void agenda_init(struct agenda *agenda, struct loop *loop, agenda_fn on_due);
void agenda_fini(struct agenda *agenda);

/* In place of what was planned of that kind. */
void agenda_plan(struct agenda *agenda, enum agenda_item item, int64_t after_ms);
void agenda_drop(struct agenda *agenda, enum agenda_item item);
bool agenda_has(const struct agenda *agenda, enum agenda_item item);
/* Of one that is planned; negative: overdue. */
int64_t agenda_left_ms(const struct agenda *agenda, enum agenda_item item);
