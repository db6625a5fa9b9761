/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what: tasks begin in the order in which they were asked for,
 * those that change the same plugin one after the other, and each when the
 * host's pool has a turn for it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/shelf-private.h"

void shelf_task_drop(struct shelf_task *task)
{
	list_remove(&task->node);
	task->kind->fini(task);
	plugin_pool_leave(task->shelf->pool, &task->turn);
	plugin_pool_dismiss(task->shelf->pool);
	buffer_fini(&task->drift);
	free(task->source);
	free(task->digest);
	free(task);
}

static void task_on_turn(struct plugin_turn *turn)
{
	struct shelf_task *task = container_of(turn, struct shelf_task, turn);
	struct error err = { 0 };

	/* Meanwhile somebody found out that it is not known what is there: after that is read. */
	if (!task->shelf->loaded) {
		task->asked = false;
		plugin_pool_leave(task->shelf->pool, turn);
		return;
	}

	task->begun = true;
	if (task->kind->begin(task, &err) < 0)
		shelf_task_end(task, NULL, &err);
}

struct shelf_task *shelf_task_new(struct shelf *shelf, const struct shelf_kind *kind,
				  const char *name, const char *by, struct error *err)
{
	struct shelf_task *task;

	if (plugin_pool_admit(shelf->pool, err) < 0)
		return NULL;

	task = calloc(1, sizeof(*task));
	if (!task) {
		plugin_pool_dismiss(shelf->pool);
		(void)error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to work on plugin %s",
				name);
		return NULL;
	}

	task->shelf = shelf;
	task->kind = kind;
	(void)snprintf(task->name, sizeof(task->name), "%s", name);
	(void)snprintf(task->by, sizeof(task->by), "%s", by);
	list_init(&task->node);
	list_init(&task->waiters);
	plugin_turn_init(&task->turn, task_on_turn);
	buffer_init(&task->drift, SHELF_DRIFT_MAX);
	return task;
}

/* Nobody wants it any more. */
static void task_on_left(void *data)
{
	struct shelf_task *task = data;
	struct shelf *shelf = task->shelf;

	if (task->begun && !task->kind->is_open(task))
		return;

	shelf_task_drop(task);
	loop_defer(shelf->member->context->loop, &shelf->pump);
}

void shelf_task_submit(struct shelf_task *task, struct waiter *waiter)
{
	struct shelf *shelf = task->shelf;

	list_append(&shelf->tasks, &task->node);
	list_append(&task->waiters, &waiter->node);
	waiter_watch(waiter, task_on_left, task);
	loop_defer(shelf->member->context->loop, &shelf->pump);
}

void shelf_task_end(struct shelf_task *task, const struct shelf_outcome *outcome,
		    const struct error *err)
{
	struct error copy = err ? *err : (struct error){ 0 };
	struct shelf *shelf = task->shelf;

	/* A waiter may ask for something else, but not end the shelf. */
	shelf->outcome = outcome;
	waiters_call(&task->waiters, err ? &copy : NULL);
	shelf->outcome = NULL;
	shelf_task_drop(task);
	loop_defer(shelf->member->context->loop, &shelf->pump);
}

static struct shelf_task *find_open(const struct shelf *shelf, bool all)
{
	list_for_each (node, &shelf->tasks) {
		struct shelf_task *task = list_entry(node, struct shelf_task, node);

		if ((all || task->kind->is_remote) && (!task->begun || task->kind->is_open(task)))
			return task;
	}

	return NULL;
}

/* Each that is told may end others: every time from the front. */
void shelf_tasks_give_up(struct shelf *shelf, bool all, const struct error *err)
{
	struct shelf_task *task;

	while ((task = find_open(shelf, all)))
		shelf_task_end(task, NULL, err);
}

/* Whether one before it works on the same plugin, or is going to. */
static bool is_held_up(const struct shelf_task *task)
{
	if (!task->kind->changes)
		return false;

	list_for_each (node, &task->shelf->tasks) {
		const struct shelf_task *other = list_entry(node, struct shelf_task, node);

		if (other == task)
			return false;
		if (other->kind->changes && strcmp(other->name, task->name) == 0)
			return true;
	}

	return false;
}

void shelf_pump(struct shelf *shelf)
{
	if (!shelf->loaded)
		return;

	list_for_each (node, &shelf->tasks) {
		struct shelf_task *task = list_entry(node, struct shelf_task, node);

		if (task->asked || is_held_up(task))
			continue;

		task->asked = true;
		plugin_pool_ask(shelf->pool, &task->turn);
	}
}
