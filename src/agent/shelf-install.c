/* SPDX-License-Identifier: MIT */
/*
 * Installing: what is new takes the place of what was there, which becomes the
 * one before; what was before that is rubbish.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/messages.h"
#include "agent/plugin-place.h"
#include "agent/shelf-private.h"
#include "base/log.h"

#define TELL_MS 100 /* no more than ten events a second, but for new phases */

static struct shelf_progress progress_of(const struct shelf_task *task)
{
	const struct plugin_install *install = task->install;

	return (struct shelf_progress){
		.name = task->name,
		.phase = install->phase,
		.bytes = install->bytes,
		.total = install->total,
		.files = install->files,
	};
}

static void tell(struct shelf_task *task, const char *message)
{
	struct shelf_progress progress = progress_of(task);
	struct shelf *shelf = task->shelf;

	progress.message = message;
	task->told_phase = progress.phase;
	task->told_ms = loop_now_ms(shelf->member->context->loop);
	shelf->events->on_progress(shelf->data, &progress);
}

static void tell_end(struct shelf_task *task, const struct error *err)
{
	task->install->phase = err ? PLUGIN_FAILED : PLUGIN_DONE;
	tell(task, err ? err->text : NULL);
}

static void install_on_progress(struct plugin_install *install)
{
	struct shelf_task *task = install->data;
	int64_t now_ms = loop_now_ms(task->shelf->member->context->loop);

	if (install->phase != task->told_phase || now_ms - task->told_ms >= TELL_MS)
		tell(task, NULL);
}

static void count(const struct shelf_task *task, enum error_kind kind)
{
	struct plugin_stats *stats = &task->shelf->pool->stats;
	int64_t took_ms = loop_now_ms(task->shelf->member->context->loop) - task->begun_ms;

	stats->installs[kind]++;
	histogram_observe(&stats->install_seconds, (double)took_ms / 1e3);
}

/* Takes over the record; what was there before what was there is rubbish. */
static struct plugin *adopt(struct shelf_task *task)
{
	struct plugin_install *install = task->install;
	struct shelf *shelf = task->shelf;
	struct plugin *plugin = shelf_find(shelf, task->name);
	char path[PLUGIN_PATH_SIZE];

	if (!plugin) {
		plugin = plugin_new(task->name);
		if (!plugin) {
			shelf->loaded = false; /* it is on disk: whoever asks next will see it */
			return NULL;
		}
		shelf_insert(shelf, plugin);
	}

	if (plugin->before.dir[0])
		plugin_pool_discard(shelf->pool, shelf->dirfd,
				    plugin_place_path(path, task->name, plugin->before.dir));
	plugin_record_fini(&plugin->before);
	plugin->before = plugin->current;
	plugin->current = install->record;
	install->record = (struct plugin_record){ 0 };
	return plugin;
}

static void log_installed(const struct shelf_task *task, const struct plugin *plugin)
{
	const struct plugin_record *record = &plugin->current;
	char version[40] = "";

	if (record->version)
		(void)error_quote(version, sizeof(version), record->version,
				  strlen(record->version));
	log_event(LOG_NOTICE, task->shelf->member->settings->name, "plugin_installed",
		  MESSAGE_PLUGIN_CHANGED,
		  "plugin %s%s%s was installed, as %s asked: %lld files, sha256 %s%s", task->name,
		  version[0] ? " " : "", version, task->by, (long long)record->files,
		  record->digest,
		  record->setup.has && task->run_setup && !record->setup.ok
			  ? "; its setup.sh has failed"
			  : "");
}

static void install_on_end(struct plugin_install *install, const struct error *err)
{
	struct shelf_outcome outcome = { .install = install };
	struct shelf_task *task = install->data;
	struct shelf *shelf = task->shelf;
	struct error failed = err ? *err : (struct error){ 0 };

	if (install->unsure)
		shelf->loaded = false;
	if (install->switched) {
		outcome.plugin = adopt(task);
		if (!outcome.plugin && failed.kind == ERROR_NONE)
			(void)error_set(&failed, ERROR_INTERNAL, ENOMEM, "no memory for a plugin");
	}

	count(task, failed.kind);
	if (outcome.plugin)
		log_installed(task, outcome.plugin);
	if (outcome.plugin && failed.kind == ERROR_NONE && task->report)
		shelf_report(shelf, outcome.plugin);
	tell_end(task, failed.kind == ERROR_NONE ? NULL : &failed);
	shelf_task_end(task, &outcome, failed.kind == ERROR_NONE ? NULL : &failed);
}

