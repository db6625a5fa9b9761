/* SPDX-License-Identifier: MIT */
/*
 * Waiters on shared operations.
 */

#include "agent/waiter.h"

void waiter_init(struct waiter *waiter, waiter_fn on_done)
{
	list_init(&waiter->node);
	waiter->on_done = on_done;
}

void waiter_cancel(struct waiter *waiter)
{
	list_remove(&waiter->node);
}

bool waiter_is_waiting(const struct waiter *waiter)
{
	return !list_empty(&waiter->node);
}

void waiters_call(struct list *waiters, const struct error *err)
{
	struct list now, *node;

	/* Those that begin to wait from here on wait for the next one. */
	list_init(&now);
	while ((node = list_pop(waiters)))
		list_append(&now, node);

	while ((node = list_pop(&now))) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		waiter->on_done(waiter, err);
	}
}
