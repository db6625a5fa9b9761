/* SPDX-License-Identifier: MIT */
/*
 * Waiters on shared operations.
 */

#include "agent/waiter.h"

void waiter_init(struct waiter *waiter, waiter_fn on_done)
{
	*waiter = (struct waiter){ .on_done = on_done };
	list_init(&waiter->node);
}

void waiter_cancel(struct waiter *waiter)
{
	waiter_left_fn on_left = waiter_is_waiting(waiter) ? waiter->on_left : NULL;

	list_remove(&waiter->node);
	waiter->on_left = NULL;
	if (on_left)
		on_left(waiter->left_data);
}

void waiter_watch(struct waiter *waiter, waiter_left_fn on_left, void *data)
{
	waiter->on_left = on_left;
	waiter->left_data = data;
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
	while ((node = list_pop(waiters))) {
		/* What they wait for has ended: nobody minds any more who leaves. */
		list_entry(node, struct waiter, node)->on_left = NULL;
		list_append(&now, node);
	}

	while ((node = list_pop(&now))) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		waiter->on_done(waiter, err);
	}
}