static void install_on_doubt(struct plugin_install *install)
{
	struct shelf *shelf = ((struct shelf_task *)install->data)->shelf;

	shelf->events->on_doubt(shelf->data);
}

static const struct plugin_install_events install_events = {
	.on_progress = install_on_progress,
	.on_doubt = install_on_doubt,
	.on_end = install_on_end,
};

static int check_room(const struct shelf *shelf, const struct plugin *there, struct error *err)
{
	if (there || shelf->n_plugins < SHELF_PLUGINS_MAX)
		return 0;

	return error_set(err, ERROR_TOO_LARGE, ENOSPC,
			 "%s has %d plugins already: remove one first",
			 shelf->member->settings->name, SHELF_PLUGINS_MAX);
}

static int install_begin(struct shelf_task *task, struct error *err)
{
	struct shelf *shelf = task->shelf;
	const struct plugin *there = shelf_find(shelf, task->name);
	struct plugin_install_ask ask = {
		.name = task->name,
		.source = task->source,
		.digest = task->digest ? task->digest : "",
		.before = there ? there->current.dir : "",
		.run_setup = task->run_setup,
		.need_setup = task->need_setup,
	};
	int r;

	task->begun_ms = loop_now_ms(shelf->member->context->loop);
	r = check_room(shelf, there, err);
	if (r == 0)
		r = shelf_open(shelf, true, err);
	if (r == 0)
		r = plugin_install_new(shelf->member, shelf->pool, shelf->dirfd, &install_events,
				       task, &task->install, err);
	if (r == 0)
		r = plugin_install_start(task->install, &ask, err);
	if (r < 0) {
		count(task, err->kind);
		return r;
	}

	tell(task, NULL);
	return 0;
}

static bool install_is_open(const struct shelf_task *task)
{
	return plugin_install_is_open(task->install);
}

static void install_fini(struct shelf_task *task)
{
	struct plugin_install *install = task->install;
	struct error err;

	if (install && install->phase != PLUGIN_DONE && install->phase != PLUGIN_FAILED) {
		(void)error_set(&err, ERROR_CANCELLED, ECANCELED, "it was given up");
		count(task, ERROR_CANCELLED);
		tell_end(task, &err);
	}
	plugin_install_free(TAKE(task->install));
}

const struct shelf_kind shelf_install_kind = {
	.begin = install_begin,
	.is_open = install_is_open,
	.fini = install_fini,
	.changes = true,
	.is_remote = true,
};

static int copy_text(char **dst, const char *src)
{
	*dst = src && src[0] ? strdup(src) : NULL;
	return src && src[0] && !*dst ? -ENOMEM : 0;
}

int shelf_install(struct shelf *shelf, const struct shelf_ask *ask, struct waiter *waiter,
		  struct error *err)
{
	struct shelf_task *task;
	int r;

	r = plugin_check_name(ask->name, err);
	if (r < 0)
		return r;

	task = shelf_task_new(shelf, &shelf_install_kind, ask->name, ask->by, err);
	if (!task)
		return -ENOMEM;

	task->run_setup = ask->run_setup;
	task->need_setup = ask->need_setup;
	task->report = ask->report;
	if (copy_text(&task->source, ask->source) < 0 ||
	    copy_text(&task->digest, ask->digest) < 0) {
		shelf_task_drop(task);
		return error_set(err, ERROR_INTERNAL, ENOMEM, "no memory to install plugin %s",
				 ask->name);
	}

	shelf_task_submit(task, waiter);
	return 0;
}

void shelf_each_install(const struct shelf *shelf,
			void (*visit)(const struct shelf_progress *progress, void *data),
			void *data)
{
	list_for_each (node, &shelf->tasks) {
		const struct shelf_task *task = list_entry(node, struct shelf_task, node);
		struct shelf_progress progress;

		if (!task->install)
			continue;
		progress = progress_of(task);
		visit(&progress, data);
	}
}
