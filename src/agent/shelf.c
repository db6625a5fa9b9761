/* SPDX-License-Identifier: MIT */
/*
 * What is installed: read from disk by the helper when somebody asks for the
 * first time, and known from then on.
 */

#include "agent/shelf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/plugin-place.h"
#include "agent/shelf-private.h"
#include "base/log.h"

#define LOAD_TIMEOUT_MS 60000

static void shelf_clear(struct shelf *shelf)
{
	while (!list_empty(&shelf->plugins))
		shelf_drop(shelf, list_entry(shelf->plugins.next, struct plugin, node));
}

void shelf_insert(struct shelf *shelf, struct plugin *plugin)
{
	struct list *at = &shelf->plugins;

	list_for_each (node, &shelf->plugins) {
		if (strcmp(list_entry(node, struct plugin, node)->name, plugin->name) > 0) {
			at = node;
			break;
		}
	}

	list_add_before(at, &plugin->node);
	shelf->n_plugins++;
}

void shelf_drop(struct shelf *shelf, struct plugin *plugin)
{
	plugin_free(plugin);
	shelf->n_plugins--;
}

struct plugin *shelf_find(const struct shelf *shelf, const char *name)
{
	list_for_each (node, &shelf->plugins) {
		struct plugin *plugin = list_entry(node, struct plugin, node);

		if (strcmp(plugin->name, name) == 0)
			return plugin;
	}

	return NULL;
}

int shelf_open(struct shelf *shelf, bool make, struct error *err)
{
	struct workspace_key key = workspace_settings_key(shelf->member->settings);

	if (shelf->dirfd >= 0)
		return 0;

	return plugin_place_open(shelf->member->context->state_dirfd, &key, make, &shelf->dirfd,
				 err);
}

char *shelf_path(const struct shelf *shelf, const char *name)
{
	struct workspace_key key = workspace_settings_key(shelf->member->settings);
	struct workspace_key place = plugin_place_name(&key);
	char *path;

	if (asprintf(&path, "%s/" PLUGIN_PLACES "/%s/plugins/%s/current/tree",
		     shelf->pool->state_dir, place.text, name) < 0)
		return NULL;

	return path;
}

/* --- loading --- */

/*
 * {"dir":"...","record":{...}}. One whose record is gone is there all the same:
 * it can be looked at, removed, and installed again.
 */
static int read_version(const struct json_object *version, const char *name,
			struct plugin_record *record)
{
	const char *dir = json_get_string(version, "dir");
	int r;

	if (!dir || !plugin_version_is_good(dir))
		return -EBADMSG;

	r = plugin_record_read(json_get_object(version, "record"), dir, record);
	if (r != -EBADMSG)
		return r;

	log_warning("the record of plugin %s (%s) cannot be read: install it again", name, dir);
	*record = (struct plugin_record){ 0 };
	memcpy(record->dir, dir, strlen(dir) + 1);
	return 0;
}

static int read_plugin(struct shelf *shelf, const struct json_object *value)
{
	const struct json_object *current = json_get_object(value, "current");
	const struct json_object *before = json_get_object(value, "previous");
	const char *name = json_get_string(value, "name");
	struct plugin *plugin;
	int r;

	if (!name || !plugin_name_is_good(name) || !current || shelf_find(shelf, name))
		return 0;

	plugin = plugin_new(name);
	r = plugin ? read_version(current, name, &plugin->current) : -ENOMEM;
	if (r == 0 && before && read_version(before, name, &plugin->before) == -ENOMEM)
		r = -ENOMEM;
	if (r < 0) {
		plugin_free(plugin);
		return r;
	}

	shelf_insert(shelf, plugin);
	return 0;
}

static void loader_on_word(struct plugin_helper *helper, const char *word,
			   struct json_object *value)
{
	struct shelf *shelf = container_of(helper, struct shelf, loader);

	if (strcmp(word, "plugin") == 0 && read_plugin(shelf, value) == -ENOMEM)
		(void)error_set(&helper->failed, ERROR_INTERNAL, ENOMEM,
				"no memory for the plugins of %s", shelf->member->settings->name);
}

static void shelf_loaded(struct shelf *shelf, const struct error *err)
{
	struct error copy = err ? *err : (struct error){ 0 };

	plugin_pool_leave(shelf->pool, &shelf->turn);
	shelf->loaded = !err;
	if (err) {
		shelf_clear(shelf);
		shelf_tasks_give_up(shelf, true, &copy);
	}
	shelf_pump(shelf);
	waiters_call(&shelf->load_waiters, err ? &copy : NULL);
}

