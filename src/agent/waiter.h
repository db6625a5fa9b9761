/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Somebody waits for an operation that others may wait for too: ten clients
 * that miss the same secrets share one request. The operation belongs to the
 * object that runs it and goes on when a waiter loses interest.
 *
 * A waiter is called once, from the loop, never from inside the function it
 * was handed to; when it is called it is in no list any more. Cancelling one
 * that waits for nothing does no harm.
 *
 * Who runs an operation for one waiter alone may ask to hear that it has lost
 * interest.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/list.h"

struct waiter;

/* err is NULL on success, and borrowed. */
typedef void (*waiter_fn)(struct waiter *waiter, const struct error *err);
/* The waiter was cancelled while it waited. Calls no waiter. */
typedef void (*waiter_left_fn)(void *data);

struct waiter {
	struct list node;
	waiter_fn on_done;
	waiter_left_fn on_left; /* NULL: nobody asked to hear */
	void *left_data;        /* borrowed */
};

void waiter_init(struct waiter *waiter, waiter_fn on_done);
void waiter_cancel(struct waiter *waiter);
/* Of one that was just put in a list. */
void waiter_watch(struct waiter *waiter, waiter_left_fn on_left, void *data);
bool waiter_is_waiting(const struct waiter *waiter);

/* Calls all of them; safe when one cancels or frees others, or waits again. */
void waiters_call(struct list *waiters, const struct error *err);
