/* SPDX-License-Identifier: MIT */
/*
 * Looking whether plugins are still what was installed, file by file. It holds
 * up nobody: a version that is replaced meanwhile is looked at anew.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/plugin-place.h"
#include "agent/shelf-private.h"
#include "base/jsontext.h"

#define VERIFY_TIMEOUT_MS (10 * 60 * 1000)

static void look_from(struct shelf_task *task, const struct plugin *plugin);
static const struct plugin *find_next(const struct shelf_task *task);

static void write_drift(struct shelf_task *task, const char *path, const char *what)
{
	struct buffer *drift = &task->drift;
	size_t begin = buffer_len(drift);

	if (task->drift_cut)
		return;

	(void)buffer_printf(drift, "%s{\"name\":\"%s\",\"path\":", begin ? "," : "", task->at);
	(void)json_write_string(drift, path, strlen(path));
	(void)buffer_append_text(drift, ",\"what\":");
	(void)json_write_string(drift, what, strlen(what));
	(void)buffer_append_char(drift, '}');
	if (drift->failed) {
		buffer_truncate(drift, begin);
		task->drift_cut = true;
	}
}

static void verify_on_word(struct plugin_helper *helper, const char *word,
			   struct json_object *value)
{
	struct shelf_task *task = container_of(helper, struct shelf_task, helper);
	const char *path = json_get_string(value, "path");
	const char *what = json_get_string(value, "what");

	if (strcmp(word, "drift") != 0 || !path || !what)
		return;

	task->n_drift++;
	write_drift(task, path, what);
}

/* What it cannot tell file by file: there are more, or the list itself is another one. */
static void look_at_sum(struct shelf_task *task, const struct plugin *plugin,
			const struct json_object *done)
{
	const char *manifest = json_get_string(done, "manifest");
	int64_t n_drift = 0;

	if (json_get_int64(done, "drift", &n_drift) && n_drift > task->n_drift)
		task->drift_cut = true;
	if (plugin && plugin->current.manifest[0] && manifest &&
	    strcmp(plugin->current.manifest, manifest) != 0)
		write_drift(task, "", "changed");
}

/* Somebody may be switching, who has not said so yet. */
static bool may_be_switched(const struct shelf *shelf, const char *name)
{
	list_for_each (node, &shelf->tasks) {
		const struct shelf_task *task = list_entry(node, struct shelf_task, node);

		if (task->kind->changes && task->begun && !task->kind->is_open(task) &&
		    strcmp(task->name, name) == 0)
			return true;
	}

	return false;
}

/* All is well with a version, and those who use the plugin get another one, or none. */
static void look_at_current(struct shelf_task *task, const struct plugin *plugin)
{
	char now[PLUGIN_VERSION_SIZE], path[PLUGIN_NAME_MAX + 16];
	int dirfd = task->shelf->dirfd;

	if (!plugin || may_be_switched(task->shelf, plugin->name) ||
	    plugin_place_current(dirfd, plugin->name, now) < 0 ||
	    strcmp(now, plugin->current.dir) == 0)
		return;

	(void)snprintf(path, sizeof(path), "%s/current", plugin->name);
	write_drift(task, "", plugin_place_exists(dirfd, path) == 0 ? "missing" : "changed");
}

static void verify_end(struct shelf_task *task, const struct error *err)
{
	struct shelf_outcome outcome = { .drift = &task->drift, .drift_cut = task->drift_cut };

	shelf_task_end(task, &outcome, err);
}

static void verify_on_end(struct plugin_helper *helper, struct json_object *done,
			  const struct error *err)
{
	struct shelf_task *task = container_of(helper, struct shelf_task, helper);
	const struct plugin *plugin = shelf_find(task->shelf, task->at);
	struct error failed = err ? *err : (struct error){ 0 };

	if (!err) {
		look_at_sum(task, plugin, done);
		look_at_current(task, plugin);
	}

	/* It went, or another one came: what was seen is of no interest. */
	if (!plugin || strcmp(plugin->current.dir, task->version) != 0) {
		buffer_truncate(&task->drift, task->drift_begin);
		look_from(task, plugin ? plugin : find_next(task));
	} else if (err) {
		verify_end(task, &failed);
	} else {
		look_from(task, find_next(task));
	}
}

/* Somebody has changed it; of what nobody can tell now, nothing is said. */
static bool is_drift(int r)
{
	return r == -EPERM || r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

/* 1: it has begun; 0: there is nothing to look at. */
static int look_at(struct shelf_task *task, const struct plugin *plugin, struct error *err)
{
	static const char *const args[] = { "verify", NULL };
	char what[PLUGIN_NAME_MAX + 16];
	struct plugin_helper_ask ask = {
		.what = what,
		.args = args,
		.timeout_ms = VERIFY_TIMEOUT_MS,
	};
	AUTO(fd_close) int fd = -1;
	int r;

	(void)snprintf(what, sizeof(what), "verify plugin %s", plugin->name);
	memcpy(task->at, plugin->name, sizeof(task->at));
	memcpy(task->version, plugin->current.dir, sizeof(task->version));
	task->drift_begin = buffer_len(&task->drift);
	task->n_drift = 0;
	r = plugin_place_version(task->shelf->dirfd, plugin->name, plugin->current.dir, &fd, err);
	if (is_drift(r)) {
		write_drift(task, "", r == -EPERM ? "mode" : "missing");
		return 0;
	}
	if (r < 0)
		return r;

	ask.dirfd = fd;
	r = plugin_helper_start(&task->helper, task->shelf->pool->reaper, &ask, err);
	return r < 0 ? r : 1;
}

/* The one behind that one: the list may have changed. Of a task about one there is none. */
static const struct plugin *find_next(const struct shelf_task *task)
{
	if (task->name[0])
		return NULL;

	list_for_each (node, &task->shelf->plugins) {
		const struct plugin *plugin = list_entry(node, struct plugin, node);

		if (strcmp(plugin->name, task->at) > 0)
			return plugin;
	}

	return NULL;
}

static void look_from(struct shelf_task *task, const struct plugin *plugin)
{
	struct error err = { 0 };
	int r = 0;

	for (; r == 0 && plugin; plugin = find_next(task))
		r = look_at(task, plugin, &err);
	if (r <= 0)
		verify_end(task, r < 0 ? &err : NULL);
}

static int verify_begin(struct shelf_task *task, struct error *err)
{
	static const struct plugin_helper_events events = {
		.on_word = verify_on_word,
		.on_end = verify_on_end,
	};

	const struct plugin *plugin =
		task->name[0] ? shelf_find(task->shelf, task->name) : find_next(task);

	plugin_helper_init(&task->helper, &events);
	if (task->name[0] && !plugin)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "plugin %s is not installed here",
				 task->name);

	look_from(task, plugin);
	return 0;
}

static bool verify_is_open(const struct shelf_task *task)
{
	return true;
}

static void verify_fini(struct shelf_task *task)
{
	if (task->begun)
		plugin_helper_stop(&task->helper);
}

const struct shelf_kind shelf_verify_kind = {
	.begin = verify_begin,
	.is_open = verify_is_open,
	.fini = verify_fini,
};

int shelf_verify(struct shelf *shelf, const char *name, struct waiter *waiter, struct error *err)
{
	struct shelf_task *task;
	int r = name[0] ? plugin_check_name(name, err) : 0;

	if (r < 0)
		return r;

	task = shelf_task_new(shelf, &shelf_verify_kind, name, "", err);
	if (!task)
		return -ENOMEM;

	shelf_task_submit(task, waiter);
	return 0;
}