static void loader_on_end(struct plugin_helper *helper, struct json_object *done,
			  const struct error *err)
{
	shelf_loaded(container_of(helper, struct shelf, loader), err);
}

static const struct plugin_helper_events loader_events = {
	.on_word = loader_on_word,
	.on_end = loader_on_end,
};

/* Its turn: what a killed daemon has left has been swept up by now. */
static void shelf_on_turn(struct plugin_turn *turn)
{
	struct shelf *shelf = container_of(turn, struct shelf, turn);
	static const char *const args[] = { "list", NULL };
	struct plugin_helper_ask ask = {
		.what = "list the plugins",
		.args = args,
		.timeout_ms = LOAD_TIMEOUT_MS,
	};
	struct error err = { 0 };
	int r;

	r = shelf_open(shelf, false, &err);
	if (r == -ENOENT) {
		shelf_loaded(shelf, NULL);
		return;
	}

	ask.dirfd = shelf->dirfd;
	shelf_clear(shelf);
	if (r == 0)
		r = plugin_helper_start(&shelf->loader, shelf->pool->reaper, &ask, &err);
	if (r < 0)
		shelf_loaded(shelf, &err);
}

bool shelf_is_loaded(const struct shelf *shelf)
{
	return shelf->loaded;
}

static bool is_at_work(const struct shelf *shelf)
{
	list_for_each (node, &shelf->tasks)
		if (list_entry(node, struct shelf_task, node)->begun)
			return true;

	return false;
}

/* Not below those who are at work on what is there: what is known goes for a while. */
static void shelf_begin_load(struct shelf *shelf)
{
	if (!shelf->loaded && !is_at_work(shelf) && !shelf->turn.taken &&
	    list_empty(&shelf->turn.node))
		plugin_pool_ask(shelf->pool, &shelf->turn);
}

static void shelf_on_pump(struct loop_work *work)
{
	struct shelf *shelf = container_of(work, struct shelf, pump);

	if (!list_empty(&shelf->load_waiters) || !list_empty(&shelf->tasks))
		shelf_begin_load(shelf);
	if (shelf->loaded)
		shelf_pump(shelf);
}

void shelf_load(struct shelf *shelf, struct waiter *waiter)
{
	list_append(&shelf->load_waiters, &waiter->node);
	loop_defer(shelf->member->context->loop, &shelf->pump);
}

/* --- the whole --- */

int shelf_new(const struct membership *member, struct plugin_pool *pool,
	      const struct shelf_events *events, void *data, struct shelf **ret, struct error *err)
{
	struct shelf *shelf = calloc(1, sizeof(*shelf));

	if (!shelf)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory for the plugins of %s",
				 member->settings->name);

	*shelf = (struct shelf){
		.member = member,
		.pool = pool,
		.events = events,
		.data = data,
		.dirfd = -1,
	};
	list_init(&shelf->plugins);
	list_init(&shelf->load_waiters);
	list_init(&shelf->tasks);
	list_init(&shelf->reports);
	plugin_turn_init(&shelf->turn, shelf_on_turn);
	plugin_helper_init(&shelf->loader, &loader_events);
	loop_work_init(&shelf->pump, shelf_on_pump);
	*ret = shelf;
	return 0;
}

void shelf_stop(struct shelf *shelf, bool all, const struct error *err)
{
	shelf_tasks_give_up(shelf, all, err);
	shelf_reports_free(shelf);
}

void shelf_free(struct shelf *shelf)
{
	struct error err = { 0 };

	if (!shelf)
		return;

	(void)error_set(&err, ERROR_CANCELLED, ESHUTDOWN, "%s is leaving",
			shelf->member->settings->name);
	shelf_stop(shelf, true, &err);
	/* What is left was about to be switched: whether it was, the next who looks will see. */
	while (!list_empty(&shelf->tasks))
		shelf_task_end(list_entry(shelf->tasks.next, struct shelf_task, node), NULL, &err);
	plugin_helper_stop(&shelf->loader);
	plugin_pool_leave(shelf->pool, &shelf->turn);
	waiters_call(&shelf->load_waiters, &err);
	loop_work_cancel(&shelf->pump);
	shelf_clear(shelf);
	fd_close_auto(&shelf->dirfd);
	free(shelf);
}

const struct shelf_outcome *shelf_outcome(const struct shelf *shelf)
{
	return shelf->outcome;
}
