/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The event loop, timers, and work to do after this turn. The layers above see
 * this and never libev itself.
 *
 * All timers run on the monotonic clock: a step of the wall clock moves none.
 */

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/metrics.h"

/* A turn longer than this is a bug, and counted as one. */
#define LOOP_TURN_SLOW_MS 50

struct loop {
	struct ev_loop *ev; /* owned */
	struct ev_prepare prepare;
	struct ev_check check;
	struct ev_idle idle; /* keeps the loop turning while work is deferred */
	struct heap timers;
	struct heap due;       /* timers whose time has come, in this turn */
	struct ev_timer alarm; /* for the first of the timers */
	struct list deferred, following;
	struct list marker; /* the end of a round, in the list that is being run */
	bool stopping;
	int64_t turn_began_ns;  /* 0 before the first */
	struct histogram turns; /* seconds spent in a turn, waiting not counted */
	uint64_t n_turns, n_slow_turns;
};

/*
 * Also has the process ignore SIGPIPE: a write to a peer that left is an error
 * (EPIPE) and nothing else. A child that is to be killed by one must reset it.
 */
int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* Until loop_stop(), even when there is nothing to wait for. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* loop_run() returns after this turn and its deferred work */

/* Monotonic milliseconds, read anew at each call; never 0. */
int64_t loop_now_ms(const struct loop *loop);
/* Wall clock, Unix milliseconds: for showing only. */
int64_t wall_now_ms(void);

/*
 * Work after this turn: when all callbacks of this turn have run, before the
 * loop waits again. What cannot be freed inside a library's callback, and what
 * must not be done twice in one turn, goes here. Deferring twice is once.
 * Work that work defers runs a turn later, after whatever became ready since.
 */
struct loop_work;
typedef void (*loop_work_fn)(struct loop_work *work);

struct loop_work {
	struct list node;
	loop_work_fn fn;
};

void loop_work_init(struct loop_work *work, loop_work_fn fn);
void loop_defer(struct loop *loop, struct loop_work *work);
/*
 * The same for what follows from other work and ends what this turn has begun,
 * such as an answer: it runs in this turn even when work defers it, behind all
 * that was deferred. For LOOP_ROUNDS in a row; then it waits for the next turn,
 * so that what follows from itself does not starve the loop.
 */
#define LOOP_ROUNDS 4
void loop_defer_in_turn(struct loop *loop, struct loop_work *work);
void loop_work_cancel(struct loop_work *work);

/*
 * One-shot timer; never early, whatever the turn that starts it has spent so
 * far. The callback may start it again, or free what it lives in.
 *
 * Timers are in a heap of ours under one timer of libev's: a workspace has
 * several, and there may be fifty thousand workspaces.
 */
struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
	struct heap_node node; /* its key: when it is due, in nanoseconds */
	struct loop *loop;     /* borrowed */
	timer_fn fn;
};

void timer_init(struct timer *timer, struct loop *loop, timer_fn fn);
void timer_start(struct timer *timer, int64_t after_ms); /* restarts one that runs */
void timer_stop(struct timer *timer); /* takes one that is zeroed or does not run */
bool timer_is_running(const struct timer *timer);
int64_t timer_left_ms(const struct timer *timer); /* of one that runs; negative: overdue */

/* A signal, delivered in the loop; ignored after it was stopped, not deadly again. */
struct loop_signal;
typedef void (*loop_signal_fn)(struct loop_signal *signal);

struct loop_signal {
	struct ev_signal ev;
	struct loop *loop; /* borrowed */
	loop_signal_fn fn;
};

void loop_signal_start(struct loop_signal *signal, struct loop *loop, int number,
		       loop_signal_fn fn);
void loop_signal_stop(struct loop_signal *signal);
