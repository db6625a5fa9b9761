/* SPDX-License-Identifier: MIT */
/*
 * Going back to the version before, and taking a plugin away. The helper does
 * both with one rename, and makes it last.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/messages.h"
#include "agent/plugin-place.h"
#include "agent/plugin-switch.h"
#include "agent/shelf-private.h"
#include "base/log.h"

#define REMOVE_TIMEOUT_MS 60000

static struct shelf_task *task_of(struct plugin_helper *helper)
{
	return container_of(helper, struct shelf_task, helper);
}

/* From its first moment on, the helper may have done it. */
static bool change_is_open(const struct shelf_task *task)
{
	return !plugin_helper_is_running(&task->helper);
}

static void change_fini(struct shelf_task *task)
{
	if (task->begun)
		plugin_helper_stop(&task->helper);
}

static void log_change(const struct shelf_task *task, const char *event, const char *what)
{
	log_event(LOG_NOTICE, task->shelf->member->settings->name, event, MESSAGE_PLUGIN_CHANGED,
		  "plugin %s %s, as %s asked", task->name, what, task->by);
}

static struct plugin *find_plugin(const struct shelf_task *task, struct error *err)
{
	struct plugin *plugin = shelf_find(task->shelf, task->name);

	if (!plugin)
		(void)error_set(err, ERROR_NOT_FOUND, ENOENT, "plugin %s is not installed here",
				task->name);
	return plugin;
}

/* --- rollback --- */

/* What was switched to now has that before it which was there: a rollback can be taken back. */
static void adopt_rollback(struct shelf_task *task, struct plugin *plugin)
{
	struct plugin_record before = plugin->current;

	plugin->current = plugin->before;
	plugin->before = before;
	memcpy(plugin->current.before, before.dir, sizeof(before.dir));
	task->shelf->pool->stats.rollbacks++;
	log_change(task, "plugin_rolled_back", "was rolled back");
}

static void rollback_on_end(struct plugin_helper *helper, struct json_object *done,
			    const struct error *err)
{
	struct shelf_task *task = task_of(helper);
	struct plugin *plugin = shelf_find(task->shelf, task->name);
	struct shelf_outcome outcome = { .plugin = plugin };
	char now[PLUGIN_VERSION_SIZE] = "";

	/* What is on disk counts, whatever became of who did it. */
	if (err && plugin_place_current(task->shelf->dirfd, task->name, now) < 0)
		task->shelf->loaded = false;
	if (!err || strcmp(now, plugin->before.dir) == 0)
		adopt_rollback(task, plugin);
	shelf_task_end(task, &outcome, err);
}

static int rollback_begin(struct shelf_task *task, struct error *err)
{
	static const struct plugin_helper_events events = { .on_end = rollback_on_end };
	struct plugin *plugin = find_plugin(task, err);
	char what[PLUGIN_NAME_MAX + 24];
	struct plugin_record record;
	const struct plugin_switch to = {
		.what = what,
		.name = task->name,
		.record = &record,
		.dirfd = task->shelf->dirfd,
	};

	plugin_helper_init(&task->helper, &events);
	if (!plugin)
		return -ENOENT;

	if (!plugin->before.dir[0] || !plugin->before.digest[0])
		return error_set(err, ERROR_NOT_FOUND, ENODATA,
				 "there is no version of plugin %s before this one", task->name);

	(void)snprintf(what, sizeof(what), "roll plugin %s back", task->name);
	record = plugin->before;
	memcpy(record.before, plugin->current.dir, sizeof(record.before));
	return plugin_switch_start(&to, &task->helper, task->shelf->pool->reaper, err);
}

const struct shelf_kind shelf_rollback_kind = {
	.begin = rollback_begin,
	.is_open = change_is_open,
	.fini = change_fini,
	.changes = true,
};

/* --- removal --- */

static void remove_on_end(struct plugin_helper *helper, struct json_object *done,
			  const struct error *err)
{
	struct shelf_task *task = task_of(helper);
	struct shelf *shelf = task->shelf;
	struct plugin *plugin = shelf_find(shelf, task->name);
	int exists = err ? plugin_place_exists(shelf->dirfd, task->name) : 0;

	if (exists < 0)
		shelf->loaded = false;
	if (exists == 0) {
		shelf_drop(shelf, plugin);
		plugin_pool_discard(shelf->pool, shelf->dirfd, task->trash);
		shelf->pool->stats.removals++;
		log_change(task, "plugin_removed", "was removed");
	}
	shelf_task_end(task, &(struct shelf_outcome){ 0 }, err);
}

static int remove_begin(struct shelf_task *task, struct error *err)
{
	static const struct plugin_helper_events events = { .on_end = remove_on_end };
	const char *args[] = { "retire", "--name", task->name, "--as", task->trash, NULL };
	char what[PLUGIN_NAME_MAX + 24];
	struct plugin_helper_ask ask = {
		.what = what,
		.args = args,
		.dirfd = task->shelf->dirfd,
		.timeout_ms = REMOVE_TIMEOUT_MS,
	};
	int r;

	(void)snprintf(what, sizeof(what), "remove plugin %s", task->name);
	plugin_helper_init(&task->helper, &events);
	if (!find_plugin(task, err))
		return -ENOENT;

	r = plugin_place_trash_name(task->trash);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "cannot remove plugin %s: %m",
				 task->name);

	return plugin_helper_start(&task->helper, task->shelf->pool->reaper, &ask, err);
}

const struct shelf_kind shelf_remove_kind = {
	.begin = remove_begin,
	.is_open = change_is_open,
	.fini = change_fini,
	.changes = true,
};

/* --- asking for them --- */

static int submit(struct shelf *shelf, const struct shelf_kind *kind, const char *name,
		  const char *by, struct waiter *waiter, struct error *err)
{
	struct shelf_task *task = shelf_task_new(shelf, kind, name, by, err);

	if (!task)
		return -ENOMEM;

	shelf_task_submit(task, waiter);
	return 0;
}

int shelf_rollback(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		   struct error *err)
{
	int r = plugin_check_name(name, err);

	return r < 0 ? r : submit(shelf, &shelf_rollback_kind, name, by, waiter, err);
}

int shelf_remove(struct shelf *shelf, const char *name, const char *by, struct waiter *waiter,
		 struct error *err)
{
	int r = plugin_check_name(name, err);

	return r < 0 ? r : submit(shelf, &shelf_remove_kind, name, by, waiter, err);
}
